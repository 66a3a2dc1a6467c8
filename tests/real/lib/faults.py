"""What goes wrong: kills at random under load, each with what was in flight, and the table of how many of which.

Before a SIGKILL the process is stopped by SIGSTOP, so that what is looked at is what the kill meets:
  capture  rows appended to the topics and not committed (end offset minus last stable offset), and transactions the
           source has and the topics have not (by the ladder's tick)
  apply    rows that its open transaction at the target has changed, and transactions that capture had produced when
           the process stopped (by the records' timestamps) and the target has not
A kill is in flight if one of the two numbers is above zero.
"""

import json
import random
import statistics
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pymysql
from confluent_kafka import Consumer, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from lib import topics

RECOVERY_SECONDS = 60


@dataclass
class Kill:
    cell: str
    half: str
    stage: str       # what the process was doing
    open_rows: int   # in its open transaction
    behind: int      # transactions of the ladder it had still to pass on
    first_change_ms: float = None  # from the exec of its successor to its first result

    @property
    def in_flight(self):
        return self.open_rows > 0 or self.behind > 0


class TopicTick:
    """Reads the ladder's tick from its topic, read_committed: the newest number any reader can see."""

    def __init__(self, kafka, topic, format):
        self.kafka, self.topic, self.format = kafka, topic, format
        self.n = 0
        self.times = deque(maxlen=5000)  # (when produced, tick)
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def produced_at(self, moment):
        """The newest tick among the records produced up to then (seconds of the wall clock)."""
        return max((n for at, n in list(self.times) if at <= moment), default=0)

    def run(self):
        decode = None
        consumer = Consumer({"bootstrap.servers": self.kafka.bootstrap, "group.id": "tick", "fetch.wait.max.ms": 10,
                             "isolation.level": "read_committed", "auto.offset.reset": "earliest",
                             "enable.auto.commit": False, "log_level": 0})
        consumer.assign([TopicPartition(self.topic, p, 0) for p in range(self.kafka.topics()[self.topic])])
        while not self.stopping.is_set():
            for message in consumer.consume(500, 0.01):
                if message.error() is None and message.value() is not None:
                    try:
                        decode = decode or topics.decoder(self.kafka.bootstrap, self.format)
                        after = decode(message.value())["after"]
                    except KeyError:
                        decode = None
                        continue
                    if after:
                        self.n = max(self.n, after["n"])
                        self.times.append((message.timestamp()[1] / 1000, after["n"]))
        consumer.close()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()


def target_tick(target, database, table="ladder_tick"):
    try:
        rows = target.execute(f"SELECT n FROM `{database}`.`{table}`")
        return rows[0][0] if rows else 0
    except (pymysql.err.ProgrammingError, pymysql.err.OperationalError, pymysql.err.InterfaceError):
        return 0


def open_kafka_rows(kafka, names):
    """Records appended to the topics behind their last stable offsets."""
    for _ in range(5):
        try:
            return ask_open_kafka_rows(kafka, names)
        except KafkaException:
            time.sleep(0.1)  # a fresh client that knows no leader yet
    return ask_open_kafka_rows(kafka, names)


def ask_open_kafka_rows(kafka, names):
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
    known = kafka.topics()
    parts = [TopicPartition(t, p) for t in names if t in known for p in range(known[t])]
    ends = []
    for level in (IsolationLevel.READ_UNCOMMITTED, IsolationLevel.READ_COMMITTED):
        asked = admin.list_offsets({part: OffsetSpec.latest() for part in parts}, isolation_level=level,
                                   request_timeout=10)
        ends.append(sum(future.result(10).offset for future in asked.values()))
    return ends[0] - ends[1]


def open_target_rows(target):
    """(rows changed by open transactions, the statement of one of them)."""
    rows = target.execute("SELECT trx_rows_modified, trx_query FROM information_schema.innodb_trx "
                          "WHERE trx_rows_modified > 0")
    return sum(r[0] for r in rows), next((r[1] for r in rows if r[1]), None)


def observe(worker, d, task, ladder, source_n, tick, target, names):
    """The process is stopped: what does it hold?"""
    stopped = time.time()
    if worker.half == "capture":
        rows = open_kafka_rows(d.kafka, names)
        stage = "transaction open" if rows else ("reading" if source_n() > tick.n else "idle")
        return stage, rows, source_n() - tick.n
    rows, statement = open_target_rows(target)
    time.sleep(0.05)  # the reader of the topic is behind what was produced
    behind = tick.produced_at(stopped) - target_tick(target, ladder.database)
    if rows:
        word = (statement or "").split(" ")[0].lower()
        return f"transaction open {word}".strip(), rows, behind
    return ("fetching" if behind > 0 else "idle"), 0, behind


@dataclass
class Report:
    kills: list = field(default_factory=list)

    def add(self, kill):
        self.kills.append(kill)

    def cells(self):
        found = {}
        for kill in self.kills:
            found.setdefault(kill.cell, []).append(kill)
        return found

    def text(self):
        lines = [f"{len(self.kills)} kills, {sum(k.in_flight for k in self.kills)} in flight"]
        for cell, kills in sorted(self.cells().items()):
            first = [k.first_change_ms for k in kills if k.first_change_ms is not None]
            stages = {}
            for k in kills:
                stages[f"{k.half}: {k.stage}"] = stages.get(f"{k.half}: {k.stage}", 0) + 1
            median = f"{statistics.median(first):.0f} ms" if first else "-"
            lines.append(f"  {cell}: {len(kills)} kills, {sum(k.in_flight for k in kills)} in flight, rows "
                         f"{sum(k.open_rows for k in kills)}, median to the first change {median}, {stages}")
        return "\n".join(lines)

    def save(self, folder, name):
        path = Path(folder) / f"{name}.json"
        path.write_text(json.dumps([asdict(k) for k in self.kills], indent=1))
        print(f"\n{self.text()}\n{path}")

    def check(self):
        assert self.kills
        flying = sum(k.in_flight for k in self.kills)
        assert flying >= 0.9 * len(self.kills), f"only {flying} of {len(self.kills)} kills were in flight"


class KillLoop:
    """Kills workers of a deployment under a ladder's load and starts them again, or leaves the work to twins.

    One worker a half: the killed one is started again at once. Twins: the killed one comes back after its twin has
    taken over, and becomes the one that stands by."""

    def __init__(self, d, task, ladder, source, target, tick, report, cell, seed):
        self.d, self.task, self.ladder, self.source, self.target = d, task, ladder, source, target
        self.tick, self.report, self.cell = tick, report, cell
        self.random = random.Random(seed)
        self.names = topics.topics_of(d.kafka, task.prefix)

    def behind(self, half):
        return self.ladder.tick > (self.tick.n if half == "capture" else target_tick(self.target, self.ladder.database))

    def active(self, half):
        """The worker that holds the unit: of twins, the one that claimed last."""
        workers = [w for w in self.d.workers if w.half == half and w.running]
        event = "event=claimed" if half == "capture" else "event=target_claimed"

        def last(worker):
            lines = [line for line in worker.log.splitlines() if event in line]
            return lines[-1][:30] if lines else ""
        return max(workers, key=last)

    def position(self, half):
        return self.tick.n if half == "capture" else target_tick(self.target, self.ladder.database)

    def once(self, half, twin):
        worker = self.active(half)
        for _ in range(10):  # a process that has just nothing to do is let go on
            self.d.wait(lambda: self.behind(half), f"work for {half}", 30)
            time.sleep(self.random.random() * 0.3)  # anywhere in its work
            worker.freeze()
            kill = Kill(self.cell, half, *observe(worker, self.d, self.task, self.ladder, lambda: self.ladder.tick,
                                                  self.tick, self.target, self.names))
            if kill.in_flight:
                break
            worker.thaw()
        worker.freeze()
        worker.kill()
        time.sleep(0.05)  # what it had on the way is there or lost
        at = self.position(half)
        if not twin:
            worker.start()
        begin = time.monotonic()
        self.d.wait(lambda: self.position(half) > at, f"{half} goes on after kill {len(self.report.kills)}", RECOVERY_SECONDS)
        kill.first_change_ms = (time.monotonic() - begin) * 1000
        if twin:
            worker.start()
            self.d.wait(lambda: worker.ready, f"{worker} ready")
        self.report.add(kill)
        return kill

    def run(self, kills, twin=False):
        halves = ["capture", "apply"] * (kills // 2 + 1)
        for half in halves[:kills]:
            self.once(half, twin)
