"""Iceberg tables of lake/ read by PyIceberg and DuckDB: equal to the truth at every snapshot; commits that are killed
at every durable step, and commits that lose races."""

import os
import random
import signal
import sqlite3

import pytest

from lib import readers, spark, trino
from lib.lake import Died, Driver, Duck, Expected, Refused, Truth, Warehouse, read_pyiceberg

FIELDS = [("id", "long"), ("a", "int"), ("b", "double"), ("c", "string"), ("d", "decimal(9,2)"), ("e", "decimal(20, 4)"),
          ("f", "timestamp"), ("g", "date"), ("h", "boolean"), ("i", "timestamptz"), ("u", "uuid"), ("m", "float"),
          ("bin", "binary"), ("t", "time")]
SCHEMA = {"type": "struct", "schema-id": 0, "identifier-field-ids": [1],
          "fields": [{"id": n, "name": name, "required": n == 1, "type": type}
                     for n, (name, type) in enumerate(FIELDS, 1)]}
NARROW = {"type": "struct", "schema-id": 0, "identifier-field-ids": [1],
          "fields": [{"id": 1, "name": "id", "required": True, "type": "long"},
                     {"id": 2, "name": "v", "required": False, "type": "string"}]}
BASE_CHANGED = 3046


@pytest.fixture(scope="session")
def driver(binaries):
    path = binaries.folder.parent / "bench" / "lake_driver"
    assert os.access(path, os.X_OK), f"{path} is not built"
    return path


@pytest.fixture
def warehouse(work, request):
    return Warehouse(work / "lake" / request.node.name.replace("[", "-").rstrip("]"))


def make_cell(rng, type):
    kind = type.split("(")[0]
    if rng.random() < 0.1:
        return None
    if kind in ("int", "date"):
        return rng.choice([0, -1, 2**31 - 1, -2**31, rng.randrange(10**6)]) if kind == "int" else rng.randrange(30000)
    if kind in ("long",):
        return rng.choice([0, 2**63 - 1, -2**63, rng.randrange(10**15)])
    if kind in ("float", "double"):
        return rng.choice(["nan", "inf", "-0.0", repr(rng.randrange(-10**5, 10**5) * 0.25)])
    if kind == "decimal":
        precision, scale = (int(x) for x in type[8:-1].split(","))
        digits = str(rng.randrange(10**rng.randint(1, precision))).rjust(scale + 1, "0")
        sign = "-" if rng.random() < 0.5 and int(digits) else ""
        return f"{sign}{digits[:-scale]}.{digits[-scale:]}"
    if kind == "string":
        return rng.choice(["", "x" * 40, "é" * 20, "日本語" * 9, f"row {rng.randrange(10**9)}"])
    if kind == "uuid":
        return rng.randbytes(16).hex()
    if kind == "binary":
        return rng.randbytes(rng.randrange(30)).hex()
    if kind == "boolean":
        return rng.randrange(2)
    if kind == "time":
        return rng.randrange(86_400_000_000)
    return rng.randrange(2 * 10**15)


class History:
    """A table with its truth, written step by step."""

    def __init__(self, driver, warehouse, version, schema, seed, table="t"):
        self.d, self.warehouse, self.rng, self.table = driver, warehouse, random.Random(seed), f"ns.{table}"
        self.truth, self.snapshots, self.next_id = Truth(schema), [], 0
        self.d.run(op="create", table=["ns", table], version=version, schema=schema)

    def rows(self, n, ids=None):
        ids = range(self.next_id, self.next_id + n) if ids is None else ids
        self.next_id = max(self.next_id, *ids) + 1
        return [[i] + [make_cell(self.rng, f["type"]) for f in self.truth.fields[1:]] for i in ids]

    def commit(self, add=None, delete=None, drop=(), group_rows=0, **more):
        """add {name: rows}, delete {name: positions}."""
        add, delete = add or {}, {name: sorted(p) for name, p in (delete or {}).items()}
        files = [{"name": name, "rows": rows, "group_rows": group_rows} for name, rows in add.items()]
        for name, positions in delete.items():
            self.truth.delete(name, positions)
        for name in drop:
            self.truth.drop(name)
        for name, rows in add.items():
            self.truth.append(name, rows)
        answer = self.d.run(op="commit", files=files, delete=delete, drop=list(drop), **more)
        self.snapshots.append((answer["snapshot"], Expected(self.truth)))

    def change(self, *changes):
        self.d.run(op="schema", changes=list(changes))
        for change in changes:
            self.truth.change(**change)

    def check(self):
        table, duck = self.warehouse.pyiceberg(self.table), Duck()
        for snapshot, expected in self.snapshots:
            expected.check(*read_pyiceberg(table, snapshot), f"PyIceberg at {snapshot}")
            expected.check(*duck.read(table.metadata_location, snapshot), f"DuckDB at {snapshot}")


def live_through_everything(h):
    """Appends, upserts with replaced deletes, a claim, every kind of schema change, a whole-file delete, a compaction."""
    h.commit(add={"f1": h.rows(900)}, group_rows=300)
    h.commit(add={"f2": h.rows(200)})
    # An upsert: rows of both files, and new ones.
    h.commit(add={"f3": h.rows(0, ids=[*range(50), *range(2000, 2100)])},
             delete={"f1": range(50), "f2": range(0, 200, 7)})
    # Again: the vectors are replaced by larger ones, and rows of the upsert itself go.
    h.commit(add={"f4": h.rows(0, ids=range(10, 30))}, delete={"f1": range(300, 700, 3), "f3": range(10, 30)})
    h.commit(claim=True)
    h.change({"kind": "drop", "id": 3}, {"kind": "rename", "id": 4, "name": "customer"},
             {"kind": "widen", "id": 2, "type": "long"}, {"kind": "widen", "id": 12, "type": "double"},
             {"kind": "widen", "id": 5, "type": "decimal(18, 2)"}, {"kind": "add", "name": "b", "type": "string"},
             {"kind": "move", "id": 9, "after": 1})
    h.commit(add={"f5": h.rows(150)}, delete={"f4": range(5)})
    h.commit(delete={"f5": range(0, 150, 2), "f1": [899]})
    h.commit(drop=["f2"])
    # A compaction by hand: two files become one, their vectors go with them.
    merged = [[row.get(f["id"]) for f in h.truth.fields] for name in ("f3", "f4")
              for row in h.truth.files[name] if row is not None]
    h.commit(add={"f6": merged}, drop=["f3", "f4"], operation="replace")


@pytest.mark.parametrize("version", [2, 3])
def test_every_snapshot_reads_as_the_truth_after_upserts_schema_changes_and_whole_file_deletes(
        driver, warehouse, version):
    with Driver(driver, warehouse.uri) as d:
        h = History(d, warehouse, version, SCHEMA, seed=version)
        live_through_everything(h)
        h.check()
        table = warehouse.pyiceberg("ns.t")
        summary = table.current_snapshot().summary
        live = len(h.truth.rows())
        assert int(summary["total-records"]) - int(summary["total-position-deletes"]) == live


@pytest.mark.parametrize("version", [2, 3])
def test_more_deletes_than_a_container_holds_and_positions_above_65536_are_read(driver, warehouse, version):
    with Driver(driver, warehouse.uri) as d:
        h = History(d, warehouse, version, NARROW, seed=1)
        h.commit(add={"f1": [[i, f"v{i}"] for i in range(80_000)]}, group_rows=30_000)
        h.commit(delete={"f1": [*range(60_000, 72_000), *range(1, 60_000, 9)]})
        h.commit(delete={"f1": [0, 72_001, 79_999]}, add={"f2": [[10**6, None]]})
        h.snapshots = h.snapshots[1:]
        h.check()


@pytest.mark.parametrize("version", [2, 3])
def test_a_compaction_keeps_rows_lineage_and_the_deletes_that_come_meanwhile(driver, warehouse, version):
    with Driver(driver, warehouse.uri) as d:
        h = History(d, warehouse, version, SCHEMA, seed=version)
        h.commit(add={"f1": h.rows(300)}, group_rows=100)
        h.commit(add={"f2": h.rows(300)}, delete={"f1": range(0, 300, 3)})
        h.change({"kind": "drop", "id": 3}, {"kind": "widen", "id": 2, "type": "long"})
        h.commit(add={"f3": h.rows(100)}, delete={"f2": range(10)})
        before = lineage(warehouse) if version == 3 else None
        d.run(op="rewrite", files=["f1", "f2"])
        # The table goes on: one file gets more deletes, the other too, and rows come.
        h.commit(delete={"f1": [1, 2, 299], "f2": [10, 298]}, add={"f4": h.rows(10)})
        assert d.run(op="swap", name="f5")["translated"] == 5
        merged = [row for name in ("f1", "f2") for row in h.truth.files.pop(name)]
        # Only rows that were live when the rewrite read them have a place in the new file.
        h.truth.files["f5"] = [row for n, row in enumerate(merged)
                               if not (n < 300 and n % 3 == 0) and not 300 <= n < 310]
        h.snapshots.append((warehouse.pyiceberg("ns.t").current_snapshot().snapshot_id, Expected(h.truth)))
        if version == 3:
            after = lineage(warehouse)
            live = {row[0] for row in h.truth.rows()}
            assert {i: after[i] for i in before if i in live} == {i: before[i] for i in before if i in live}
            assert len(set(r for r, _ in after.values())) == len(after), "row ids are unique"
        # Deletes of the new file go by its own positions.
        h.commit(delete={"f5": [7, 250]})
        h.check()
        assert warehouse.pyiceberg("ns.t").current_snapshot().summary["total-data-files"] == "3"


def test_expiry_and_orphan_removal_take_only_what_nobody_reaches(driver, warehouse):
    with Driver(driver, warehouse.uri) as d:
        h = History(d, warehouse, 3, NARROW, seed=1)
        for n in range(6):
            h.commit(add={f"f{n}": [[n, f"v{n}"], [n + 100, None]]}, delete={f"f{n - 1}": [0]} if n else None)
        h.commit(drop=["f0"])
        foreign = warehouse.folder / "lake/ns/t/data/foreign.parquet"
        orphan = warehouse.folder / "lake/ns/t/data/millrace-orphan.parquet"
        for path in (foreign, orphan):
            path.write_bytes(b"x")
            os.utime(path, (0, 0))
        gone = files_of(warehouse)
        assert d.run(op="expire", older_than_ms=2**62, keep=2)["files"] > 0
        h.snapshots = h.snapshots[-2:]
        h.check()
        table = warehouse.pyiceberg("ns.t")
        assert [s.snapshot_id for s in table.snapshots()] == [s for s, _ in h.snapshots]
        assert d.run(op="orphans", older_than_ms=1000)["files"] == 1
        assert foreign.exists() and not orphan.exists()
        # Nothing of ours is left that the two snapshots do not need.
        assert d.run(op="orphans", older_than_ms=2**62)["files"] == 0
        assert len(files_of(warehouse)) < len(gone)
        h.check()


def files_of(warehouse):
    return [p for p in (warehouse.folder / "lake/ns/t").rglob("*") if p.is_file()]


def lineage(warehouse):
    """{id: (row id, last updated sequence number)}."""
    table = warehouse.pyiceberg("ns.t")
    rows = Duck().connection.execute("SELECT id, _row_id, _last_updated_sequence_number FROM "
                                     f"iceberg_scan('{table.metadata_location}')").fetchall()
    return {i: (row, updated) for i, row, updated in rows}


def test_manifests_that_are_merged_keep_every_file_at_every_snapshot(driver, warehouse):
    with Driver(driver, warehouse.uri) as d:
        h = History(d, warehouse, 3, NARROW, seed=1)
        for n in range(14):
            h.commit(add={f"f{n}": [[n, f"v{n}"], [n + 100, None]]}, merge_at=4,
                     delete={f"f{n - 2}": [0]} if n >= 2 else None)
        h.check()


def test_pyiceberg_sees_properties_lineage_and_an_exact_log(driver, warehouse):
    with Driver(driver, warehouse.uri) as d:
        h = History(d, warehouse, 3, NARROW, seed=1)
        h.commit(add={"f1": [[1, "a"]]}, properties={"millrace.t": "one"})
        h.commit(add={"f2": [[2, "b"]]}, properties={"millrace.t": "two"}, base=["millrace.t", "one"])
        with pytest.raises(Refused) as refused:
            d.run(op="commit", files=[], claim=True, base=["millrace.t", "one"])
        assert refused.value.code == BASE_CHANGED
        table = warehouse.pyiceberg("ns.t")
        assert table.properties["millrace.t"] == "two"
        assert [s.summary["millrace.t"] for s in table.snapshots()] == ["one", "two"]
        assert [e.snapshot_id for e in table.history()] == [s for s, _ in h.snapshots]
        assert table.metadata.next_row_id == 2
        h.check()


def test_a_catalog_file_that_pyiceberg_made_is_used_as_it_is(driver, warehouse):
    from pyiceberg.catalog.sql import SqlCatalog
    made = SqlCatalog("millrace", uri=f"sqlite:///{warehouse.database}", warehouse=warehouse.location)
    made.create_namespace("ns")
    columns = sqlite3.connect(warehouse.database).execute("PRAGMA table_info(iceberg_tables)").fetchall()
    with Driver(driver, warehouse.uri) as d:
        h = History(d, warehouse, 3, NARROW, seed=1)
        h.commit(add={"f1": [[1, "a"]]})
        h.commit(delete={"f1": [0]})
        h.check()
    assert made.list_tables("ns") == [("ns", "t")]
    assert sqlite3.connect(warehouse.database).execute("PRAGMA table_info(iceberg_tables)").fetchall() == columns


def test_commits_go_on_behind_pyicebergs_overwrite(driver, warehouse):
    with Driver(driver, warehouse.uri) as d:
        h = History(d, warehouse, 2, NARROW, seed=1)
        h.commit(add={"f1": [[i, f"v{i}"] for i in range(20)]})
        h.commit(add={"f2": [[i, None] for i in range(20, 30)]}, delete={"f1": range(5)})
        table = warehouse.pyiceberg("ns.t")
        table.overwrite(table.scan().to_arrow())
        h.commit(add={"f3": [[100, "ours"]]})
        h.snapshots = h.snapshots[-1:]
        h.check()


# Commits that are killed, and commits that race.

POINTS = ["lake.storage.before_sync:1", "lake.storage.before_link:1", "lake.storage.after_link:1",
          "lake.storage.before_link:2", "lake.commit.begin", "lake.commit.rows_manifest", "lake.commit.deletes_manifest",
          "lake.commit.rewrite", "lake.commit.list", "lake.commit.merge", "lake.metadata.before",
          "lake.storage.before_sync:7", "lake.metadata.after", "lake.swap.before", "lake.swap.before_commit",
          "lake.swap.after_commit", "lake.commit.end"]


def batch(number):
    """The ten new rows of a batch; what it deletes: deleted_rows."""
    return [[number * 10 + i, f"batch {number}"] for i in range(10)]


def deleted_rows(number):
    """{batch: rows of it}: of one file the first deletes, of another, which has a vector already, some more."""
    return {n: rows for n, rows in ((number - 2, [0]), (number - 3, [3, 9])) if n >= 0}


def stored(answer):
    return int(answer["properties"].get("millrace.t", "-1"))


def run_batch(d, number, files):
    """What a sink does with its checkpoint: applies the batch unless the table has it."""
    shown = d.run(op="show")
    have = stored(shown)
    assert have in (number - 1, number), f"batch {number} on a table at {have}"
    if have == number:
        return
    paths = files()
    delete = {paths[n]: rows for n, rows in deleted_rows(number).items()}
    d.run(op="commit", files=[{"rows": batch(number)}], delete=delete, merge_at=3,
          properties={"millrace.t": str(number)}, base=["millrace.t", str(have) if have >= 0 else None])


def files_by_batch(warehouse):
    """The data file of each batch, as an independent reader sees them."""
    table = warehouse.pyiceberg("ns.t")
    tasks = table.scan().plan_files()
    lower = {task.file.file_path: int.from_bytes(task.file.lower_bounds[1], "little", signed=True) for task in tasks}
    return {low // 10: path for path, low in lower.items()}


def expected_rows(batches):
    every = [row for n in range(batches) for row in batch(n)]
    gone = {n * 10 + i for number in range(batches) for n, rows in deleted_rows(number).items() for i in rows}
    return sorted(tuple(row) for row in every if row[0] not in gone)


def check_batches(warehouse, batches):
    table = warehouse.pyiceberg("ns.t")
    names, rows = read_pyiceberg(table, table.current_snapshot().snapshot_id)
    assert sorted(rows) == expected_rows(batches)
    assert sorted(Duck().read(table.metadata_location, table.current_snapshot().snapshot_id)[1]) == \
        expected_rows(batches)
    # Every batch is in exactly one snapshot.
    told = [s.summary["millrace.t"] for s in table.snapshots() if "millrace.t" in s.summary.additional_properties]
    assert told == [str(n) for n in range(batches)]


def test_a_commit_killed_at_every_durable_step_is_there_once_or_not_at_all(driver, warehouse):
    with Driver(driver, warehouse.uri) as d:
        d.run(op="create", table=["ns", "t"], version=3, schema=NARROW)
    number, killed = 0, 0
    for point in [None, None, None, *POINTS]:
        d = Driver(driver, warehouse.uri, **({"MILLRACE_FAULT": point} if point else {}))
        try:
            d.run(op="open", table=["ns", "t"])
            run_batch(d, number, lambda: files_by_batch(warehouse))
        except Died:
            killed += 1
        d.close()
        assert (d.process.returncode == -signal.SIGKILL) == bool(point), f"{point}: {d.process.returncode}"
        with Driver(driver, warehouse.uri) as again:
            again.run(op="open", table=["ns", "t"])
            run_batch(again, number, lambda: files_by_batch(warehouse))
        number += 1
    assert killed == len(POINTS)
    check_batches(warehouse, number)


UPKEEP = ["lake.compact.written", "lake.compact.deletes", "lake.commit.rewrite", "lake.swap.before_commit:3",
          "lake.swap.after_commit:3", "lake.compact.committed", "lake.expire.planned", "lake.swap.before_commit:4",
          "lake.swap.after_commit:4", "lake.expire.committed", "lake.expire.remove", "lake.expire.remove:4",
          "lake.orphans.listed", "lake.orphans.remove"]


def upkeep(d, warehouse, n):
    """Rows come, two files become one while a row of theirs goes, old snapshots and files of nobody go. Gives the keys
    that are there behind each commit."""
    orphan = warehouse.folder / f"lake/ns/t/data/millrace-orphan{n}.parquet"
    orphan.parent.mkdir(parents=True, exist_ok=True)
    orphan.write_bytes(b"x")
    os.utime(orphan, (1, 1))
    d.run(op="commit", files=[{"name": f"a{n}", "rows": [[n * 10 + i, "a"] for i in range(5)]}])
    yield {n * 10 + i for i in range(5)}
    d.run(op="rewrite", files=[f"a{n}"])
    d.run(op="commit", files=[{"rows": [[n * 10 + 7, "b"]]}], delete={f"a{n}": [2]})
    yield {n * 10 + i for i in (0, 1, 3, 4, 7)}
    d.run(op="swap", name=f"b{n}")
    d.run(op="expire", older_than_ms=2**62, keep=1)
    d.run(op="orphans", older_than_ms=1000 * 3600)


def test_upkeep_killed_at_every_step_changes_no_row_and_the_next_one_goes_on(driver, warehouse):
    with Driver(driver, warehouse.uri) as d:
        d.run(op="create", table=["ns", "t"], version=3, schema=NARROW)
    there, killed = set(), 0
    for n, point in enumerate([*UPKEEP, None]):
        d = Driver(driver, warehouse.uri, **({"MILLRACE_FAULT": point} if point else {}))
        rows = set()
        try:
            d.run(op="open", table=["ns", "t"])
            for rows in upkeep(d, warehouse, n):
                pass
        except Died:
            killed += 1
        d.close()
        assert (d.process.returncode == -signal.SIGKILL) == bool(point), f"{point}: {d.process.returncode}"
        table = warehouse.pyiceberg("ns.t")
        snapshot = table.current_snapshot().snapshot_id
        names, got = read_pyiceberg(table, snapshot)
        assert sorted(k for k, _ in got) == sorted(there | rows), point
        assert sorted(Duck().read(table.metadata_location, snapshot)[1]) == sorted(got), point
        there |= rows
    assert killed == len(UPKEEP)
    assert [s.snapshot_id for s in table.snapshots()] == [snapshot]
    left = {p.name for p in (warehouse.folder / "lake/ns/t/data").iterdir()}
    assert not any(name.startswith("millrace-orphan") for name in left)


def test_two_committers_that_race_lose_nothing_and_double_nothing(driver, warehouse):
    rounds = 12
    with Driver(driver, warehouse.uri) as d:
        d.run(op="create", table=["ns", "t"], version=3, schema=NARROW)
    with Driver(driver, warehouse.uri) as a, Driver(driver, warehouse.uri) as b:
        both = {"a": a, "b": b}
        for d in both.values():
            d.run(op="open", table=["ns", "t"])
        conflicts = 0
        for n in range(rounds):
            for name, d in both.items():
                d.send(op="commit", files=[{"rows": [[n * 10 + i, name] for i in range(3)]}], merge_at=3,
                       properties={f"millrace.{name}": str(n)},
                       base=[f"millrace.{name}", str(n - 1) if n else None])
            conflicts += sum(d.answer()["conflicts"] for d in both.values())
        table = warehouse.pyiceberg("ns.t")
        _, rows = read_pyiceberg(table, table.current_snapshot().snapshot_id)
        assert sorted(rows) == sorted((n * 10 + i, name) for name in both for n in range(rounds) for i in range(3))
        assert len(table.snapshots()) == 2 * rounds
        assert conflicts > 0, "they never met: the test shows nothing"


def test_of_two_owners_of_one_checkpoint_only_one_commits_a_batch(driver, warehouse):
    rounds = 10
    with Driver(driver, warehouse.uri) as d:
        d.run(op="create", table=["ns", "t"], version=3, schema=NARROW)
    with Driver(driver, warehouse.uri) as a, Driver(driver, warehouse.uri) as b:
        for d in (a, b):
            d.run(op="open", table=["ns", "t"])
        for n in range(rounds):
            for d in (a, b):
                d.send(op="commit", files=[{"rows": [[n, "x"]]}], properties={"millrace.t": str(n)},
                       base=["millrace.t", str(n - 1) if n else None])
            outcomes = []
            for d in (a, b):
                try:
                    outcomes.append(d.answer()["ok"])
                except Refused as refused:
                    assert refused.code == BASE_CHANGED
                    outcomes.append(False)
            assert sorted(outcomes) == [False, True]
        table = warehouse.pyiceberg("ns.t")
        _, rows = read_pyiceberg(table, table.current_snapshot().snapshot_id)
        assert sorted(rows) == [(n, "x") for n in range(rounds)]


# Spark, the Java reference implementation.

# It has no type for a time of day.
WITHOUT_TIME = {**SCHEMA, "fields": [f for f in SCHEMA["fields"] if f["type"] != "time"]}


def compact_and_expire(h):
    """Rows move to other keys; the two files left are written together while rows of both go; the oldest snapshots go."""
    moved = [[row.get(f["id"]) for f in h.truth.fields] for row in h.truth.files["f6"][:20]]
    h.commit(add={"f7": [[9000 + n, *row[1:]] for n, row in enumerate(moved)]}, delete={"f6": range(20)})
    names = sorted(h.truth.files)
    at, place = {}, 0
    for name in names:
        for n, row in enumerate(h.truth.files[name]):
            if row is not None:
                at[name, n], place = place, place + 1
    h.d.run(op="rewrite", files=names)
    last = {name: max(n for key, n in at if key == name) for name in names}
    h.commit(delete={name: [n] for name, n in last.items()})
    assert h.d.run(op="swap", name="f8")["translated"] == len(names)
    rows = {place: h.truth.files[name][n] for (name, n), place in at.items()}
    h.truth.files = {"f8": [rows[n] for n in range(place)]}
    h.snapshots.append((h.warehouse.pyiceberg(h.table).current_snapshot().snapshot_id, Expected(h.truth)))
    h.d.run(op="expire", older_than_ms=2**62, keep=len(h.snapshots) - 3)
    h.snapshots = h.snapshots[3:]
    h.commit(delete={"f8": [0, 5]})


def test_spark_reads_every_snapshot_of_both_formats_as_the_truth(driver, warehouse):
    """One start of Spark: upserts, key changes, every kind of schema change, compactions, expiry."""
    histories = {}
    with Driver(driver, warehouse.uri) as d:
        for version in (2, 3):
            h = History(d, warehouse, version, WITHOUT_TIME, seed=version, table=f"v{version}")
            live_through_everything(h)
            compact_and_expire(h)
            histories[h.table] = h
    found = spark.read_tables(warehouse.database, warehouse.location,
                              {table: [s for s, _ in h.snapshots] for table, h in histories.items()})
    for table, h in histories.items():
        assert warehouse.pyiceberg(table).format_version == int(table[-1])
        for (snapshot, expected), (names, rows) in zip(h.snapshots, found[table], strict=True):
            expected.check(names, rows, f"Spark, {table} at {snapshot}")


@pytest.mark.slow
@pytest.mark.parametrize("version", [2, 3])
def test_commits_go_on_behind_sparks_compaction_and_delete(driver, warehouse, version):
    with Driver(driver, warehouse.uri) as d:
        h = History(d, warehouse, version, NARROW, seed=version)
        h.commit(add={"f1": [[i, f"v{i}"] for i in range(100)]})
        h.commit(add={"f2": [[i, f"v{i}"] for i in range(100, 150)]}, delete={"f1": range(0, 100, 3)})
        statements = ["CALL millrace.system.rewrite_data_files(table => 'ns.t', options => map('rewrite-all', 'true'))",
                      "CALL millrace.system.rewrite_manifests(table => 'ns.t')", "DELETE FROM {t} WHERE id >= 120"]
        (names, rows), = spark.read(warehouse.database, warehouse.location, "ns.t", ["main"], statements)
        h.truth.files = {name: [row for row in kept if row and row[1] < 120] for name, kept in h.truth.files.items()}
        Expected(h.truth).check(names, rows, "Spark behind its own changes")
        h.snapshots = []
        h.commit(add={"f3": [[i, None] for i in range(200, 220)]}, properties={"millrace.t": "1"})
        h.commit(delete={"f3": range(5)})
        h.check()
        (names, rows), = spark.read(warehouse.database, warehouse.location, "ns.t", ["main"])
        h.snapshots[-1][1].check(names, rows, "Spark behind our commits on its files")


# Readers that are too large for every run. ClickHouse reads no deletion vectors, and a time of day as seconds.


@pytest.mark.slow
@pytest.mark.parametrize("reader, version, schema", [("polars", 2, SCHEMA), ("polars", 3, SCHEMA), ("clickhouse", 2, WITHOUT_TIME)])
def test_other_readers_read_every_snapshot_as_the_truth(driver, warehouse, reader, version, schema):
    with Driver(driver, warehouse.uri) as d:
        h = History(d, warehouse, version, schema, seed=version)
        live_through_everything(h)
        metadata = warehouse.pyiceberg("ns.t").metadata_location
        read = readers.read(reader, metadata, [s for s, _ in h.snapshots])
        for (snapshot, expected), (names, rows) in zip(h.snapshots, read, strict=True):
            expected.check(names, rows, f"{reader} at {snapshot}")


@pytest.mark.slow
@pytest.mark.skipif(trino.jdk() is None, reason="Trino needs a JDK 25 (MILLRACE_JDK25)")
def test_trino_reads_every_snapshot_as_the_truth(driver, tmp_path):
    lakes, histories = {f"v{version}": Warehouse(tmp_path / f"v{version}") for version in (2, 3)}, {}
    for name, lake in lakes.items():
        with Driver(driver, lake.uri) as d:
            histories[name] = History(d, lake, int(name[1:]), SCHEMA, seed=int(name[1:]))
            live_through_everything(histories[name])
    with trino.Trino(tmp_path / "trino", **lakes) as t:
        for name, h in histories.items():
            for snapshot, expected in h.snapshots:
                expected.check(*t.read(f"{name}.ns.t", snapshot), f"Trino, {name} at {snapshot}")
