"""Every offset range lies in exactly one snapshot: each snapshot's rows are what the topic's records say up to the offsets
that the snapshot says it applied, read by DuckDB and confluent-kafka.

A range applied twice, not at all, or in another snapshot than the one that counts it shows as rows that differ.
"""

from collections import Counter
from dataclasses import dataclass

from lib import topics
from lib.lakehouse import ranges


class Findings(AssertionError):
    pass


@dataclass
class Snapshot:
    id: int
    offsets: dict  # partition -> offset of the last record applied
    rows: object   # () -> its rows, tuples of `columns`


@dataclass
class Record:
    partition: int
    offset: int
    key: object
    row: tuple  # None: the key is deleted


class Fold:
    """The rows of a topic up to offsets that only grow."""

    def __init__(self, records):
        self.left = {}
        for record in sorted(records, key=lambda r: -r.offset):
            self.left.setdefault(record.partition, []).append(record)
        self.at, self.rows = {}, {}

    def advance(self, offsets):
        for partition, offset in offsets.items():
            if offset < self.at.get(partition, -1):
                raise Findings(f"partition {partition} goes back from {self.at[partition]} to {offset}")
            self.at[partition] = offset
            left = self.left.get(partition, [])
            while left and left[-1].offset <= offset:
                self.apply(left.pop())

    def apply(self, record):
        if record.row is None:
            self.rows.pop(record.key, None)
        else:
            self.rows[record.key] = record.row

    def unread(self):
        return sum(map(len, self.left.values()))


def check(snapshots, records, what="table"):
    """snapshots: oldest first. Every record must be counted by the last one. Gives back how many ranges there were."""
    fold, found = Fold(records), 0
    for snapshot in snapshots:
        before = dict(fold.at)
        fold.advance(snapshot.offsets)
        found += fold.at != before
        want, got = Counter(fold.rows.values()), Counter(snapshot.rows())
        lost, more = want - got, got - want
        if lost or more:
            raise Findings(f"{what} at {snapshot.id}, offsets {snapshot.offsets}: {sum(lost.values())} rows missing such as "
                           f"{next(iter(lost), None)}, {sum(more.values())} too many such as {next(iter(more), None)}")
    if fold.unread():
        raise Findings(f"{what}: {fold.unread()} records are in no snapshot")
    return found


def snapshots_of(lake, table, task, columns):
    """Those of main that carry a checkpoint of the task."""
    location = lake.load(table).metadata_location

    def rows(snapshot):
        names, found = lake.duckdb().read(location, snapshot)
        at = [names.index(c) for c in columns]
        return [tuple(row[i] for i in at) for row in found]
    return [Snapshot(r.snapshot, {int(p): offset for (_, p), offset in r.parts.items()}, lambda id=r.snapshot: rows(id))
            for r in ranges(lake, table, task) if r.parts is not None]


def records_of(d, task, topic, key, columns):
    void = topics.Void(d.kafka.bootstrap, task.progress_topic)
    return [Record(e.partition, e.offset, e.key[key], tuple(e.after[c] for c in columns) if e.after else None)
            for e in topics.scan(d.kafka.bootstrap, [topic]) if e.op is not None and not void(e)]


def check_table(d, lake, task, table, key, columns):
    """A table of integers and texts that stands still. Gives back the snapshots for further checks."""
    snapshots = snapshots_of(lake, table, task, columns)
    check(snapshots, records_of(d, task, f"{task.prefix}.{table}", key, columns), table)
    return snapshots


def check_sum(snapshots, accounts, total):
    """The second column has that sum wherever all accounts are there: every transaction is whole. Gives back where."""
    whole = [s for s in snapshots if len(s.rows()) == accounts]
    for snapshot in whole:
        found = sum(row[1] for row in snapshot.rows())
        if found != total:
            raise Findings(f"the accounts at {snapshot.id} have {found}, not {total}")
    return len(whole)
