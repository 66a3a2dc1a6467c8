"""The product as processes: workers that are started, killed and watched, tasks made with its own command.

    with Deployment(binaries, kafka, folder) as d:
        d.start("capture"); d.start("apply")
        task = d.create("shop", source, target, databases="shop")
        d.caught_up(task, source, target, ["shop"])

Logs are files in the folder; when a block ends by an exception their last lines are printed.
"""

import json
import os
import re
import signal
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from lib import rows
from lib.workload import Marker
from stack import Ports, StackError, wait_until

CATCH_UP_SECONDS = 60


class CommandFailed(Exception):
    def __init__(self, arguments, code, out, err):
        super().__init__(f"millrace {' '.join(arguments)}: exit {code}\n{out}{err}")
        self.code, self.out, self.err = code, out, err


class Worker:
    """One process of millrace-capture or millrace-apply. A restart keeps its name, port and log."""

    def __init__(self, program, half, name, kafka, folder, settings, environment):
        self.program, self.half, self.name, self.kafka = program, half, name, kafka
        self.folder, self.settings, self.environment = folder, settings, environment
        self.port = Ports.take()
        self.log_path = folder / f"{half}-{name}.log"
        self.process = None
        self.started = 0.0

    def start(self, fault=None, **environment):
        """fault: MILLRACE_FAULT of this run."""
        assert not self.running, f"{self} is running"
        extra = {**self.environment, **environment}
        if fault:
            extra["MILLRACE_FAULT"] = fault
        command = [self.program, "--kafka", self.kafka.bootstrap, "--name", self.name,
                   "--listen", f"127.0.0.1:{self.port}", "--data", str(self.folder / f"data-{self.half}-{self.name}")]
        for key, value in self.settings.items():
            command += ["--set", f"{key}={value}"]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, **extra})
        self.started = time.monotonic()
        return self

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self):
        return self.process.pid

    def kill(self, signum=signal.SIGKILL):
        """SIGKILL also ends a stopped process."""
        self.process.send_signal(signum)
        if signum == signal.SIGKILL:
            self.process.wait(30)

    def stop(self):
        """A clean stop: its exit code."""
        if self.process is None:
            return None
        if self.running:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
        try:
            code = self.process.wait(30)
            self.process = None
            return code
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(30)
            raise StackError(f"{self} did not stop within 30 s")

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    @property
    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
            return answer.read().decode()

    @property
    def ready(self):
        try:
            return self.get("/readyz").strip() == "ok"
        except OSError:
            return False

    def metrics(self):
        """Series text -> number."""
        found = {}
        for line in self.get("/metrics").splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                found[name] = float(value)
        return found

    @property
    def peak_rss(self):
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024

    def __str__(self):
        return f"{self.half} {self.name}"


@dataclass
class Task:
    name: str
    id: str
    prefix: str

    @property
    def progress_topic(self):
        return f"millrace.progress.{self.id}"


class Deployment:
    def __init__(self, binaries, kafka, folder, settings=None, environment=None):
        self.binaries, self.kafka = binaries, kafka
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.settings = {"key.file": self.folder / "key", **(settings or {})}
        self.environment = environment or {}
        self.workers = []
        self.tasks = []

    # The command.

    def command(self, *arguments, check=True, env=None):
        words = list(map(str, arguments))
        if words[:1] == ["task"]:
            words += ["--kafka", self.kafka.bootstrap, "--set", f"key.file={self.settings['key.file']}"]
        result = subprocess.run([self.binaries.millrace, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                timeout=120, env={**os.environ, **(env or {})})
        if check and result.returncode != 0:
            raise CommandFailed(words, result.returncode, result.stdout, result.stderr)
        return result

    def create(self, name, source, target, databases=None, tables=None, *flags, **options):
        """options: flags of task create, with underscores. source, target: servers or connection strings."""
        arguments = ["task", "create", "--task-name", name, "--source-uri", uri_of(source, "repl")]
        if target is None:
            arguments += ["--sink-type", "kafka"]
        elif hasattr(target, "sink_type"):  # a Lakehouse
            arguments += ["--sink-type", target.sink_type, "--sink-uri", target.uri]
        else:
            arguments += ["--sink-type", "mysql", "--sink-uri", uri_of(target, "test")]
        if databases:
            arguments += ["--level", "database", "--databases", databases]
        else:
            arguments += ["--level", "table", "--tables", tables]
        for key, value in options.items():
            arguments += [f"--{key.replace('_', '-')}", value]
        out = self.command(*arguments, *flags).stdout
        task = Task(name, re.search(r"task_id: (\S+)", out)[1], options.get("prefix", name))
        self.tasks.append(task)
        return task

    def verb(self, verb, task, *flags):
        return self.command("task", verb, "--task-name", task.name, *flags)

    def show(self, task):
        return json.loads(self.command("task", "show", "--task-name", task.name).stdout)[0]

    def drop(self, task):
        if task in self.tasks:
            self.tasks.remove(task)
            self.verb("drop", task, "-y")

    # Workers.

    def worker(self, half, name="a", settings=None):
        program = getattr(self.binaries, half)
        worker = Worker(program, half, name, self.kafka, self.folder, {**self.settings, **(settings or {})},
                        self.environment)
        self.workers.append(worker)
        return worker

    def start(self, half, name="a", settings=None, fault=None, **environment):
        return self.worker(half, name, settings).start(fault, **environment)

    def start_both(self, name="a", settings=None):
        return self.start("capture", name, settings), self.start("apply", name, settings)

    # Waiting.

    def wait(self, condition, what, seconds=CATCH_UP_SECONDS):
        """wait_until, but a dead worker or a failed task ends it at once."""
        def look():
            value = condition()
            if not value:
                self.check_alive()
            return value
        return wait_until(look, seconds, what)

    def check_alive(self):
        for worker in self.workers:
            if worker.process is not None and worker.process.poll() not in (None, -signal.SIGKILL):
                raise AssertionError(f"{worker} ended with {worker.process.poll()}")

    def wait_state(self, task, seconds=CATCH_UP_SECONDS, **wanted):
        """task show's members, with underscores for dashes; gives back the whole of it."""
        def look():
            shown = self.show(task)
            return shown if all(shown[k.replace("_", "-")] == v for k, v in wanted.items()) else None
        return self.wait(look, f"task {task.name} {wanted}", seconds)

    def caught_up(self, task, source, target, databases, seconds=CATCH_UP_SECONDS, tables=None, skip=()):
        """Waits for a marker, then until all tables are equal. databases: names, or (source, target) pairs."""
        pairs = [(d, d) if isinstance(d, str) else d for d in databases]
        markers = []
        for database, to_database in pairs:
            marker = Marker(source, database).create() if tables is None else None
            if marker:
                marker.n = time.time_ns()
                marker.put()
                markers.append((marker, to_database))
        for marker, to_database in markers:
            self.wait(lambda: marker.arrived(target, to_database), f"marker of {to_database}: {self.brief(task)}", seconds)
        self.equal(task, source, target, pairs, seconds, skip)

    def brief(self, task):
        return "task " + task.name if task else ""

    def equal(self, task, source, target, pairs, seconds=CATCH_UP_SECONDS, skip=()):
        """Equal, row by row, at last; the differences otherwise."""
        end = time.monotonic() + seconds
        while True:
            try:
                found = [d for a, b in pairs for d in rows.compare_database(source, target, a, b, skip)]
            except AssertionError as lacks:  # a column: until a re-sync ends the target keeps the definition it had
                found = [lacks]
            if not found:
                return
            if time.monotonic() > end:
                shown = json.dumps(self.show(task), indent=1) if task else ""
                raise AssertionError("\n".join(map(str, found)) + "\n" + shown)
            self.check_alive()
            time.sleep(0.2)

    # The end.

    def tail(self, lines=25):
        for worker in self.workers:
            print(f"--- {worker} ({worker.log_path})")
            print("\n".join(line[:600] for line in worker.log.splitlines()[-lines:]))

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.tail()
        try:
            self.close(kind is None)
        except Exception:
            if kind is None:
                raise

    def close(self, good):
        for task in list(self.tasks):
            if any(w.running for w in self.workers):
                for worker in self.workers:
                    if worker.running:
                        worker.thaw()
                self.verb("drop", task, "-y", "--timeout", "20s")
            else:
                self.command("task", "drop", "--task-name", task.name, "-y", "--timeout", "0s", check=False)
        codes = {str(worker): worker.stop() for worker in self.workers}
        bad = {name: code for name, code in codes.items() if code not in (None, 0, -signal.SIGKILL)}
        if good and bad:
            self.tail()
            raise AssertionError(f"workers did not stop cleanly: {bad}")


def uri_of(place, user):
    return place if isinstance(place, str) else place.uri(user)
