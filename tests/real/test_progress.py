"""A progress partition of five million records, as an idle capture leaves it after years: both workers still start
at once. Slow."""

import json
import time

import pytest
from confluent_kafka import Producer

from lib import topics
from lib.deploy import Deployment
from lib.workload import Writers, Ladder

pytestmark = pytest.mark.slow
RECORDS = 5_000_000
EPOCH_RECORDS = 200_000  # progress.refresh.records: after so many a capture claims again


class Idle:
    """Writes what a capture writes that has nothing to do: claims, epochs, refreshed live records, heartbeats."""

    def __init__(self, kafka, topic):
        self.topic = topic
        found = list(topics.records(kafka.bootstrap, [topic]))
        self.offset = self.end(kafka)
        self.live, self.history = {}, []
        for message in found:
            key, value = message.key().decode(), json.loads(message.value())
            kind = key.split("/")[0]
            if kind == "epoch":
                self.history.append([value["epoch"], value["from_seq"]])
                self.epoch = value
            elif kind == "progress":
                self.cut = value
            elif kind == "version":
                self.live[key] = message.value()
        self.producer = Producer({"bootstrap.servers": kafka.bootstrap, "enable.idempotence": True, "linger.ms": 20,
                                  "compression.type": "lz4", "batch.size": 900000, "queue.buffering.max.messages": 400000})

    def end(self, kafka):
        from confluent_kafka import Consumer, TopicPartition
        consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "x"})
        end = consumer.get_watermark_offsets(TopicPartition(self.topic, 0), timeout=30)[1]
        consumer.close()
        return end

    def put(self, key, value):
        while True:
            try:
                self.producer.produce(self.topic, key=key, value=value, partition=0)
                break
            except BufferError:
                self.producer.poll(0.1)
        self.offset += 1
        return self.offset - 1

    def put_json(self, key, value):
        return self.put(key, json.dumps(value, separators=(",", ":")))

    def next_epoch(self):
        n, seq = self.epoch["epoch"] + 1, self.cut["seq"]
        random = f"{n:016x}"
        inc = self.epoch["inc"]
        self.put_json(f"claim/{n}/{random}", {"v": 1, "inc": inc, "epoch": n, "name": "a", "instance": random, "ts_ms": n})
        self.epoch = {**self.epoch, "epoch": n, "claim": random, "from_seq": seq, "pos": self.cut["pos"], "ranges": [],
                      "epochs": self.history[-256:]}
        anchor = self.put_json(f"epoch/{n}", self.epoch)
        self.history.append([n, seq])
        for key, value in self.live.items():
            self.put(key, value)
        self.cut = {**self.cut, "epoch": n, "claim": random, "prev": [n, seq], "first_seq": seq + 1, "ranges": [],
                    "anchor": anchor, "touched": []}

    def heartbeats(self, count):
        key = f"progress/{self.epoch['epoch']}"
        for done in range(0, count, 10_000):
            self.cut["commit_us"] += 1_000_000
            value = json.dumps(self.cut, separators=(",", ":"))
            for _ in range(min(10_000, count - done)):
                self.put(key, value)

    def write(self, records):
        begin = self.offset
        while self.offset - begin < records:
            self.next_epoch()
            self.heartbeats(min(EPOCH_RECORDS, records - (self.offset - begin)))
        assert self.producer.flush(120) == 0


def stored_offset(target, task):
    """The lowest progress offset that apply's checkpoints begin at."""
    found = [json.loads(state)["progress_offset"] for state, in target.execute(
        f"SELECT state FROM millrace.millrace_checkpoint WHERE task = UNHEX(REPLACE('{task.id}', '-', '')) AND state <> ''")]
    return min(min(offsets.values()) for offsets in found)


def test_both_workers_start_within_three_seconds_behind_five_million_progress_records(
        binaries, kafka, tmp_path, mysql97, mariadb):
    name = "idle_years"
    for server in (mysql97, mariadb):
        server.execute(f"DROP DATABASE IF EXISTS {name}")
    ladder = Ladder(name, keys=500).create(mysql97).fill(mysql97)
    with Deployment(binaries, kafka, tmp_path) as d:
        capture, apply = d.start_both()
        task = d.create(name, mysql97, mariadb, databases=name)
        d.caught_up(task, mysql97, mariadb, [name])
        capture.stop()
        capture.start()  # refreshes the live records
        d.caught_up(task, mysql97, mariadb, [name])
        capture.stop()
        idle = Idle(kafka, task.progress_topic)
        begin = time.monotonic()
        idle.write(RECORDS)
        assert idle.offset == idle.end(kafka), "somebody else wrote meanwhile"
        print(f"{RECORDS} records written in {time.monotonic() - begin:.0f} s")
        # apply runs on, as it would have all the time, until its stored checkpoints are of the newest epoch
        d.wait(lambda: stored_offset(mariadb, task) >= idle.cut["anchor"], "the checkpoints follow", 300)
        print(f"read by apply after {time.monotonic() - begin:.0f} s")
        apply.stop()
        times = []
        for _ in range(3):
            with Writers(mysql97, ladder, pause=0.005):
                tick = lambda: mariadb.execute(f"SELECT n FROM {name}.ladder_tick")[0][0]
                at = tick()
                start = time.monotonic()
                capture.start()
                apply.start()
                d.wait(lambda: "event=claimed" in capture.log[-20000:] and tick() > at, "the first change", 60)
                times.append(time.monotonic() - start)
            capture.stop()
            apply.stop()
        capture.start()
        apply.start()
        print("first change after the start of both:", [f"{t:.2f} s" for t in times])
        d.caught_up(task, mysql97, mariadb, [name])
        assert sorted(times)[1] <= 3
