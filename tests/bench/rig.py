"""What the stages share: servers of the benchmarks' own, measured processes, rates seen by an independent client."""

import json
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/stack"), str(ROOT / "tests/real")]

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition  # noqa: E402
from confluent_kafka.admin import OffsetSpec  # noqa: E402
from lib import topics  # noqa: E402,F401
from lib.deploy import Deployment  # noqa: E402
from stack import Kafka, Mysql97, wait_until  # noqa: E402,F401

TICK = os.sysconf("SC_CLK_TCK")
COLUMNS = ("id bigint primary key, a varchar(40), b varchar(40), c varchar(60), d double, e decimal(12,2), f datetime, "
           "g datetime(6), h tinyint, i int")
ROW = ("n, concat('name ', n), concat('abcdefghijklmnopqrstuvwx', n), concat('street ', n, ' nr ', n % 100), n / 7, n / 100, "
       "'2024-05-06 07:08:09', '2024-05-06 07:08:09.123456', n % 100, n")
PAD = ", substr(concat(" + ", ".join(f"sha2(n + {k}, 512)" for k in range(6)) + "), 1, 700)"


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def median(values):
    return statistics.median(values) if values else None


class Cpu:
    """CPU microseconds per row of named processes between two moments."""

    def __init__(self, **pids):
        self.pids = pids
        self.began = {name: cpu_seconds(pid) for name, pid in pids.items()}

    def per_row(self, rows):
        return {name: round((cpu_seconds(pid) - self.began[name]) * 1e6 / rows, 3) for name, pid in self.pids.items()}


class Rate:
    """Follows a growing number on a thread of its own; the rate between 10 % and 90 % of `rows`."""

    def __init__(self, look, rows, pause=0.02):
        self.look, self.rows, self.pause = look, rows, pause
        self.points = []
        self.error = None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while not self.points or self.points[-1][1] < self.rows:
                self.points.append((time.monotonic(), self.look()))
                time.sleep(self.pause)
        except Exception as error:
            self.error = error

    def at(self, share):
        wanted = self.rows * share
        for (t0, n0), (t1, n1) in zip(self.points, self.points[1:]):
            if n0 <= wanted < n1:
                return t0 + (t1 - t0) * (wanted - n0) / (n1 - n0)
        return self.points[-1][0]

    def arrive(self, seconds):
        self.thread.join(seconds)
        if self.error or self.thread.is_alive():
            raise self.error or TimeoutError(f"{self.points[-1][1]} of {self.rows} rows after {seconds} s")

    def wait(self, seconds):
        self.arrive(seconds)
        return 0.8 * self.rows / (self.at(0.9) - self.at(0.1))


class Rig:
    def __init__(self, work, binaries, probes, partitions):
        self.work, self.probes, self.partitions = Path(work), Path(probes), partitions
        self.work.mkdir(parents=True, exist_ok=True)
        self.binaries = SimpleNamespace(millrace=str(Path(binaries) / "millrace"),
                                        capture=str(Path(binaries) / "millrace-capture"),
                                        apply=str(Path(binaries) / "millrace-apply"))
        ports = self.work / "ports.json"
        known = json.loads(ports.read_text()) if ports.exists() else {}
        self.kafka = Kafka(self.work, "kafka", known.get("kafka"), known.get("controller"), tier=4)
        self.kafka.environment["KAFKA_HEAP"] = "-Xmx768m -Xms768m"
        self.source = Mysql97(self.work, "source", known.get("source"))
        self.target = Mysql97(self.work, "target", known.get("target"))
        ports.write_text(json.dumps({"kafka": self.kafka.port, "controller": self.kafka.controller,
                                     "source": self.source.port, "target": self.target.port}))
        self.number = int(time.time()) % 1000000

    def up(self):
        options = ["--innodb-buffer-pool-size=1G", "--innodb-redo-log-capacity=1G", "--max-binlog-size=1G", "--local-infile=ON"]
        for server, arguments in ((self.kafka, []), (self.source, options), (self.target, options)):
            if not server.running:
                server.start(*arguments)

    def down(self):
        for server in (self.kafka, self.source, self.target):
            server.stop()

    def clean(self):
        """Topics of the stage before, but the sample: their pages would push out what is measured."""
        for topic in self.kafka.topics():
            if not topic.startswith("millrace.") and topic != self.sample:
                self.kafka.delete_topic(topic)

    def name(self, stem):
        self.number += 1
        return f"{stem}{self.number}"

    def deployment(self, settings=None):
        return Deployment(self.binaries, self.kafka, self.work / "run", settings)

    # Probes.

    def probe(self, program, *arguments, stdin=None):
        return self.run(self.probes / program, *arguments, stdin=stdin)

    def run(self, *command, stdin=None):
        return subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, text=True,
                                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL)

    def result(self, process):
        out = process.communicate(timeout=300)[0]
        if process.returncode != 0:
            raise RuntimeError(f"{process.args}: exit {process.returncode}")
        return {k: float(v) for k, v in re.findall(r"(\w+)=(-?[\d.]+)", out)}

    def producer(self, sample, rows, codec="lz4"):
        """A producer benchmark that has its messages and waits for a line."""
        topic = self.name("probe")
        self.kafka.create_topic(topic, self.partitions)
        process = self.probe("probe_kafka", "produce", self.kafka.bootstrap, sample, topic, self.partitions, rows, codec,
                             stdin=True)
        process.stdout.readline()
        process.topic = topic
        return process

    def together(self, producer, start):
        """Both limits at the same time, rows a second of each."""
        other = start()
        producer.stdin.write("\n")
        producer.stdin.flush()
        results = self.result(other), self.result(producer)
        self.kafka.delete_topic(producer.topic)
        return results

    # Kafka, by an independent client.

    def offsets(self, topics):
        if not hasattr(self, "_admin"):
            self._admin = self.kafka.admin()
        asked = {TopicPartition(t, p): OffsetSpec.latest() for t in topics for p in range(self.partitions)}
        end = time.monotonic() + 10
        while True:
            futures = self._admin.list_offsets(asked, isolation_level=IsolationLevel.READ_UNCOMMITTED)
            try:
                return sum(f.result(30).offset for f in futures.values())
            except KafkaException:  # partitions made a moment ago
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)

    def wait_topics(self, topics):
        wait_until(lambda: set(topics) <= set(self.kafka.topics()), 60, f"topics {topics}")

    # Data.

    def table(self, name, rows, wide=False):
        found = self.source.execute("select count(*) from information_schema.tables where table_schema = 'bench' "
                                    f"and table_name = '{name}'")[0][0]
        if found and self.source.execute(f"select count(*) from bench.{name}")[0][0] == rows:
            return
        statements = ["set sql_log_bin = 0", "set cte_max_recursion_depth = 1000000",
                      "create database if not exists bench", f"drop table if exists bench.{name}",
                      f"create table bench.{name} ({COLUMNS}{', p varchar(1000)' if wide else ''})"]
        for begin in range(0, rows, 100000):
            statements.append(
                f"insert into bench.{name} with recursive s(n) as (select {begin + 1} union all select n + 1 from s where n < "
                f"{min(begin + 100000, rows)}) select {ROW}{PAD if wide else ''} from s")
        self.source.execute(*statements)

    def position(self):
        out = subprocess.run([str(self.probes / "binlog_cat"), self.source.uri(), "now"], capture_output=True, text=True,
                             check=True)
        return out.stdout.strip()

    def spread(self, commands):
        """The statements of each list on a connection of its own, lists side by side."""
        def run(statements):
            self.source.execute(*statements)
        threads = [threading.Thread(target=run, args=(c,)) for c in commands]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
