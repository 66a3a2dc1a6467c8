"""An Iceberg lakehouse as a target: what its tables hold, as PyIceberg and DuckDB read them, against the source.

Cells are in the form of lib.lake (Iceberg's units); the source is read by PyMySQL.
"""

import datetime
import json
import os
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pymysql
from pyiceberg.exceptions import NoSuchTableError

from lib import s3
from lib.lake import Duck, Warehouse, cell, normal

SAMPLE = 4


class Lakehouse(Warehouse):
    sink_type = "iceberg"
    removes_metadata = True  # somebody removes metadata.json that a table does not remember

    def __init__(self, folder, parameters=""):
        super().__init__(folder)
        (self.folder / "lake").mkdir(exist_ok=True)
        self.uri += parameters
        self.duck, self.secret = None, {}

    def load(self, table):
        """The table as PyIceberg sees it now; None: there is none."""
        try:
            return self.pyiceberg(table)
        except NoSuchTableError:
            return None

    def read(self, table, duck=False, snapshot=None):
        """(names, rows) of the present snapshot, or another one."""
        loaded = self.load(table)
        if loaded is None:
            return None
        if loaded.current_snapshot() is None:
            return [f.name for f in loaded.schema().fields], []
        if not duck:
            return normal(loaded.scan(snapshot_id=snapshot).to_arrow())
        return self.duckdb().read(loaded.metadata_location, snapshot or loaded.current_snapshot().snapshot_id)

    def duckdb(self):
        self.duck = self.duck or Duck(**self.secret)
        return self.duck

    def stored(self, prefix):
        """{path: size} of the files whose path begins so, whole ones (what Java puts beside each of its own left out)."""
        found = {}
        for folder, _, names in os.walk(path_of(self.location)):
            for path in (f"{folder}/{name}" for name in names if not name.endswith(".crc")):
                try:
                    found[path] = os.path.getsize(path)
                except FileNotFoundError:
                    pass
        return {path: size for path, size in found.items() if path.startswith(prefix)}

    def litter(self, path, ms):
        """A file of that age."""
        Path(path).write_bytes(b"x")
        os.utime(path, (ms / 1000, ms / 1000))

    def snapshots(self, table):
        """Of main, oldest first."""
        loaded = self.load(table)
        by_id = {s.snapshot_id: s for s in loaded.snapshots()}
        at, chain = loaded.current_snapshot(), []
        while at is not None:
            chain.append(at)
            at = by_id.get(at.parent_snapshot_id)
        return chain[::-1]


class S3Lakehouse(Lakehouse):
    """The tables in a bucket, the catalog beside the workers. endpoint: where the workers look; readers ask the server."""

    def __init__(self, folder, server, bucket, endpoint=None, parameters=""):
        super().__init__(folder)
        self.server, self.bucket, self.location = server, bucket, f"s3://{bucket}/lake"
        self.uri = (f"iceberg+sql://{server.key}:{server.secret}@{self.database}?warehouse={self.location}"
                    f"&s3.endpoint={endpoint or server.endpoint}&s3.region=us-east-1{parameters}")
        self.properties = {"s3.endpoint": server.endpoint, "s3.region": "us-east-1", "s3.access-key-id": server.key,
                           "s3.secret-access-key": server.secret}
        self.secret = {"key_id": server.key, "secret": server.secret, "region": "us-east-1", "url_style": "path",
                       "endpoint": f"127.0.0.1:{server.port}", "use_ssl": "false"}

    def stored(self, prefix):
        found = {f"s3://{self.bucket}/{key}": size for key, size in s3.keys(self.server, self.bucket).items()}
        return {path: size for path, size in found.items() if path.startswith(prefix)}

    def litter(self, path, ms):
        key = path.removeprefix(f"s3://{self.bucket}/")
        s3.client(self.server.endpoint).put_object(Bucket=self.bucket, Key=key, Body=b"x")
        os.utime(self.server.data / "buckets" / self.bucket / key, (ms / 1000, ms / 1000))


def source_cell(value):
    if isinstance(value, datetime.timedelta):
        return value // datetime.timedelta(microseconds=1)
    return cell(value)


def read_source(server, database, table):
    """(names, rows), or None: no such table."""
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET time_zone = '+00:00'")
        try:
            cursor.execute(f"SELECT * FROM `{database}`.`{table}`")
        except pymysql.err.ProgrammingError:
            return None
        return [c[0] for c in cursor.description], [tuple(source_cell(v) for v in row) for row in cursor.fetchall()]


def plain(value):
    """BIGINT UNSIGNED is a decimal there, a number here."""
    return str(value) if isinstance(value, int) else value


def difference(want, got, what):
    """None: the same columns and rows, whatever their order."""
    if want is None or got is None:
        return None if want is got else f"{what}: {'there is no table' if got is None else 'the source has none'}"
    missing = [name for name in want[0] if name not in got[0]]
    if missing or len(got[0]) != len(want[0]):
        return f"{what}: columns {want[0]} became {got[0]}"
    at = [got[0].index(name) for name in want[0]]
    lost = Counter(tuple(map(plain, row)) for row in want[1])
    more = Counter(tuple(plain(row[i]) for i in at) for row in got[1])
    lost, more = lost - more, more - lost
    if not lost and not more:
        return None
    return (f"{what}: {sum(lost.values())} rows missing {list(lost)[:SAMPLE]}, "
            f"{sum(more.values())} too many {list(more)[:SAMPLE]}")


def equal(d, task, lake, source, tables, seconds=60, duck=True):
    """Waits until PyIceberg reads what the source has in each `database.table`; DuckDB must read the same then."""
    end = time.monotonic() + seconds
    left = list(tables)
    while left:
        found = difference(read_source(source, *left[0].split(".")), lake.read(left[0]), left[0])
        if found is None:
            left.pop(0)
            continue
        if time.monotonic() > end:
            raise AssertionError(f"{found}\n{json.dumps(d.show(task), indent=1) if task else ''}")
        d.check_alive()
        time.sleep(0.2)
    for table in tables if duck else ():
        found = difference(read_source(source, *table.split(".")), lake.read(table, duck=True), f"DuckDB, {table}")
        assert found is None, found


def tick(lake, table):
    """The number in a table of one row (Ladder's tick, Marker's row)."""
    found = lake.read(table)
    return found[1][0][found[0].index("n")] if found and found[1] else 0


@dataclass
class Range:
    snapshot: int
    owner: tuple
    inc: str
    cut: tuple
    parts: dict  # partition -> offset


def ranges(lake, table, task):
    """What each snapshot of the table says it applied."""
    out = []
    for s in lake.snapshots(table):
        text = s.summary.additional_properties.get(f"millrace.{task.id}")
        owner = s.summary.additional_properties.get("millrace.owner")
        if owner is None:  # another program's
            continue
        if text is None:
            out.append(Range(s.snapshot_id, tuple(map(int, owner.split("/"))), None, None, None))
            continue
        state = json.loads(text)
        parts = {(t, p): v[0] for t, of in state["parts"].items() for p, v in of.items()}
        cut = next(iter(state["cut"].values()), [0, 0])
        out.append(Range(s.snapshot_id, tuple(map(int, owner.split("/"))), state["inc"], tuple(map(int, cut)), parts))
    return out


def check_ranges(lake, table, task):
    """Every offset range is in exactly one snapshot: cuts, offsets and owners only grow, and a snapshot that has rows
    goes further than the one before. Gives back how many there are."""
    all_of_them = ranges(lake, table, task)
    owner, last = 0, None
    for r in all_of_them:
        assert r.owner[0] >= owner, f"{table}: {r} behind owner {owner}"
        owner = r.owner[0]
        if r.cut is None:  # a claim, a compaction
            continue
        if last is not None and last.inc == r.inc:  # a restarted task begins anew
            assert r.cut >= last.cut and r.owner[2] > last.owner[2], f"{table}: {r} behind {last}"
            for part, offset in last.parts.items():
                assert r.parts.get(part, -1) >= offset, f"{table}: {r} behind {last}"
        last = r
    return len(all_of_them)


def path_of(location):
    """Of a local file; Java says file:/path."""
    return location.removeprefix("file://").removeprefix("file:")


def reached(loaded):
    """({path: size} of the files that some snapshot reaches, paths of metadata.json that the table remembers), as
    PyIceberg reads them."""
    files = {}
    for snapshot in loaded.snapshots():
        files[path_of(snapshot.manifest_list)] = None
        for manifest in snapshot.manifests(loaded.io):
            files[path_of(manifest.manifest_path)] = manifest.manifest_length
            for entry in manifest.fetch_manifest_entry(loaded.io, discard_deleted=True):
                files[path_of(entry.data_file.file_path)] = entry.data_file.file_size_in_bytes
    log = [path_of(e.metadata_file) for e in loaded.metadata.metadata_log] + [path_of(loaded.metadata_location)]
    return files, log


def replaced(loaded):
    """Summaries of the compactions that the table still tells of."""
    return [s.summary.additional_properties for s in loaded.snapshots() if s.summary.operation.value == "replace"]
