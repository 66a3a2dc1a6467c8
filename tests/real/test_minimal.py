"""Servers as they come: no column names in the log (MySQL's MINIMAL, MariaDB's NO_LOG, MySQL 5.7, which has no such setting), GTIDs
off, an account with the rights that the documents ask for and no others.

Names come from information_schema; what these tests are for is the order of ALTER, read and rows (capture/mysql/fence.h). The tables'
column types are alike, so that a row decoded by the wrong definition is a wrong row and not an error."""

import json
import threading
import time

import pytest

from lib import shapes
from lib.deploy import Deployment
from lib.shapes import Generated
from lib.workload import Writers, run_steps
from stack import Mariadb118, wait_until

PLAIN = ("mysql57", "mysql80", "mysql97", "mariadb", "mariadb118")


def plain_but_slow_unless(quick):
    return [pytest.param(name, marks=[] if name == quick else pytest.mark.slow) for name in PLAIN]


def set_metadata(server, value):
    if server.script != "mysql57":
        server.execute(f"SET GLOBAL binlog_row_metadata = '{value}'")


@pytest.fixture
def source(request):
    """One of PLAIN without names in its log."""
    server = request.getfixturevalue(request.param)
    set_metadata(server, "NO_LOG" if request.param.startswith("mariadb") else "MINIMAL")
    yield server
    set_metadata(server, "FULL")


@pytest.fixture
def target(request, source):
    return request.getfixturevalue("mariadb" if source.script == "mysql97" else "mysql97")


class Plain:
    """A database, a task that copies it, and what is asked of both."""

    def __init__(self, d, name, source, target):
        self.d, self.name, self.source, self.target = d, name, source, target
        for server in (source, target):
            server.execute(f"DROP DATABASE IF EXISTS {name}")
        source.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4", f"DROP USER IF EXISTS {name}@'%'",
                       f"CREATE USER {name}@'%' IDENTIFIED BY '{name}'",
                       f"GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO {name}@'%'",
                       f"GRANT SELECT ON {name}.* TO {name}@'%'")
        self.capture, self.apply = d.start_both()

    def table(self, name, columns="a INT, b INT", count=3):
        values = ",".join(f"({k}, {k * 10}, {k * 10 + 1})" for k in range(count))
        self.run(f"CREATE TABLE {name} (k INT PRIMARY KEY, {columns})", f"INSERT INTO {name} VALUES {values}")

    def begin(self):
        self.task = self.d.create(self.name, self.source.uri(self.name), self.target, databases=self.name)
        self.d.wait_state(self.task, phase="Incremental Sync")
        self.equal()
        return self

    def run(self, *statements):
        return self.source.execute(*statements, database=self.name)

    def equal(self, seconds=90):
        self.d.caught_up(self.task, self.source, self.target, [self.name], seconds)
        shown = self.d.show(self.task)
        assert shown["state"] == "running" and shown["err-msg"] == "", shown

    def said(self, event, table=None):
        """How often the log says the event (of the table)."""
        topic = f"{self.name}.{self.name}.{table}"
        return sum(f"event={event} " in line and (table is None or f"={topic} " in line + " ")
                   for line in self.capture.log.splitlines())

    def stopped(self, work):
        """Does the work while no capture runs."""
        self.capture.kill()
        work()
        self.capture.start()


@pytest.fixture
def plain(request, binaries, kafka, tmp_path, source, target):
    with Deployment(binaries, kafka, tmp_path) as d:
        yield Plain(d, f"plain_{source.script}", source, target)


def generate(monkeypatch, plain, only=None):
    if plain.source.script == "mysql57":  # it prints whole doubles as integers, so they cannot be compared
        monkeypatch.setitem(shapes.TYPES, "json", ("JSON", lambda r: json.dumps({"k": [r.randrange(1 << 40), r.randrange(99) + 0.5, None]})))
    return Generated(plain.name, only=only).create(plain.source)


@pytest.mark.parametrize("source", plain_but_slow_unless("mysql80"), indirect=True)
def test_a_plain_server_is_copied_with_its_alterations(plain, monkeypatch):
    """Generated tables under load; statements of all kinds with rows around them; a kill in between; names come and go in the log."""
    only = ("numbers", "strings", "moments", "generated", "no_primary") if plain.source.script == "mysql80" else None
    generated = generate(monkeypatch, plain, only)
    run_steps(generated, plain.source, 40)
    plain.table("t")
    plain.begin()
    loads = plain.said("load_begin")
    with Writers(plain.source, generated, pause=0.002):
        plain.run("INSERT INTO t VALUES (3, 3, 3)", "ALTER TABLE t ADD c INT FIRST", "INSERT INTO t VALUES (4, 5, 6, 7)",
                  "ALTER TABLE t MODIFY c INT AFTER a", "INSERT INTO t VALUES (8, 9, 10, 11)", "UPDATE t SET c = b + 1",
                  "ALTER TABLE t MODIFY b BIGINT", "INSERT INTO t VALUES (12, 13, 14, 15000000000)", "ALTER TABLE t DROP a",
                  "UPDATE t SET b = b + 1", "CREATE TABLE fresh (x INT, y INT, id INT PRIMARY KEY)",
                  "INSERT INTO fresh VALUES (1, 2, 3)", "ALTER TABLE fresh MODIFY y INT FIRST", "INSERT INTO fresh VALUES (4, 5, 6)",
                  "CREATE TABLE selected (PRIMARY KEY (id)) AS SELECT y, id, x FROM fresh", "INSERT INTO selected VALUES (7, 8, 9)")
        plain.capture.kill()
        plain.run("UPDATE t SET c = c + 1", "ALTER TABLE t ADD e ENUM('x','y') NOT NULL DEFAULT 'y' AFTER k", "INSERT INTO t VALUES (20, 'x', 1, 2)")
        plain.capture.start()
        set_metadata(plain.source, "FULL")
        plain.run("ALTER TABLE fresh MODIFY x INT FIRST", "INSERT INTO fresh VALUES (7, 8, 9)")
        set_metadata(plain.source, "NO_LOG" if "mariadb" in plain.source.script else "MINIMAL")
        plain.run("INSERT INTO fresh VALUES (10, 11, 12)", "DELETE FROM fresh WHERE id = 6")
    plain.equal()
    if not plain.said("table_gap"):  # a gap is legal only where the stream was behind a second statement
        assert plain.said("load_begin") == loads


@pytest.mark.parametrize("source", plain_but_slow_unless("mariadb"), indirect=True)
def test_a_storm_of_alterations_while_capture_is_stopped_costs_only_the_stormy_table_a_load(plain):
    for name in ("storm", "once", "calm", "gone", "swapped"):
        plain.table(name)
    plain.begin()
    loads = plain.said("load_begin")

    def storm():
        plain.run("INSERT INTO storm VALUES (10, 1, 2)")
        for i in range(6):
            plain.run(f"ALTER TABLE storm ADD x{i} INT FIRST", f"INSERT INTO storm (k, x{i}) VALUES ({100 + i}, 5)",
                      "DELETE FROM storm WHERE k = " + str(i), f"ALTER TABLE storm MODIFY x{i} INT AFTER k")
        plain.run("ALTER TABLE storm CHANGE a renamed INT", "UPDATE storm SET renamed = 9 WHERE k = 10")
        plain.run("INSERT INTO once VALUES (10, 1, 2)", "ALTER TABLE once ADD c INT FIRST", "INSERT INTO once VALUES (1, 11, 2, 3)",
                  "INSERT INTO calm VALUES (11, 2, 3)", "INSERT INTO gone VALUES (10, 1, 1)", "ALTER TABLE gone ADD c INT FIRST",
                  "DROP TABLE gone", "ALTER TABLE swapped CHANGE a b INT, CHANGE b a INT", "UPDATE swapped SET a = a + 1, b = b + 7",
                  "INSERT INTO swapped (k, a, b) VALUES (77, 770, 771)", "CREATE TABLE born (k INT PRIMARY KEY, a INT, b INT)",
                  "INSERT INTO born VALUES (1, 2, 3)", "ALTER TABLE born MODIFY b INT AFTER k", "INSERT INTO born VALUES (4, 5, 6)")
    plain.stopped(storm)
    plain.d.caught_up(plain.task, plain.source, plain.target, [plain.name], 90, skip=("gone",))
    assert plain.said("table_gap", "storm") == 1
    for name in ("once", "calm", "swapped"):
        assert plain.said("table_gap", name) == 0
    again = plain.said("load_begin") - loads - plain.said("load_begin", "born")
    assert again == plain.said("table_gap") - plain.said("table_gap", "born") + plain.said("load_begin", "swapped") - 1
    assert plain.said("load_begin", "swapped") == 2  # names that are exchanged: see docs/ddl.md


def lag(plain, statements, transactions=10000):
    """So many transactions, from four connections, the statements spread among them."""
    def write(worker):
        with plain.source.connect(database=plain.name, autocommit=True) as connection, connection.cursor() as cursor:
            for i in range(transactions // 4):
                table = ("one", "two", "none")[i % 3]
                cursor.execute(f"INSERT INTO {table} (k, a, b) VALUES ({1000 + i * 4 + worker}, {i}, {-i})")
    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    first = transactions // 3 // (len(statements) + 1)
    for i, statement in enumerate(statements, 1):
        wait_until(lambda: plain.run("SELECT COUNT(*) FROM none")[0][0] >= i * first, 120, "transactions before the statement")
        plain.run(statement)
    for thread in threads:
        thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("source", PLAIN, indirect=True)
def test_alterations_ten_thousand_transactions_behind(plain):
    for name in ("one", "two", "none"):
        plain.table(name)
    plain.begin()
    loads = plain.said("load_begin")
    plain.stopped(lambda: lag(plain, ["ALTER TABLE one ADD c INT FIRST", "ALTER TABLE two ADD c INT FIRST",
                                      "ALTER TABLE one ALTER b SET DEFAULT 7", "ALTER TABLE two MODIFY b INT AFTER k"]))
    plain.equal(240)
    assert plain.said("table_gap", "two") == 1 and plain.said("table_gap", "none") == 0
    assert plain.said("load_begin", "none") == 1
    assert plain.said("load_begin") - loads == plain.said("table_gap")


FAULTS = ["definition.locked", "definition.read", "definition.proved", "definition.settled", "definition.gap", "definition.resync"]


@pytest.mark.slow
@pytest.mark.parametrize("source", ["mysql80", "mariadb118"], indirect=True)
def test_death_at_every_step_of_a_proof(plain):
    """Each start dies at its step, in a storm behind; then one without a fault goes on."""
    plain.table("t", count=30)
    plain.table("u")
    plain.begin()
    for n, fault in enumerate(FAULTS):
        for nth in (1, 2):
            plain.capture.kill()
            plain.run(f"INSERT INTO t (k, a, b) VALUES ({1000 + n * 10 + nth}, 1, 2)", f"ALTER TABLE t ADD x{n}_{nth} INT FIRST",
                      f"UPDATE t SET a = a + 1, b = b - 1 WHERE k % 3 = {n % 3}", f"DELETE FROM t WHERE k = {n * 2 + nth}",
                      f"ALTER TABLE t MODIFY x{n}_{nth} INT AFTER k", f"INSERT INTO u VALUES ({1000 + n * 10 + nth}, 5, 6)")
            plain.capture.start(fault=f"{fault}:{nth}")
            end = time.monotonic() + (30 if nth == 1 else 6)
            while plain.capture.running and time.monotonic() < end:
                time.sleep(0.02)
            assert not plain.capture.running or nth > 1, f"{fault} was not passed"
            plain.capture.kill()
            plain.capture.start()
            plain.equal()


@pytest.mark.slow
@pytest.mark.parametrize("source", ["mysql57", "mysql97", "mariadb118"], indirect=True)
@pytest.mark.parametrize("step", ["definition.locked", "definition.read", "definition.proved"])
def test_an_alteration_beside_a_proof_waits_or_is_seen(plain, step):
    """Capture sleeps in a proof while another statement comes: under the lock that one waits; behind it, it is met later."""
    plain.table("t")
    plain.begin()
    plain.capture.stop()
    plain.capture.start(fault=f"{step}:1:sleep:1500")
    plain.d.wait(lambda: plain.capture.log.count("event=streaming") == 2, "it streams")
    plain.run("ALTER TABLE t CHANGE a b INT, CHANGE b a INT")
    wait_until(lambda: f"event=fault name={step}" in plain.capture.log, 20, "the proof")
    begin = time.monotonic()
    plain.run("ALTER TABLE t CHANGE a b INT, CHANGE b a INT")
    waited = time.monotonic() - begin
    plain.run("UPDATE t SET a = a + 100, b = b + 200", "INSERT INTO t (k, a, b) VALUES (50, 51, 52)")
    plain.equal()
    assert waited > 0.5 if step != "definition.proved" else waited < 1.2


@pytest.mark.slow
@pytest.mark.parametrize("source", ["mysql57", "mysql80", "mariadb118"], indirect=True)
def test_random_alterations_kills_and_load_at_once(plain, monkeypatch):
    """A table in continual alteration while it loads and while capture dies, others beside it under load."""
    generated = generate(monkeypatch, plain)
    run_steps(generated, plain.source, 200)
    plain.table("t", count=20000)
    plain.capture.stop()
    plain.capture = plain.d.start("capture", settings={"load.chunk.bytes": "64KiB"})
    with Writers(plain.source, generated, pause=0.005):
        plain.task = plain.d.create(plain.name, plain.source.uri(plain.name), plain.target, databases=plain.name)
        for i in range(24):
            plain.run(f"ALTER TABLE t ADD y{i} INT {('FIRST', 'AFTER k', '')[i % 3]}", f"UPDATE t SET a = a + 1 WHERE k % 50 = {i}",
                      f"DELETE FROM t WHERE k = {i * 7}", f"INSERT INTO t (k, y{i}) VALUES ({30000 + i}, {i})")
            if i % 6 == 5:
                plain.capture.kill()
                plain.run(f"ALTER TABLE t DROP y{i}", f"UPDATE t SET b = b + 1 WHERE k % 50 = {i}", f"ALTER TABLE t ADD z{i} INT AFTER a",
                          f"UPDATE t SET z{i} = k WHERE k % 40 = {i}")
                plain.capture.start()
    plain.equal(240)


@pytest.mark.slow
def test_names_without_case_are_met_however_a_statement_writes_them(binaries, kafka, tmp_path, mysql97):
    server = Mariadb118(tmp_path).start("--lower-case-table-names=1", "--binlog-row-metadata=NO_LOG")
    with server, Deployment(binaries, kafka, tmp_path) as d:
        plain = Plain(d, "plain_case", server, mysql97)
        plain.table("täble")
        plain.begin()
        plain.stopped(lambda: plain.run("ALTER TABLE Plain_CASE.`TÄBLE` CHANGE a b INT, CHANGE b a INT", "UPDATE `Täble` SET a = k, b = -k",
                                        "INSERT INTO täble (k, a, b) VALUES (70, 71, 72)"))
        plain.equal()
        plain.run("TRUNCATE TABLE TÄBLE", "INSERT INTO täble (k, a, b) VALUES (80, 81, 82)")
        plain.equal()


@pytest.mark.slow
def test_without_full_load_rows_that_cannot_be_read_stop_their_table_only(request, binaries, kafka, tmp_path, mysql80, mysql97):
    set_metadata(mysql80, "MINIMAL")
    try:
        with Deployment(binaries, kafka, tmp_path) as d:
            plain = Plain(d, "plain_nofull", mysql80, mysql97)
            plain.table("t")
            plain.table("u")
            plain.task = d.create(plain.name, mysql80.uri(plain.name), mysql97, plain.name, None, "--no-full")
            plain.run("INSERT INTO u VALUES (50, 1, 2)")
            d.wait(lambda: arrived(mysql97, "plain_nofull.u", 50), "a row of u")
            plain.stopped(lambda: plain.run("ALTER TABLE t ADD c INT FIRST", "INSERT INTO t VALUES (1, 60, 2, 3)",
                                            "ALTER TABLE t MODIFY c INT AFTER a", "INSERT INTO u VALUES (51, 1, 2)"))
            d.wait(lambda: arrived(mysql97, "plain_nofull.u", 51), "u goes on")
            assert "event=table_stopped" in plain.capture.log and "MR1020" in plain.capture.log
            assert d.show(plain.task)["state"] == "running"
    finally:
        set_metadata(mysql80, "FULL")


def arrived(server, table, key):
    try:
        return server.execute(f"SELECT 1 FROM {table} WHERE k = {key}") != ()
    except Exception:
        return False
