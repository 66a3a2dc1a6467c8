"""MySQL to Kafka to an Iceberg lakehouse: what PyIceberg and DuckDB read is what the source has, row by row."""

import json

import pyarrow.parquet as pq
import pytest

from lib.deploy import CommandFailed, Deployment
from lib.lakehouse import Lakehouse, check_ranges, equal
from lib.workload import Bank, Ladder, Writers

QUICK = {"iceberg.commit.ms": 400}

TYPES = """CREATE TABLE {0}.types (a INT, b VARCHAR(20), ti TINYINT, bu BIGINT UNSIGNED, dc DECIMAL(12,3), dw DECIMAL(38,10),
    f FLOAT, d DOUBLE, s TEXT, bl BLOB, e ENUM('x','yy'), st SET('p','q'), da DATE, dt DATETIME(6), ts TIMESTAMP(3) NULL,
    t TIME(6), y YEAR, PRIMARY KEY (b, a))"""
TYPE_ROWS = [
    (1, "k", -128, 2**64 - 1, "-123456789.125", "-1234567890123456789012345678.0123456789", 1.5, -2.25e300, "Zoë 李雷", b"\0\xff",
     "yy", "p,q", "1970-01-01", "1000-01-01 00:00:00.000001", "2038-01-19 03:14:07.999", "23:59:59.999999", 2155),
    (2, "k", 127, 0, "0.001", "0.0000000001", -0.0, 5e-324, "", b"", "x", "", "9999-12-31", "9999-12-31 23:59:59.999999",
     "1970-01-01 00:00:01.000", "00:00:00", 1901),
    (2, "", None, None, None, None, None, None, None, None, None, None, None, None, None, None, None),
]


def prepare(source, name, keys=1500):
    source.execute(f"DROP DATABASE IF EXISTS {name}")
    ladder = Ladder(name, keys=keys).create(source).fill(source)
    return ladder, Bank(name, accounts=50).create(source)


def fill_types(source, name):
    source.execute(TYPES.format(name))
    with source.connect(autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("SET time_zone = '+00:00'")
        cursor.executemany(f"INSERT INTO {name}.types VALUES ({','.join(['%s'] * 17)})", TYPE_ROWS)


def tables_of(name, *more):
    return [f"{name}.{t}" for t in ("ladder", "ladder_tick", "bank_a", "bank_b", *more)]


@pytest.mark.parametrize("version", [3, pytest.param(2, marks=pytest.mark.slow)])
def test_a_live_database_arrives_in_the_lake(binaries, kafka, tmp_path, mysql97, version):
    name = f"lake_v{version}"
    ladder, bank = prepare(mysql97, name)
    fill_types(mysql97, name)
    lake = Lakehouse(tmp_path / "lake")
    with Deployment(binaries, kafka, tmp_path, {**QUICK, "iceberg.format.version": version, "apply.batch.rows": 40}) as d:
        d.start_both()
        with Writers(mysql97, ladder, bank, pause=0.002):
            task = d.create(name, mysql97, lake, databases=name)
            d.wait_state(task, phase="Incremental Sync")
            at = ladder.steps
            d.wait(lambda: ladder.steps > at + 150, "150 transactions while streaming")
        mysql97.execute(f"UPDATE {name}.types SET b = 'moved', d = 0.5 WHERE b = 'k'", f"DELETE FROM {name}.types WHERE b = ''")
        equal(d, task, lake, mysql97, tables_of(name, "types"))
        assert check_ranges(lake, f"{name}.ladder", task) > 3
        loaded = lake.load(f"{name}.ladder")
        assert loaded.format_version == version
        assert int(loaded.current_snapshot().summary.additional_properties["total-equality-deletes"]) == 0


def plain_table(source, name, rows=40):
    source.execute(f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}",
                   f"CREATE TABLE {name}.t (k INT PRIMARY KEY, a INT, b VARCHAR(20) NOT NULL, gone INT, n DECIMAL(9,2))",
                   f"INSERT INTO {name}.t VALUES " + ",".join(f"({i}, {i * 7}, 'row {i}', {i}, {i}.25)" for i in range(rows)))


def test_definitions_follow_by_field_id_and_what_iceberg_cannot_say_is_loaded_again(binaries, kafka, tmp_path, mysql97):
    name = "lake_ddl"
    plain_table(mysql97, name)
    mysql97.execute(f"CREATE TABLE {name}.u (k INT PRIMARY KEY, v VARCHAR(10))", f"INSERT INTO {name}.u VALUES (1, '1')")
    lake = Lakehouse(tmp_path / "lake")
    with Deployment(binaries, kafka, tmp_path, {**QUICK, "iceberg.format.version": 2}) as d:
        d.start_both()
        task = d.create(name, mysql97, lake, databases=name)
        equal(d, task, lake, mysql97, [f"{name}.t", f"{name}.u"])
        before = {f.name: f.field_id for f in lake.load(f"{name}.t").schema().fields}
        mysql97.execute(f"ALTER TABLE {name}.t ADD COLUMN c VARCHAR(9) AFTER k", f"INSERT INTO {name}.t VALUES (100, 'c', 1, 'x', 2, 1)",
                        f"ALTER TABLE {name}.t MODIFY a BIGINT, MODIFY n DECIMAL(20,2)",
                        f"UPDATE {name}.t SET a = 1 << 40, n = 123456789012.50 WHERE k < 5",
                        f"ALTER TABLE {name}.t DROP COLUMN gone", f"INSERT INTO {name}.t VALUES (101, 'c', 1, 'x', 1)",
                        f"CREATE TABLE {name}.later (k INT PRIMARY KEY)", f"INSERT INTO {name}.later VALUES (7)")
        equal(d, task, lake, mysql97, [f"{name}.t", f"{name}.later"])
        schema = lake.load(f"{name}.t").schema()
        after = {f.name: f.field_id for f in schema.fields}
        assert list(after) == ["k", "c", "a", "b", "n"] and str(schema.find_field("a").field_type) == "long"
        assert {x: after[x] for x in "kabn"} == {x: before[x] for x in "kabn"} and after["c"] > max(before.values())
        mysql97.execute(f"TRUNCATE TABLE {name}.t", f"INSERT INTO {name}.t VALUES (1, NULL, 2, '', NULL)")
        equal(d, task, lake, mysql97, [f"{name}.t"])
        ids = {f.name: f.field_id for f in lake.load(f"{name}.t").schema().fields}
        uuid = lake.load(f"{name}.u").metadata.table_uuid
        mysql97.execute(f"INSERT INTO {name}.t VALUES (2, 'two', 2, 'kept', NULL)",
                        f"ALTER TABLE {name}.t RENAME COLUMN b TO renamed",
                        f"INSERT INTO {name}.t VALUES (3, NULL, 2, '', NULL)",
                        f"ALTER TABLE {name}.u MODIFY v INT", f"INSERT INTO {name}.u VALUES (2, 2)")
        equal(d, task, lake, mysql97, [f"{name}.{t}" for t in ("t", "u", "later")], 90)
        renamed = {f.name: f.field_id for f in lake.load(f"{name}.t").schema().fields}
        assert renamed["renamed"] == ids["b"] and renamed["a"] == ids["a"]
        assert lake.load(f"{name}.u").metadata.table_uuid == uuid
        assert d.show(task)["err-msg"] == ""


def live_rows(snapshot):
    s = snapshot.summary.additional_properties
    return int(s["total-records"]) - int(s["total-position-deletes"])


def test_a_restarted_task_replaces_the_content_in_one_snapshot(binaries, kafka, tmp_path, mysql97):
    name = "lake_again"
    plain_table(mysql97, name, 500)
    lake = Lakehouse(tmp_path / "lake")
    with Deployment(binaries, kafka, tmp_path, QUICK) as d:
        d.start_both()
        task = d.create(name, mysql97, lake, databases=name)
        equal(d, task, lake, mysql97, [f"{name}.t"])
        uuid, full = lake.load(f"{name}.t").metadata.table_uuid, len(lake.snapshots(f"{name}.t"))
        d.verb("pause", task)
        mysql97.execute(f"DELETE FROM {name}.t WHERE k = 3")
        d.verb("restart", task, "-y")
        equal(d, task, lake, mysql97, [f"{name}.t"])
        assert lake.load(f"{name}.t").metadata.table_uuid == uuid
        assert {live_rows(s) for s in lake.snapshots(f"{name}.t")[full - 1:]} == {500, 499}, "a reader saw a gap"
        mysql97.execute(f"UPDATE {name}.t SET a = -1 WHERE k < 9")
        equal(d, task, lake, mysql97, [f"{name}.t"])
        d.wait(lambda: all("_millrace" not in t[1] for t in lake_tables(lake)), "the hidden table is gone", 10)
        d.wait(lambda: not hidden_files(lake), lambda: f"its files are gone: {hidden_files(lake)}", 10)


def hidden_files(lake):
    """What lies in the folders of re-syncs' hidden tables."""
    return [path for path in lake.stored("") if "/_millrace_new_" in path]


def lake_tables(lake):
    from pyiceberg.catalog.sql import SqlCatalog
    catalog = SqlCatalog("millrace", uri=f"sqlite:///{lake.database}", warehouse=lake.location)
    return [t for space in catalog.list_namespaces() for t in catalog.list_tables(space)]


def test_rows_that_find_no_room_are_read_twice_and_arrive_once(binaries, kafka, tmp_path, mysql97):
    name = "lake_twice"
    mysql97.execute(f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}",
                    f"CREATE TABLE {name}.t (k INT PRIMARY KEY, v INT, s VARCHAR(300))")
    lake = Lakehouse(tmp_path / "lake")
    with Deployment(binaries, kafka, tmp_path, {**QUICK, "iceberg.memory.bytes": "4MiB"}) as d:
        worker = d.start_both()[1]
        task = d.create(name, mysql97, lake, databases=name)
        d.wait_state(task, phase="Incremental Sync")
        mysql97.execute("SET cte_max_recursion_depth = 100000",  # each is a cut of more than the 2 MiB that may wait
                        f"INSERT INTO {name}.t WITH RECURSIVE n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n WHERE k < 20000) "
                        "SELECT k, k, REPEAT(k, 40) FROM n",
                        f"UPDATE {name}.t SET v = -v", f"DELETE FROM {name}.t WHERE k % 3 = 0",
                        f"UPDATE {name}.t SET s = REPEAT('x', k % 300) WHERE k % 5 > 0")
        equal(d, task, lake, mysql97, [f"{name}.t"])
        assert "event=rows_read_twice" in worker.log


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["soft", "history"])
def test_deleted_rows_stay_in_soft_and_every_change_in_history(binaries, kafka, tmp_path, mysql97, mode):
    name = f"lake_{mode}"
    mysql97.execute(f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}", f"CREATE TABLE {name}.t (k INT PRIMARY KEY, v INT)",
                    f"INSERT INTO {name}.t VALUES (1, 1), (2, 2)")
    lake = Lakehouse(tmp_path / "lake")
    with Deployment(binaries, kafka, tmp_path, QUICK) as d:
        d.start_both()
        task = d.create(name, mysql97, lake, name, None, "--set", f"iceberg.mode={mode}")
        d.wait_state(task, phase="Incremental Sync")

        def rows():
            found = lake.read(f"{name}.t")
            if not found or not found[1]:
                return []
            at = [found[0].index(x) for x in (["_seq"] if mode == "history" else []) + ["k", "v", "_op"]]
            return [r[-3:] for r in sorted(tuple(row[i] for i in at) for row in found[1])]
        d.wait(lambda: len(rows()) == 2, "the load")
        mysql97.execute(f"UPDATE {name}.t SET v = 20 WHERE k = 2", f"DELETE FROM {name}.t WHERE k = 1", f"INSERT INTO {name}.t VALUES (3, 3)",
                        f"UPDATE {name}.t SET k = 4 WHERE k = 3")
        soft = [(1, 1, "D"), (2, 20, "U"), (3, 3, "D"), (4, 3, "I")]
        history = [(2, 20, "U"), (1, 1, "D"), (3, 3, "I"), (3, 3, "D"), (4, 3, "I")]
        if mode == "soft":
            d.wait(lambda: rows() == soft, lambda: f"{rows()}")
        else:
            d.wait(lambda: rows()[2:] == history, "every change, in order")
            assert sorted(rows()[:2]) == [(1, 1, "I"), (2, 2, "I")]


@pytest.mark.slow
def test_a_table_that_was_rolled_back_stops_until_the_task_is_restarted(binaries, kafka, tmp_path, mysql97):
    name = "lake_back"
    plain_table(mysql97, name)
    lake = Lakehouse(tmp_path / "lake")
    with Deployment(binaries, kafka, tmp_path, {**QUICK, "iceberg.format.version": 2}) as d:
        d.start_both()
        task = d.create(name, mysql97, lake, databases=name)
        for k in range(3):
            mysql97.execute(f"UPDATE {name}.t SET a = -1 WHERE k = {k}")
            equal(d, task, lake, mysql97, [f"{name}.t"])
        loaded, older = lake.load(f"{name}.t"), lake.snapshots(f"{name}.t")[-2]
        loaded.manage_snapshots().rollback_to_snapshot(older.snapshot_id).commit()
        mysql97.execute(f"UPDATE {name}.t SET a = -9 WHERE k = 9")
        d.wait(lambda: "MR3061" in str(d.show(task)), "the table's error")
        d.verb("restart", task, "-y")
        equal(d, task, lake, mysql97, [f"{name}.t"], 90)


@pytest.mark.parametrize("change, code", [
    (lambda uri: uri.replace("iceberg+sql", "iceberg+rest"), "MR4003"),
    (lambda uri: uri.replace("iceberg+sql", "duck"), "MR4003"),
    (lambda uri: uri.split("?")[0], "MR4003"),
    (lambda uri: uri.replace("catalog.db", "no/such/catalog.db"), "MR3023"),
    (lambda uri: uri.replace("file:///", "file:///no/such/"), "MR3023"),
    (lambda uri: uri + "&namespace=ns", "MR4001"),
])
def test_a_wrong_place_is_told_at_create(binaries, kafka, tmp_path, mysql97, change, code):
    for name in ("lake_bad", "lake_bad2"):
        plain_table(mysql97, name, 1)
    lake = Lakehouse(tmp_path / "lake")
    lake.uri = change(lake.uri)
    with Deployment(binaries, kafka, tmp_path) as d:
        with pytest.raises(CommandFailed) as failed:
            d.create("lake_bad", mysql97, lake, databases="lake_bad,lake_bad2")
        assert code in failed.value.err and "Remedy" in failed.value.err


def test_a_commit_of_a_whole_task_and_a_table_of_another_task_are_refused(binaries, kafka, tmp_path, mysql97):
    plain_table(mysql97, "lake_owned", 1)
    lake = Lakehouse(tmp_path / "lake")
    with Deployment(binaries, kafka, tmp_path, QUICK) as d:
        with pytest.raises(CommandFailed, match="MR4001"):
            d.create("lake_owned", mysql97, lake, databases="lake_owned", consistency="task")
        d.start_both()
        task = d.create("lake_owned", mysql97, lake, databases="lake_owned")
        equal(d, task, lake, mysql97, ["lake_owned.t"])
        with pytest.raises(CommandFailed, match="MR3060"):
            d.create("lake_other", mysql97, lake, databases="lake_owned")
        shown = json.loads(d.command("iceberg", "show", "lake_owned.t", "--sink-uri", lake.uri).stdout)
        assert shown["task"] == task.id and shown["checkpoint"]["loads"]["own"]
        files = json.loads(d.command("iceberg", "files", "lake_owned.t", "--sink-uri", lake.uri).stdout)
        assert [f["rows"] - f["deleted"] for f in files] == [1]
        history = json.loads(d.command("iceberg", "history", "lake_owned.t", "--sink-uri", lake.uri).stdout)
        assert [h["id"] for h in history] == [s.snapshot_id for s in lake.snapshots("lake_owned.t")]
        d.drop(task)
        other = d.create("lake_other", mysql97, lake, databases="lake_owned")  # it belongs to nobody now
        mysql97.execute("UPDATE lake_owned.t SET a = 99")
        equal(d, other, lake, mysql97, ["lake_owned.t"])


def test_times_beyond_a_day_stop_their_table_or_are_strings_when_asked_for(binaries, kafka, tmp_path, mysql97):
    """-838:59:59 is no time of Iceberg. The same for TINYINT(1), which may be a boolean; files of another codec."""
    name = "lake_times"
    mysql97.execute(f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}",
                    f"CREATE TABLE {name}.t (t TIME(3) NOT NULL, k INT, b TINYINT(1), PRIMARY KEY (k, t))",
                    f"CREATE TABLE {name}.u (k INT PRIMARY KEY)", f"INSERT INTO {name}.u VALUES (1)",
                    f"INSERT INTO {name}.t VALUES ('10:11:12.125', 1, 1), ('-838:59:59', 2, 0)")
    lake, texts = Lakehouse(tmp_path / "lake"), Lakehouse(tmp_path / "texts")
    with Deployment(binaries, kafka, tmp_path, QUICK) as d:
        d.start_both()
        task = d.create(name, mysql97, lake, name)
        d.wait(lambda: "MR3030" in str(d.show(task)), "the table's error")
        mysql97.execute(f"INSERT INTO {name}.u VALUES (2)")
        equal(d, None, lake, mysql97, [f"{name}.u"])
        d.drop(task)
        as_text = d.create(name, mysql97, texts, name, None, "--set", "iceberg.time=string", "--set", "iceberg.tinyint1=boolean",
                           "--set", "iceberg.compression=snappy")
        d.wait_state(as_text, phase="Incremental Sync")
        mysql97.execute(f"INSERT INTO {name}.t VALUES ('838:59:58.5', 3, NULL)", f"DELETE FROM {name}.t WHERE k = 1",
                        f"UPDATE {name}.t SET b = 1 WHERE t = '-838:59:59'")
        wanted = [("-838:59:59.000", 2, True), ("838:59:58.500", 3, None)]

        def rows(duck):
            found = texts.read(f"{name}.t", duck=duck)
            return sorted(found[1], key=lambda r: r[1]) if found else []
        d.wait(lambda: rows(False) == wanted, lambda: f"{rows(False)}")
        assert rows(True) == wanted
        (codec,) = {pq.ParquetFile(task.file.file_path.removeprefix("file://")).metadata.row_group(0).column(0).compression
                    for task in texts.load(f"{name}.t").scan().plan_files()}
        assert codec == "SNAPPY"
