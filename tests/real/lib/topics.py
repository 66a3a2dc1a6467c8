"""The topics as a stranger reads them: confluent-kafka, fastavro, JSON; nothing of the product.

An Event is one row change; `scan` gives every partition's events in order. Schemas of the built-in registry are read
from its topic. `Void` knows, from the progress topic, which rows no reader may believe (docs/formats.md): a row
(epoch, seq) is void if a later epoch began at from_seq < seq.
"""

import io
import json
import struct
import time
from dataclasses import dataclass

import fastavro
from confluent_kafka import Consumer, KafkaError, TopicPartition

END_SECONDS = 30


@dataclass
class Event:
    topic: str
    partition: int
    offset: int
    key: object
    op: str          # c u d r; None: a tombstone
    before: dict
    after: dict
    source: dict

    @property
    def id(self):
        return self.source["millrace_inc"], self.source["millrace_epoch"], self.source["millrace_seq"]


def records(bootstrap, topics, isolation="read_committed"):
    """Every record of the topics up to their present ends, partition by partition in order."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "checker", "enable.auto.commit": False,
                         "isolation.level": isolation, "enable.partition.eof": True, "auto.offset.reset": "error",
                         "fetch.wait.max.ms": 20})
    try:
        known = consumer.list_topics(timeout=30).topics
        parts = [TopicPartition(topic, p, 0) for topic in topics for p in known[topic].partitions]
        for part in parts:
            part.offset = consumer.get_watermark_offsets(part, timeout=30)[0]
        consumer.assign(parts)
        left = {(part.topic, part.partition) for part in parts}
        heard = time.monotonic()
        while left:
            messages = consumer.consume(5000, 0.02)
            if messages:
                heard = time.monotonic()
            elif time.monotonic() > heard + END_SECONDS:
                raise AssertionError(f"no end of the partitions {left} within {END_SECONDS} s")
            for message in messages:
                if message.error() is None:
                    yield message
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    left.discard((message.topic(), message.partition()))
                else:
                    raise AssertionError(str(message.error()))
    finally:
        consumer.close()


class Schemas:
    """The built-in registry, read from its topic: the first record of an id owns it."""

    def __init__(self, bootstrap):
        self.parsed = {}
        for message in records(bootstrap, ["millrace.schemas"]):
            entry = json.loads(message.value())
            if entry["id"] not in self.parsed:
                self.parsed[entry["id"]] = fastavro.parse_schema(json.loads(entry["schema"]))

    def decode(self, data):
        magic, number = struct.unpack(">bI", data[:5])
        assert magic == 0, f"magic byte {magic}"
        body = io.BytesIO(data[5:])
        value = fastavro.schemaless_reader(body, self.parsed[number])
        assert body.tell() == len(data) - 5, "bytes left after an Avro value"
        return value


def decoder(bootstrap, format):
    if format == "json":
        return lambda data: json.loads(data)
    schemas = Schemas(bootstrap)
    return schemas.decode


def scan(bootstrap, topics, format="avro", isolation="read_committed"):
    decode = decoder(bootstrap, format)
    for message in records(bootstrap, topics, isolation):
        place = message.topic(), message.partition(), message.offset()
        key = decode(message.key())
        if message.value() is None:
            yield Event(*place, key, None, None, None, {})
            continue
        value = decode(message.value())
        yield Event(*place, key, value["op"], value["before"], value["after"], value["source"])


class Void:
    """Epochs of a task's progress topic: which (epoch, seq) are void."""

    def __init__(self, bootstrap, progress_topic):
        self.from_seq = {}
        self.inc = None  # the newest incarnation
        self.cuts = []
        claimed = {}
        for message in records(bootstrap, [progress_topic]):
            kind, *rest = message.key().decode().split("/")
            partition = message.partition()
            if message.value() is None:
                continue
            value = json.loads(message.value())
            if kind == "claim":
                claimed[partition] = max(claimed.get(partition, 0), int(rest[0]))
            elif kind in ("epoch", "progress") and int(rest[0]) >= claimed.get(partition, 0):
                if kind == "epoch":
                    self.from_seq[value["epoch"]] = value["from_seq"]
                    self.inc = value.get("inc")
                else:
                    self.cuts.append(value)

    def __call__(self, event):
        _, epoch, seq = event.id
        return any(later > epoch and start < seq for later, start in self.from_seq.items())


class Findings(AssertionError):
    pass


def note(problems, text, event):
    problems.append(f"{text} at {event.topic}/{event.partition}@{event.offset} id {event.id}")


class Identities:
    """No (incarnation, epoch, seq) twice, none out of order in a partition, none missing below the highest."""

    def __init__(self):
        self.seen = {}
        self.last = {}
        self.problems = []

    def feed(self, event):
        inc, epoch, seq = event.id
        partition = event.topic, event.partition
        place = event.topic, event.partition, event.offset
        if (inc, seq) in self.seen:
            note(self.problems, f"seq {seq} again, first at {self.seen[inc, seq]}", event)
        self.seen[inc, seq] = place
        last = self.last.get(partition)
        if last is not None and (epoch, seq) <= last:
            note(self.problems, f"out of order behind {last}", event)
        self.last[partition] = epoch, seq

    def gaps(self, others):
        """Seqs that nothing carries; others: those of event records."""
        have = {seq for _, seq in self.seen} | set(others)
        return sorted(set(range(min(have), max(have) + 1)) - have) if have else []


class Ladder:
    """Every key's versions unbroken: each change is the last version + 1, a delete shows the last one."""

    def __init__(self, key="k", version="v", tombstones=True):
        self.key, self.version, self.tombstones = key, version, tombstones
        self.state = {}  # key -> (present, version)
        self.problems = []
        self.counts = dict.fromkeys("crud", 0)
        self.deleted = {}  # (partition, key) -> offset of a delete whose tombstone is still to come

    def feed(self, event):
        key = event.key[self.key]
        place = event.topic, event.partition, key
        if event.op is None:
            if self.tombstones and self.deleted.pop(place, None) is None:
                self.problems.append(f"tombstone of {key} without its delete at {event.partition}@{event.offset}")
            return
        if self.deleted.pop(place, None) is not None:
            note(self.problems, f"key {key}: delete without its tombstone before", event)
        self.counts[event.op] += 1
        if event.op == "d" and self.tombstones:
            self.deleted[place] = event.offset
        self.step(key, event)

    def step(self, key, event):
        present, last = self.state.get(key, (None, None))
        before = event.before[self.version] if event.before else None
        after = event.after[self.version] if event.after else None
        if last is not None:
            expected = {"c": (False, None, last + 1), "u": (True, last, last + 1), "d": (True, last, None),
                        "r": (True, None, last)}[event.op]
            if (present, before, after) != expected:
                note(self.problems, f"key {key} {event.op}: ({present}, {before}, {after}), not {expected}", event)
        elif event.op == "u" and after != before + 1:
            note(self.problems, f"key {key} u: {before} -> {after}", event)
        self.state[key] = (False, before) if event.op == "d" else (True, after)

    def finish(self, rows):
        """rows: key -> version of the source at the end."""
        for place in self.deleted:
            self.problems.append(f"{place}: delete without its tombstone")
        present = {key: version for key, (there, version) in self.state.items() if there}
        for key in sorted(rows.keys() | present.keys()):
            if rows.get(key) != present.get(key):
                self.problems.append(f"key {key}: source ends at {rows.get(key)}, topic at {present.get(key)}")


def topics_of(kafka, prefix):
    """Data topics of a task, by its prefix."""
    return sorted(name for name in kafka.topics() if name.startswith(prefix + "."))


def check_ladder(bootstrap, topic, rows, format="avro", void=None, others=(), all_topics=None, inc=None):
    """rows: key -> v of the source now. Raises Findings. Gives back the Ladder for its counts.

    void: leave out what the progress topic makes void (delivery: fast, or after a torn transaction; tombstones, which
    carry no identity, are then not checked); without it every committed row counts. all_topics: further topics of the
    task, for the density of seqs (others: event seqs). inc: only this incarnation (tombstones are not checked)."""
    ladder, identities = Ladder(tombstones=void is None and inc is None), Identities()
    for event in scan(bootstrap, [topic], format):
        if event.op is not None:
            if (void is not None and void(event)) or inc not in (None, event.id[0]):
                continue
            identities.feed(event)
        ladder.feed(event)
    ladder.finish(rows)
    for event in scan(bootstrap, all_topics or [], format):
        if event.op is not None and not (void is not None and void(event)):
            identities.feed(event)
    problems = ladder.problems + identities.problems
    if all_topics is not None:
        gaps = identities.gaps(others)
        problems += [f"{len(gaps)} seqs missing: {gaps[:10]}"] if gaps else []
    if problems:
        raise Findings("\n".join([f"{len(problems)} findings in {topic}", *problems[:20]]))
    return ladder
