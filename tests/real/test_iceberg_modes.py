"""What may be each table's own in a lake: its mode, and equality deletes instead of positions. DuckDB and Spark read them;
PyIceberg, which cannot read equality deletes, counts them."""

import pytest

from lib import spark
from lib.deploy import Deployment
from lib.lakehouse import Lakehouse, difference, read_source
from test_iceberg import QUICK


def summary(lake, table):
    loaded = lake.load(table)
    if loaded is None or loaded.current_snapshot() is None:
        return {}
    return loaded.current_snapshot().summary.additional_properties


def duck_equal(d, task, lake, source, table, seconds=60):
    def found():
        return difference(read_source(source, *table.split(".")), lake.read(table, duck=True), table)
    d.wait(lambda: found() is None, f"DuckDB: {table}", seconds)


def test_each_table_has_its_own_mode(binaries, kafka, tmp_path, mysql97):
    name = "lake_modes"
    mysql97.execute(f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}",
                    *(f"CREATE TABLE {name}.{t} (k INT PRIMARY KEY, v INT)" for t in ("m", "s", "h")))
    lake = Lakehouse(tmp_path / "lake")
    with Deployment(binaries, kafka, tmp_path, QUICK) as d:
        d.start_both()
        task = d.create(name, mysql97, lake, name, None, "--set", f"iceberg.mode=mirror,{name}.s:soft,{name}.h:history")
        d.wait_state(task, phase="Incremental Sync")
        for t in ("m", "s", "h"):
            mysql97.execute(f"INSERT INTO {name}.{t} VALUES (1, 1), (2, 2)", f"UPDATE {name}.{t} SET v = 20 WHERE k = 2",
                            f"DELETE FROM {name}.{t} WHERE k = 1")

        def rows(t, *columns):
            found = lake.read(f"{name}.{t}")
            return sorted(tuple(row[found[0].index(c)] for c in columns) for row in found[1]) if found and found[1] else []
        d.wait(lambda: rows("m", "k", "v") == [(2, 20)], "mirror")
        d.wait(lambda: rows("s", "k", "v", "_op") == [(1, 1, "D"), (2, 20, "U")], "soft")
        d.wait(lambda: [r[1:] for r in rows("h", "_seq", "k", "v", "_op")] ==
               [(1, 1, "I"), (2, 2, "I"), (2, 20, "U"), (1, 1, "D")], "history")
        assert [f.name for f in lake.load(f"{name}.m").schema().fields] == ["k", "v"]
        assert [f.name for f in lake.load(f"{name}.h").schema().fields] == ["k", "v", "_op", "_seq", "_commit_ts"]


@pytest.mark.parametrize("version", [3, pytest.param(2, marks=pytest.mark.slow)])
def test_equality_deletes_are_written_where_they_are_asked_for_and_nowhere_else(binaries, kafka, tmp_path, mysql97, version):
    name = f"lake_equality{version}"
    mysql97.execute(f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}",
                    *(f"CREATE TABLE {name}.{t} (a INT, b VARCHAR(20) COLLATE utf8mb4_bin, v INT, PRIMARY KEY (b, a))" for t in ("e", "p")),
                    *(f"INSERT INTO {name}.{t} VALUES " + ",".join(f"({i}, 'row {i % 7}', {i})" for i in range(300)) for t in ("e", "p")))
    lake = Lakehouse(tmp_path / "lake")
    with Deployment(binaries, kafka, tmp_path, {**QUICK, "iceberg.format.version": version}) as d:
        d.start_both()
        task = d.create(name, mysql97, lake, name, None, "--set", f"iceberg.deletes=position,{name}.e:equality")
        d.wait_state(task, phase="Incremental Sync")
        for t in ("e", "p"):
            duck_equal(d, task, lake, mysql97, f"{name}.{t}")
        assert int(summary(lake, f"{name}.e")["total-equality-deletes"]) == 0, "a load deletes nothing"
        for k in range(6):
            for t in ("e", "p"):
                mysql97.execute(f"UPDATE {name}.{t} SET v = v + 1000 WHERE a % 10 = {k}", f"DELETE FROM {name}.{t} WHERE a = {k * 11}",
                                f"INSERT INTO {name}.{t} VALUES ({1000 + k}, 'new', 1)", f"UPDATE {name}.{t} SET b = 'moved' WHERE a = {k + 100}")
            duck_equal(d, task, lake, mysql97, f"{name}.e")
        duck_equal(d, task, lake, mysql97, f"{name}.p")
        assert int(summary(lake, f"{name}.e")["total-equality-deletes"]) > 100
        assert int(summary(lake, f"{name}.p")["total-equality-deletes"]) == 0
        mysql97.execute(f"TRUNCATE TABLE {name}.e", f"INSERT INTO {name}.e VALUES (1, 'row 1', 1), (2, 'x', 2)")
        duck_equal(d, task, lake, mysql97, f"{name}.e")
        d.verb("pause", task)
        d.verb("restart", task, "-y")
        mysql97.execute(f"UPDATE {name}.e SET v = 3 WHERE a = 2")
        duck_equal(d, task, lake, mysql97, f"{name}.e")
        assert d.show(task)["err-msg"] == ""


@pytest.mark.slow
@pytest.mark.parametrize("version", [3, 2])
def test_spark_reads_a_table_with_equality_deletes(binaries, kafka, tmp_path, mysql97, version):
    name = f"lake_equality_spark{version}"
    mysql97.execute(f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}", f"CREATE TABLE {name}.t (k INT PRIMARY KEY, v INT)",
                    f"INSERT INTO {name}.t VALUES " + ",".join(f"({i}, {i})" for i in range(100)))
    lake = Lakehouse(tmp_path / "lake")
    with Deployment(binaries, kafka, tmp_path, {**QUICK, "iceberg.format.version": version}) as d:
        d.start_both()
        task = d.create(name, mysql97, lake, name, None, "--set", "iceberg.deletes=equality")
        duck_equal(d, task, lake, mysql97, f"{name}.t")
        for k in range(3):
            mysql97.execute(f"UPDATE {name}.t SET v = -1 WHERE k % 10 = {k}", f"DELETE FROM {name}.t WHERE k = {k + 50}")
            duck_equal(d, task, lake, mysql97, f"{name}.t")
        d.verb("pause", task)
        [got] = spark.read(lake.database, lake.location, f"{name}.t", ["main"])
        assert difference(read_source(mysql97, name, "t"), got, "Spark") is None
        assert lake.load(f"{name}.t").format_version == version
        assert int(summary(lake, f"{name}.t")["total-equality-deletes"]) > 0
