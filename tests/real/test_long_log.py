"""A progress partition of five million records, as months of an idle source leave it: both workers start in 3 seconds.

The filler copies what a real epoch without rows looks like (its claim, its epoch record, its first unit with the live
records, its heartbeats) with later epoch numbers. docs/formats.md has the fields."""

import json
import random
import time

import pytest
from confluent_kafka import Producer

from lib import topics
from lib.deploy import Deployment
from stack import wait_until

pytestmark = pytest.mark.slow

RECORDS = 5_000_000
START_SECONDS = 3
HEARTBEATS = 48_000  # of an epoch; a capture claims again at progress.refresh.records, 50,000
PER_TRANSACTION = 8_000


class Filler:
    def __init__(self, kafka, topic):
        self.topic = topic
        self.producer = Producer({
            "bootstrap.servers": kafka.bootstrap, "transactional.id": "filler-" + topic, "compression.type": "lz4",
            "linger.ms": 20, "batch.size": 1 << 20, "queue.buffering.max.messages": 2 * PER_TRANSACTION})
        self.producer.init_transactions(60)
        self.anchor = None
        self.count = 0

    def transaction(self, records):
        """Offset of the first one."""
        offsets = []

        def delivered(error, message):
            assert error is None, error
            offsets.append(message.offset())

        self.producer.begin_transaction()
        for i, (key, value) in enumerate(records):
            self.producer.produce(self.topic, value, key, 0, on_delivery=delivered if i == 0 else None)
            self.count += 1
        self.producer.flush(60)
        self.producer.commit_transaction(60)
        return offsets[0]


def blocks(records):
    """One list of (key, value) per epoch, from its claim on, in log order."""
    found = []
    for message in records:
        key = message.key().decode()
        if key.startswith("claim/"):
            found.append([])
        found[-1].append((key, json.loads(message.value())))
    return found


def as_later(key, value, n, extra):
    """The record as epoch n has it."""
    kind, *rest = key.split("/")
    value = json.loads(json.dumps(value))
    old = value.get("epoch")
    if kind in ("claim", "epoch", "progress"):
        rest[0] = str(n)
        value["epoch"] = type(old)(n)
        if "prev" in value:
            value["prev"][0] = type(value["prev"][0])(n)
    value.update(extra)
    return "/".join([kind, *rest]).encode(), value


def fill_epoch(filler, block, n, history):
    claim = f"{random.getrandbits(64):016x}"
    number = type(block[1][1]["epoch"])
    by_kind = {kind: [(k, v) for k, v in block if k.split("/")[0] == kind] for kind in ("claim", "epoch", "progress")}
    key, value = as_later(*by_kind["claim"][0], n, {"claim": claim, "ts_ms": int(time.time() * 1000)})
    filler.transaction([(f"claim/{n}/{claim}".encode(), json.dumps(value))])
    key, value = as_later(*by_kind["epoch"][0], n, {"claim": claim, "epochs": history[-256:]})
    anchor = filler.transaction([(key, json.dumps(value))])
    live = [(k.encode(), json.dumps(v)) for k, v in block if k.split("/")[0] not in by_kind]
    key, value = as_later(*by_kind["progress"][-1], n, {"claim": claim, "anchor": anchor})
    assert value["touched"] == [] and int(value["first_seq"]) == int(value["seq"]) + 1, value
    now = int(time.time() * 1_000_000)
    head, tail = json.dumps({**value, "commit_us": 777777}).split("777777")
    filler.anchor = anchor
    filler.transaction([*live, (key, f"{head}{now}{tail}")])
    for begin in range(0, HEARTBEATS, PER_TRANSACTION):
        filler.transaction((key, f"{head}{now + i}{tail}") for i in range(begin, begin + PER_TRANSACTION))
    history.append([number(n), value["seq"]])


def fill(kafka, task):
    """Gives back the anchor of the newest epoch."""
    block = blocks(topics.records(kafka.bootstrap, [task.progress_topic]))[-1]
    print("\n".join(f"{k} {json.dumps(v)[:600]}" for k, v in block))
    epoch = next(v for k, v in block if k.startswith("epoch/"))
    n = int(epoch["epoch"])
    history = [*epoch["epochs"], [epoch["epoch"], epoch["from_seq"]]]
    filler = Filler(kafka, task.progress_topic)
    began = time.monotonic()
    while filler.count < RECORDS:
        n += 1
        fill_epoch(filler, block, n, history)
    print(f"{filler.count} records in {time.monotonic() - began:.0f} s")
    return filler.anchor


def stored_offset(target, task):
    """Where apply begins to read: the least one of its checkpoints."""
    states = target.execute("SELECT state FROM millrace.millrace_checkpoint WHERE "
                            f"task = UNHEX(REPLACE('{task.id}', '-', ''))")
    return min(offset for state, in states if state for offset in json.loads(state)["progress_offset"].values())


def quiet_epoch(kafka, task):
    """The newest epoch has no rows and some heartbeats."""
    block = blocks(topics.records(kafka.bootstrap, [task.progress_topic]))[-1]
    cuts = [v for k, v in block if k.startswith("progress/")]
    return len(cuts) > 2 and all(c["prev"][1] == c["seq"] and not c["touched"] for c in cuts)


def event_seconds(worker, event):
    """From exec to the event of this run."""
    already = worker.log.count(f"event={event} ")
    worker.start()
    wait_until(lambda: worker.log.count(f"event={event} ") > already, 60, event, 0.01)
    return time.monotonic() - worker.started


def test_workers_start_quickly_behind_a_long_log(binaries, kafka, tmp_path, mysql97, mariadb):
    for server in (mysql97, mariadb):
        server.execute("DROP DATABASE IF EXISTS long_log")
    mysql97.execute("CREATE DATABASE long_log", "CREATE TABLE long_log.t (k INT PRIMARY KEY)", "INSERT INTO long_log.t VALUES (1)")
    with Deployment(binaries, kafka, tmp_path) as d:
        capture, apply = d.start_both()
        task = d.create("long_log", mysql97, mariadb, databases="long_log")
        d.caught_up(task, mysql97, mariadb, ["long_log"])
        capture.stop()
        capture.start()  # an epoch without rows
        wait_until(lambda: quiet_epoch(kafka, task), 60, "an epoch of heartbeats alone", 0.5)
        capture.kill()
        anchor = fill(kafka, task)
        # The one that was there all the while has read them; now both begin.
        mysql97.execute("INSERT INTO long_log.t VALUES (2)")
        streaming = event_seconds(capture, "streaming")
        d.wait(lambda: mariadb.execute("SELECT 1 FROM long_log.t WHERE k = 2"), "the row", 900)
        # The checkpoints of quiet tables follow now and then; that they do is looked at, not assumed.
        d.wait(lambda: stored_offset(mariadb, task) >= anchor, "the stored checkpoints follow", 120)
        apply.kill()
        mysql97.execute("INSERT INTO long_log.t VALUES (3)")
        apply.start()
        wait_until(lambda: mariadb.execute("SELECT 1 FROM long_log.t WHERE k = 3"), 120, "the first change", 0.01)
        applied = time.monotonic() - apply.started
        # Both away, then both: the first change of the later one.
        for worker in (capture, apply):
            worker.kill()
        mysql97.execute("INSERT INTO long_log.t VALUES (4)")
        capture.start()
        apply.start()
        wait_until(lambda: mariadb.execute("SELECT 1 FROM long_log.t WHERE k = 4"), 120, "the first change", 0.01)
        both = time.monotonic() - apply.started
        print(f"capture streams after {streaming:.2f} s, apply after {applied:.2f} s, both {both:.2f} s")
        assert max(streaming, applied, both) <= START_SECONDS
        d.caught_up(task, mysql97, mariadb, ["long_log"])
