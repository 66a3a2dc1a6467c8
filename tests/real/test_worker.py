"""The frame of both workers on a real broker: exit codes, readiness, leases between twins, the registry's read
calls. Claims are read from the log by an independent client."""

import json
import os
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from stack import Ports, wait_until


@pytest.fixture(scope="session")
def source(mysql97):
    mysql97.execute("CREATE DATABASE IF NOT EXISTS lease", "CREATE TABLE IF NOT EXISTS lease.t (id INT PRIMARY KEY, v TEXT)",
                    "REPLACE INTO lease.t VALUES (1, 'one'), (2, NULL)")
    return mysql97


@pytest.fixture(scope="session")
def environment(kafka, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    return {**os.environ, "MILLRACE_KAFKA": kafka.bootstrap, "HOME": str(home), "MILLRACE_KEY_FILE": str(home / "key")}


# A second instead of five, where the rule and not its length is looked at.
QUICK = ("--set", "heartbeat.ms=200", "--set", "heartbeat.dead.ms=1000")


class Program:
    """A worker as a process, its log in a file."""

    def __init__(self, path, environment, folder, *words, **extra):
        self.log_path = folder / f"{uuid.uuid4().hex[:6]}.log"
        with open(self.log_path, "w") as log:
            self.process = subprocess.Popen([path, "--data", str(folder), *words], env={**environment, **extra},
                                            stderr=log, stdin=subprocess.DEVNULL)

    @property
    def log(self):
        return self.log_path.read_text()

    def event(self, name, seconds=20):
        return wait_until(lambda: next((line for line in self.log.split("\n") if f"event={name} " in line + " "), None),
                          seconds, f"{name} in {self.log_path}: {self.log[-2000:]}")

    def signal(self, which):
        self.process.send_signal(which)

    def end(self, seconds=20):
        return self.process.wait(seconds)


@pytest.fixture
def start(environment, tmp_path, binaries):
    running = []

    def call(*words, half="capture", **extra):
        p = Program(getattr(binaries, half), environment, tmp_path, *words, **extra)
        running.append(p)
        return p

    yield call
    for p in running:
        if p.process.poll() is None:
            p.signal(signal.SIGCONT)
            p.signal(signal.SIGKILL)
            p.end()


@pytest.fixture
def millrace(environment, binaries):
    def result(*words, code=0):
        r = subprocess.run([binaries.millrace, *words], env=environment, text=True, capture_output=True,
                           stdin=subprocess.DEVNULL, timeout=120)
        assert r.returncode == code, r.stdout + r.stderr
        return r

    def call(*words, code=0):
        return result(*words, code=code).stdout

    call.result = result
    yield call
    call("task", "drop", "--all", "--timeout", "30s")


@pytest.fixture
def task(millrace, source):
    def call(*words):
        name = "t" + uuid.uuid4().hex[:8]
        out = millrace("task", "create", "--task-name", name, "--source-uri", source.uri("repl"), "--sink-type", "kafka",
                       "--level", "database", "--databases", "lease", *words)
        return name, re.search("task_id: (.*)", out)[1]

    return call


def http(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as r:
            return r.status, r.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()
    except urllib.error.URLError:
        return 0, ""


def records(kafka, topic, partition=0):
    c = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "x", "isolation.level": "read_committed",
                  "auto.offset.reset": "earliest", "enable.partition.eof": True})

    def bounds():
        try:
            return c.get_watermark_offsets(TopicPartition(topic, partition), timeout=20)
        except KafkaException:  # a partition that is being made has no leader yet
            return None

    _, end = wait_until(bounds, 20, f"{topic} has a leader")
    c.assign([TopicPartition(topic, partition, 0)])
    found = []
    while not found or found[-1].offset() < end - 1:
        m = c.poll(20)
        assert m is not None
        if m.error():
            break
        found.append(m)
    c.close()
    return found


def claims(kafka, id):
    """(name, instance, released) of every claim of capture's unit, in log order."""
    values = [json.loads(m.value()) for m in records(kafka, "millrace.status")
              if m.key().decode() == f"{id}/lease/capture/0" and m.value()]
    return [(v["name"], v["instance"], v["released"]) for v in values]


# Flags and start


@pytest.mark.parametrize("half", ["capture", "apply"])
@pytest.mark.parametrize("words,text", [
    (["--kafak", "x"], "did you mean --kafka"),
    (["--set", "heartbeat=1"], "heartbeat.ms"),
    (["--set", "heartbeat.ms=soon"], "heartbeat.ms"),
    (["--config", "/nowhere.yaml"], "/nowhere.yaml"),
    (["--listen", "nonsense"], "--listen"),
    (["--name", "a/b"], "name"),
    (["stray"], "stray"),
])
def test_bad_configuration_is_exit_2(start, half, words, text):
    p = start(*words, half=half)
    assert p.end() == 2
    assert text in p.log and re.search(r"MR\d{4}", p.log), p.log


def test_no_kafka_is_exit_2(start):
    p = start(MILLRACE_KAFKA="")
    assert p.end() == 2 and "--kafka" in p.log


def test_help_and_version_and_configuration(binaries, environment):
    def out(*words):
        return subprocess.run([binaries.apply, *words], env=environment, text=True, capture_output=True, check=True).stdout

    assert "--listen HOST:PORT" in out("--help") and out("--version").startswith("millrace-apply ")
    assert "heartbeat.ms = 700" in out("--set", "heartbeat.ms=700", "--print-config")


def test_kafka_unreachable_is_waited_for_with_one_error(start):
    port = Ports.take()
    p = start("--kafka", "127.0.0.1:1", "--listen", f"127.0.0.1:{port}")
    p.event("kafka_not_ready", 30)
    assert http(port, "/livez") == (200, "ok\n")
    assert http(port, "/readyz")[0] == 503
    time.sleep(1)
    assert p.log.count("event=kafka_not_ready") == 1 and "MR2001" in p.log
    p.signal(signal.SIGTERM)
    assert p.end() == 0


def test_ready_and_metrics(start):
    port = Ports.take()
    p = start("--listen", f"127.0.0.1:{port}")
    p.event("worker_ready")
    assert wait_until(lambda: http(port, "/readyz") == (200, "ok\n"), 5, "ready")
    status, page = http(port, "/metrics")
    assert status == 200 and "# TYPE" in page
    assert http(port, "/nothing")[0] == 404
    p.signal(signal.SIGTERM)
    assert p.end() == 0


def test_a_taken_port_is_one_coded_error(start):
    port = Ports.take()
    start("--listen", f"127.0.0.1:{port}").event("listening")
    p = start("--listen", f"127.0.0.1:{port}", half="apply")
    assert p.end() in (1, 2) and "MR9003" in p.log


# Leases


def test_a_twin_stands_by_and_takes_over_when_the_beats_stop(start, task, kafka):
    _, id = task()
    a = start("--name", "a")
    a.event("unit_claimed")
    b = start("--name", "b")
    b.event("worker_ready")
    time.sleep(7)
    assert "unit_claimed" not in b.log
    a.signal(signal.SIGKILL)
    began = time.monotonic()
    b.event("unit_claimed", 10)
    took = time.monotonic() - began
    assert 2 < took < 8, took
    assert [c[0] for c in claims(kafka, id) if not c[2]] == ["a", "b"]


def test_a_worker_that_is_stopped_hands_over_at_once(start, task):
    task()
    a = start("--name", "a")
    a.event("unit_claimed")
    b = start("--name", "b")
    b.event("worker_ready")
    a.signal(signal.SIGTERM)
    assert a.end() == 0
    began = time.monotonic()
    b.event("unit_claimed", 3)
    assert time.monotonic() - began < 2.5


def test_the_same_name_claims_at_once_and_the_older_instance_goes(start, task):
    task()
    a = start("--name", "a")
    a.event("unit_claimed")
    began = time.monotonic()
    b = start("--name", "a")
    b.event("unit_claimed", 5)
    assert time.monotonic() - began < 4
    assert a.end() == 1 and "MR2016" in a.log


def test_a_killed_worker_is_back_at_once_under_its_name(start, task):
    task()
    a = start("--name", "a")
    a.event("unit_claimed")
    a.signal(signal.SIGKILL)
    a.end()
    began = time.monotonic()
    start("--name", "a").event("unit_claimed", 5)
    assert time.monotonic() - began < 2


def test_a_thawed_worker_lets_the_unit_go(start, task, kafka):
    _, id = task()
    a = start("--name", "a", *QUICK)
    a.event("unit_claimed")
    b = start("--name", "b", *QUICK)
    b.event("worker_ready")
    a.signal(signal.SIGSTOP)
    b.event("unit_claimed", 12)
    time.sleep(1)
    a.signal(signal.SIGCONT)
    a.event("unit_lost", 10)
    time.sleep(2)
    assert claims(kafka, id)[-1][0] == "b"
    assert a.process.poll() is None and a.log.count("event=unit_claimed") == 1


def test_an_outage_of_kafka_moves_nothing(start, task, kafka):
    """One worker may find the broker again 1.5 s after the other (its reconnect.backoff.max.ms, and half as much by chance)."""
    patient = ("--set", "heartbeat.ms=200", "--set", "heartbeat.dead.ms=2500")
    _, id = task()
    a = start("--name", "a", *patient)
    a.event("unit_claimed")
    b = start("--name", "b", *patient)
    b.event("worker_ready")
    kafka.kill9()
    time.sleep(3)
    kafka.start()
    time.sleep(4)
    assert [c[0] for c in claims(kafka, id)] == ["a"]
    assert "unit_claimed" not in b.log and a.process.poll() is None


# A task's life with a real capture


def test_pause_resume_restart_and_drop_are_carried_out(start, task, millrace):
    name, _ = task()
    a = start("--name", "a")

    def shown():
        return json.loads(millrace("task", "show", "--task-name", name))[0]

    wait_until(lambda: shown()["phase"] == "Incremental Sync", 20, "the load is over")
    assert shown()["state"] == "running" and shown()["err-msg"] == ""
    millrace("task", "pause", "--task-name", name, "--timeout", "20s")
    assert (shown()["state"], shown()["reason"]) == ("stopped", "paused")
    millrace("task", "resume", "--task-name", name)
    wait_until(lambda: shown()["state"] == "running", 10, "running again")
    millrace("task", "restart", "--task-name", name)
    wait_until(lambda: a.log.count("event=task_start") == 3, 10, "started again")
    wait_until(lambda: shown()["phase"] == "Incremental Sync", 20, "the second load is over")
    millrace("task", "drop", "--task-name", name, "--timeout", "20s")
    assert json.loads(millrace("task", "show")) == []


def test_a_worker_in_a_full_task_table_serves_the_registry(start, task, kafka, source):
    port = Ports.take()
    name, _ = task()
    start("--listen", f"127.0.0.1:{port}")
    topic = f"{name}.lease.t"
    wait_until(lambda: topic in kafka.topics() and any(records(kafka, topic, p) for p in range(4)), 20, "rows in the topic")
    client = SchemaRegistryClient({"url": f"http://127.0.0.1:{port}"})
    assert f"{topic}-value" in client.get_subjects()
    latest = client.get_latest_version(f"{topic}-value")
    assert latest.version == 1 and json.loads(latest.schema.schema_str)["type"] == "record"
    value, key = AvroDeserializer(client), AvroDeserializer(client)
    rows = {}
    for p in range(4):
        for m in records(kafka, topic, p):
            k = key(m.key(), SerializationContext(topic, MessageField.KEY))
            v = value(m.value(), SerializationContext(topic, MessageField.VALUE))
            rows[k["id"]] = v["after"]["v"]
    assert rows == dict(source.execute("SELECT id, v FROM lease.t"))


def test_two_workers_agree_on_schema_ids(start, task, kafka, source):
    ports = [Ports.take(), Ports.take()]
    name, _ = task()
    start("--listen", f"127.0.0.1:{ports[0]}", "--name", "a")
    start("--listen", f"127.0.0.1:{ports[1]}", "--name", "b", half="apply")
    subject = f"/subjects/{name}.lease.t-value/versions/latest"
    first = wait_until(lambda: http(ports[0], subject) if http(ports[0], subject)[0] == 200 else None, 20, "a schema")
    wait_until(lambda: http(ports[1], subject) == first, 5, "the other worker says the same")


class FakeRegistry:
    """The POST call of a Confluent registry."""

    def __init__(self, refuse=False):
        outer = self
        self.posts = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.posts.append((self.path, body))
                answer = {"error_code": 409, "message": "Schema is incompatible"} if refuse else {"id": 1000 + len(outer.posts)}
                data = json.dumps(answer).encode()
                self.send_response(409 if refuse else 200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"


def test_an_external_registry_gives_the_ids(start, task, kafka):
    registry = FakeRegistry()
    name, _ = task()
    start("--set", f"schema.registry.url={registry.url}/")
    topic = f"{name}.lease.t"
    wait_until(lambda: topic in kafka.topics() and any(records(kafka, topic, p) for p in range(4)), 20, "rows")
    assert {p for p, _ in registry.posts} == {f"/subjects/{topic}-key/versions", f"/subjects/{topic}-value/versions"}
    m = next(m for p in range(4) for m in records(kafka, topic, p))
    assert m.value()[0] == 0 and int.from_bytes(m.value()[1:5], "big") > 1000
    assert all(json.loads(body["schema"]) for _, body in registry.posts)


def test_a_refused_schema_stops_its_table_and_says_so(start, task, kafka, millrace):
    registry = FakeRegistry(refuse=True)
    name, _ = task()
    start("--set", f"schema.registry.url={registry.url}")

    def message():
        return json.loads(millrace("task", "show", "--task-name", name))[0]["err-msg"]

    wait_until(lambda: "MR2014" in message() and "incompatible" in message(), 20, "the error is shown")


def purge(source):
    source.execute("REPLACE INTO lease.t VALUES (3, uuid())", "FLUSH BINARY LOGS", "REPLACE INTO lease.t VALUES (4, uuid())",
                   "FLUSH BINARY LOGS")
    last = source.execute("SHOW BINARY LOGS")[-1][0]
    source.execute(f"PURGE BINARY LOGS TO '{last}'")


def test_resume_names_a_gap_and_refuses_unless_told_to_load_again(start, task, millrace, source):
    name, _ = task()
    start("--name", "a")

    def shown():
        return json.loads(millrace("task", "show", "--task-name", name))[0]

    wait_until(lambda: shown()["phase"] == "Incremental Sync", 20, "the load is over")
    millrace("task", "pause", "--task-name", name)
    purge(source)
    refused = millrace.result("task", "resume", "--task-name", name, code=1)
    assert "MR1007" in refused.stderr and "--on-gap resync" in refused.stderr and "purged is" in refused.stderr
    assert shown()["state"] == "stopped"
    assert "loads every table again" in millrace("task", "resume", "--task-name", name, "--on-gap", "resync")
    wait_until(lambda: shown()["state"] == "running" and shown()["phase"] == "Incremental Sync", 20, "loaded again")


def test_a_log_purged_under_a_worker_is_answered_by_a_resync_when_the_task_says_so(start, task, millrace, source):
    name, _ = task("--on-gap", "resync")
    a = start("--name", "a")

    def shown():
        return json.loads(millrace("task", "show", "--task-name", name))[0]

    wait_until(lambda: shown()["phase"] == "Incremental Sync", 20, "the load is over")
    a.signal(signal.SIGKILL)
    a.end()
    purge(source)
    a = start("--name", "a")
    a.event("task_resync", 20)
    wait_until(lambda: shown()["state"] == "running" and shown()["phase"] == "Incremental Sync", 20, "loaded again")


def test_a_log_purged_under_a_worker_fails_the_task_otherwise(start, task, millrace, source):
    name, _ = task()
    a = start("--name", "a")

    def shown():
        return json.loads(millrace("task", "show", "--task-name", name))[0]

    wait_until(lambda: shown()["phase"] == "Incremental Sync", 20, "the load is over")
    a.signal(signal.SIGKILL)
    a.end()
    purge(source)
    start("--name", "a")
    wait_until(lambda: shown()["reason"] == "failed", 20, "it failed")
    assert shown()["state"] == "stopped" and shown()["err-msg"].startswith("MR1007")


def test_a_task_dropped_without_workers_is_cleaned_up_by_the_next_one(start, task, millrace):
    name, _ = task()
    a = start("--name", "a")
    a.event("unit_claimed")
    a.signal(signal.SIGKILL)
    a.end()
    time.sleep(9)  # until its beats count as old
    millrace("task", "drop", "--task-name", name)
    b = start("--name", "a")
    b.event("task_dropped")
    b.signal(signal.SIGTERM)
    assert b.end() == 0
    c = start("--name", "a")
    c.event("worker_ready")
    time.sleep(1)
    assert "task_drop" not in c.log
