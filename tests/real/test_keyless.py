"""Tables without a key, on request: `multiset`, the target has the source's rows, each as often, and `append`, a log whose
rows that came less rows that went are the source's. Compared as multisets by PyMySQL, PyIceberg and DuckDB."""

import random

import pytest

from lib import keyless, lakehouse
from lib.deploy import Deployment
from lib.keyless import Stirrer, equal
from lib.lakehouse import Lakehouse
from lib.workload import new_seed

LAKE = {"iceberg.commit.ms": 300}
COLUMNS = ["a", "b", "f", "d", "j", "t", "n", "e"]


def prepare(source, target, name, rows=2000, tables=("t",)):
    for server in {id(s): s for s in (source, target) if hasattr(s, "execute")}.values():
        server.execute(f"DROP DATABASE IF EXISTS {name}")
    for table in tables:
        Stirrer.create(source, name, table, rows)
    if source.scheme == "mysql":
        source.execute("GRANT LOCK TABLES ON *.* TO repl@'%'")
    return name


def settled(d, task):
    d.wait_state(task, phase="Incremental Sync")
    assert d.show(task)["err-msg"] == ""


@pytest.mark.parametrize("pair", [("mysql97", "mariadb"), pytest.param(("mysql80", "mysql97"), marks=pytest.mark.slow), ("mariadb", "mysql97")], ids=lambda p: p[0])
def test_equal_rows_arrive_as_often_as_the_source_has_them(request, binaries, kafka, tmp_path, pair):
    source, target = map(request.getfixturevalue, pair)
    name = prepare(source, target, f"keyless_{pair[0]}", 5000)
    with Deployment(binaries, kafka, tmp_path, {"load.chunk.bytes": "64KiB"}) as d:
        d.start_both()
        with Stirrer(source, name, seed=new_seed("keyless")) as s:
            task = d.create(name, source, target, databases=name, keyless="multiset")
            settled(d, task)
            d.wait(lambda: s.transactions > 300, "300 transactions")
        equal(d, task, source, target, name, ["t"])
        assert keyless.names(target, name, "t") == COLUMNS, "the row's own key is not shown"
        assert d.show(task)["err-msg"] == ""


def lake_equal(d, task, lake, source, name, table, seconds=60):
    """The lake's rows but for their own key."""
    def found():
        got = lake.read(f"{name}.{table}")
        return lakehouse.difference(lakehouse.read_source(source, name, table), without_key(got), f"{name}.{table}")
    try:
        d.wait(lambda: found() is None, "equal", seconds)
    except Exception:
        raise AssertionError(f"{found()}\n{d.show(task)}")
    duck = without_key(lake.read(f"{name}.{table}", duck=True))
    assert lakehouse.difference(lakehouse.read_source(source, name, table), duck, "DuckDB") is None


def without_key(found):
    if found is None:
        return None
    names, rows = found
    at = [i for i, n in enumerate(names) if n != "_millrace_row"]
    assert len(at) == len(names) - 1
    return [names[i] for i in at], [tuple(row[i] for i in at) for row in rows]


@pytest.mark.parametrize("version", [3, pytest.param(2, marks=pytest.mark.slow)])
def test_equal_rows_arrive_in_the_lake_as_often(binaries, kafka, tmp_path, mysql97, version):
    name = prepare(mysql97, None, f"keyless_lake{version}", 1500)
    lake = Lakehouse(tmp_path / "lake")
    with Deployment(binaries, kafka, tmp_path, {**LAKE, "iceberg.format.version": version, "apply.batch.rows": 50}) as d:
        d.start_both()
        with Stirrer(mysql97, name, seed=new_seed("keyless lake")) as s:
            task = d.create(name, mysql97, lake, databases=name, keyless=f"refuse,{name}.t:multiset")
            settled(d, task)
            at = s.transactions
            d.wait(lambda: s.transactions > at + 200, "200 transactions while streaming")
        lake_equal(d, task, lake, mysql97, name, "t")
        summary = lake.load(f"{name}.t").current_snapshot().summary.additional_properties
        assert int(summary["total-equality-deletes"]) == 0 and int(summary["total-position-deletes"]) > 0


def test_what_is_not_a_row_is_followed_too(binaries, kafka, tmp_path, mysql97, mariadb):
    """A TRUNCATE, an ALTER, a key that comes and goes, a table made while streaming, a restart."""
    name = prepare(mysql97, mariadb, "keyless_ddl", 300, ("t", "u"))
    with Deployment(binaries, kafka, tmp_path) as d:
        d.start_both()
        task = d.create(name, mysql97, mariadb, databases=name, keyless="multiset")
        equal(d, task, mysql97, mariadb, name, ["t", "u"])
        mysql97.execute(f"TRUNCATE TABLE {name}.t")
        Stirrer.fill(mysql97, name, "t", 200)
        mysql97.execute(f"DELETE FROM {name}.t WHERE a < 20", f"ALTER TABLE {name}.u ADD COLUMN z INT DEFAULT 7 AFTER a",
                        f"DELETE FROM {name}.u WHERE a IS NULL LIMIT 3", f"UPDATE {name}.u SET z = 8 WHERE a = 5",
                        f"CREATE TABLE {name}.later (x INT, y TEXT)",
                        f"INSERT INTO {name}.later VALUES (1, 'a'), (1, 'a'), (1, 'A'), (NULL, NULL), (NULL, NULL)",
                        f"DELETE FROM {name}.later WHERE x = 1 LIMIT 1")
        equal(d, task, mysql97, mariadb, name, ["t", "u", "later"])
        mysql97.execute(f"DELETE FROM {name}.later", f"INSERT INTO {name}.later VALUES (1, 'a'), (2, 'b')",
                        f"ALTER TABLE {name}.later ADD PRIMARY KEY (x)", f"UPDATE {name}.later SET y = 'c' WHERE x = 2",
                        f"ALTER TABLE {name}.u DROP COLUMN z, MODIFY a BIGINT", f"DELETE FROM {name}.u WHERE a = 7 LIMIT 2")
        equal(d, task, mysql97, mariadb, name, ["t", "u", "later"])
        mysql97.execute(f"ALTER TABLE {name}.later DROP PRIMARY KEY", f"INSERT INTO {name}.later VALUES (2, 'c'), (2, 'c')",
                        f"DELETE FROM {name}.later WHERE x = 2 LIMIT 1")
        equal(d, task, mysql97, mariadb, name, ["t", "u", "later"])
        d.verb("pause", task)
        mysql97.execute(f"DELETE FROM {name}.t WHERE a > 30", f"INSERT INTO {name}.u (a) VALUES (1), (1)")
        d.verb("restart", task, "-y")
        mysql97.execute(f"DELETE FROM {name}.u WHERE a = 1 LIMIT 1")
        equal(d, task, mysql97, mariadb, name, ["t", "u", "later"])
        assert d.show(task)["err-msg"] == ""


@pytest.mark.parametrize("sink", ["mysql", "iceberg"])
def test_an_appended_table_is_a_log_of_its_changes(binaries, kafka, tmp_path, mysql97, mariadb, sink):
    name = prepare(mysql97, mariadb, f"keyless_log_{sink}", 800)
    target = mariadb if sink == "mysql" else Lakehouse(tmp_path / "lake")
    with Deployment(binaries, kafka, tmp_path, LAKE) as d:
        d.start_both()
        with Stirrer(mysql97, name, seed=new_seed("keyless log")) as s:
            task = d.create(name, mysql97, target, databases=name, keyless="append")
            settled(d, task)
            at = s.transactions
            d.wait(lambda: s.transactions > at + 100, "100 transactions while streaming")
        mysql97.execute(f"ALTER TABLE {name}.t ADD COLUMN z INT")
        mysql97.execute(f"INSERT INTO {name}.t (a, z) VALUES (1, 1), (1, 1)")
        want = lambda columns: keyless.contents(mysql97, name, "t", columns)
        if sink == "mysql":
            d.wait(lambda: keyless.signed(mariadb, name, "t", COLUMNS) == want(COLUMNS), "the log amounts to the source")
            rows = len(list(keyless.contents(mariadb, name, "t", ["_seq"]).elements()))
            assert len(keyless.contents(mariadb, name, "t", ["_seq"])) == rows, "a change stands in the log twice"
            loads = keyless.contents(mariadb, name, "t", ["_op"])
            assert loads[(b"I",)] > 800 and loads[(b"D",)] > 0 and set(loads) == {(b"I",), (b"D",)}
        else:
            d.wait(lambda: log_amounts(target, mysql97, name), "the log amounts to the source")
        assert d.show(task)["err-msg"] == ""


def log_amounts(lake, source, name):
    found = lake.read(f"{name}.t")
    want = lakehouse.read_source(source, name, "t")
    if found is None or "z" not in found[0]:
        return False
    names, rows = found
    op, seq = names.index("_op"), names.index("_seq")
    assert len({row[seq] for row in rows}) == len(rows), "a change stands in the log twice"
    at = [names.index(n) for n in want[0]]
    plain = lambda row: tuple(map(lakehouse.plain, row))
    total = lakehouse.Counter(plain(row) for row in want[1])
    total.subtract(plain(tuple(row[i] for i in at)) for row in rows if row[op] == "I")
    total.update(plain(tuple(row[i] for i in at)) for row in rows if row[op] == "D")
    return not any(total.values())


def test_without_the_right_to_lock_the_table_is_named_and_a_grant_heals_it(binaries, kafka, tmp_path, mysql80, mariadb):
    name = prepare(mysql80, mariadb, "keyless_grant", 50)
    mysql80.execute(f"CREATE TABLE {name}.keyed (k INT PRIMARY KEY)", f"INSERT INTO {name}.keyed VALUES (1)",
                    "REVOKE LOCK TABLES ON *.* FROM repl@'%'")
    with Deployment(binaries, kafka, tmp_path) as d:
        d.start_both()
        task = d.create(name, mysql80, mariadb, databases=name, keyless="multiset")
        d.wait(lambda: "MR1025" in d.show(task)["err-msg"], "the missing right in task show")
        equal(d, task, mysql80, mariadb, name, ["keyed"])
        mysql80.execute("GRANT LOCK TABLES ON *.* TO repl@'%'")
        d.verb("pause", task)
        d.verb("resume", task)
        equal(d, task, mysql80, mariadb, name, ["t", "keyed"])
        assert d.show(task)["err-msg"] == ""


def test_a_task_without_full_load_appends_and_refuses_a_multiset_by_name(binaries, kafka, tmp_path, mysql97, mariadb):
    name = prepare(mysql97, mariadb, "keyless_no_full", 20, ("t", "u"))
    with Deployment(binaries, kafka, tmp_path) as d:
        d.start_both()
        task = d.create(name, mysql97, mariadb, name, None, "--no-full", keyless=f"multiset,{name}.u:append")
        d.wait(lambda: "MR1024" in d.show(task)["err-msg"], "the refusal in task show")
        mysql97.execute(f"INSERT INTO {name}.u (a) VALUES (5)")
        d.wait(lambda: keyless.contents(mariadb, name, "u", ["a"]) == {(b"5",): 1}, "one appended row")


@pytest.mark.slow
def test_a_row_that_somebody_took_from_the_target_is_found(binaries, kafka, tmp_path, mysql97, mariadb):
    name = prepare(mysql97, mariadb, "keyless_taken", 20)
    with Deployment(binaries, kafka, tmp_path) as d:
        d.start_both()
        task = d.create(name, mysql97, mariadb, databases=name, keyless="multiset")
        equal(d, task, mysql97, mariadb, name, ["t"])
        mariadb.execute(f"DELETE FROM {name}.t LIMIT 20")
        mysql97.execute(f"DELETE FROM {name}.t LIMIT 1")
        d.wait(lambda: "MR3050" in d.show(task)["err-msg"], "the missing row in task show")
        d.verb("restart", task, "-y")
        equal(d, task, mysql97, mariadb, name, ["t"])


class Kills:
    """SIGKILLs of either worker at random."""

    def __init__(self, d, task, seed):
        self.d, self.task, self.random, self.n = d, task, random.Random(seed), 0

    def one(self, what=None):
        worker = self.random.choice([w for w in self.d.workers if what in (None, w.half)])
        worker.kill()
        worker.start()
        self.n += 1


@pytest.mark.parametrize("source, sink", [("mysql97", "mysql"), pytest.param("mysql97", "iceberg", marks=pytest.mark.slow)])
def test_kills_while_loading_and_streaming_keep_every_count(request, binaries, kafka, tmp_path, mariadb, source, sink):
    kill_cell(request.getfixturevalue(source), sink, binaries, kafka, tmp_path, mariadb, 4, 4)


@pytest.mark.slow
@pytest.mark.parametrize("sink", ["mysql", "iceberg"])
@pytest.mark.parametrize("source", ["mysql97", "mysql80", "mariadb"])
def test_many_kills_while_loading_and_streaming(request, binaries, kafka, tmp_path, mysql97, mariadb, source, sink):
    target = mysql97 if source == "mariadb" else mariadb
    kill_cell(request.getfixturevalue(source), sink, binaries, kafka, tmp_path, target, 15, 15)


def kill_cell(source, sink, binaries, kafka, tmp_path, server, loading, streaming):
    seed = new_seed("keyless kills")
    target = server if sink == "mysql" else Lakehouse(tmp_path / "lake")
    name = prepare(source, target, f"keyless_kills_{sink}", 20000)
    with Deployment(binaries, kafka, tmp_path, {**LAKE, "load.chunk.bytes": "64KiB", "commit.far.ms": 20,
                                                "heartbeat.dead.ms": 1000}) as d:
        d.start_both()
        with Stirrer(source, name, seed=seed, pause=0.005) as s:
            task = d.create(name, source, target, databases=name, keyless="multiset")
            kills = Kills(d, task, seed)
            for _ in range(loading):
                d.wait(lambda: rows_read(d, task), "rows of a load, or its end")
                kills.one("capture" if kills.n % 2 == 0 else None)
            for _ in range(streaming):
                at = s.transactions
                d.wait(lambda: s.transactions > at + 30, "30 transactions")
                kills.one()
        if sink == "mysql":
            equal(d, task, source, target, name, ["t"], 120)
        else:
            lake_equal(d, task, target, source, name, "t", 120)
        assert d.show(task)["err-msg"] == ""


def rows_read(d, task):
    tables = d.show(task).get("tables", [])
    return any(t["state"] == "streaming" or t.get("rows", 0) > 0 for t in tables)
