"""Bad input: each case gives one error with code, cause, effect and remedy, in `task show` and in the log, while the
other tables and tasks go on; once the cause is mended, `task resume` (or `restart`, where the remedy says so) works."""

import contextlib
import random
import re
import socket
import subprocess
import threading
import time

import pymysql
import pytest

from lib.deploy import Deployment, uri_of
from lib.workload import Marker
from stack import Mariadb, Ports, wait_until

ERROR = re.compile(r"(table \S+: )?(MR\d{4}): [^;]+?\. Effect: [^;]+(; [^;]+)?\. Remedy: .+\.")
WAIT = 60


class Relay:
    """A TCP address whose server can be changed and taken away."""

    def __init__(self, server):
        self.server = server
        self.port = Ports.take()
        self.listener = None
        self.pairs = []
        self.open()

    def open(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def accept(self, listener):
        with contextlib.suppress(OSError):
            while True:
                client = listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", self.server.port))
                self.pairs.append((client, server))
                for a, b in ((client, server), (server, client)):
                    threading.Thread(target=self.copy, args=(a, b), daemon=True).start()

    @staticmethod
    def copy(a, b):
        with contextlib.suppress(OSError):
            while data := a.recv(65536):
                b.sendall(data)
        for end in (a, b):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self):
        """Connections break; new ones are refused until open()."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for pair in self.pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        self.pairs.clear()

    def uri(self, user="repl", password=None):
        return f"mysql://{user}:{password or user}@127.0.0.1:{self.port}"


class Rig:
    """Workers and a task, `steady`, that must go on whatever happens to the others."""

    def __init__(self, d, source, target):
        self.d, self.source, self.target = d, source, target
        self.capture, self.apply = d.start_both()
        self.fresh("bad_steady", source)
        self.marker = Marker(source, "bad_steady").create()
        self.steady = d.create("bad_steady", source, target, databases="bad_steady")
        self.goes_on()

    def fresh(self, database, source, *statements):
        source.execute(f"DROP DATABASE IF EXISTS {database}", f"CREATE DATABASE {database}", *statements)
        self.target.execute(f"DROP DATABASE IF EXISTS {database}")

    def tables(self, database, source):
        """Two small tables, a and b."""
        self.fresh(database, source, *(f"CREATE TABLE {database}.{t} (k INT PRIMARY KEY, x VARCHAR(20))" for t in "ab"),
                   *(f"INSERT INTO {database}.{t} VALUES (1, 'one'), (2, NULL)" for t in "ab"))

    def goes_on(self):
        self.marker.put()
        self.d.wait(lambda: self.marker.arrived(self.target), "the steady task goes on", WAIT)
        assert self.d.show(self.steady)["err-msg"] == ""

    def streams(self, source, database, table="b"):
        """A row written now arrives."""
        k = time.time_ns() % 1_000_000_000
        source.execute(f"INSERT INTO {database}.{table} (k) VALUES ({k})")
        self.arrives(database, table, k)

    def arrives(self, database, table, k):
        def there():
            with contextlib.suppress(pymysql.err.MySQLError):
                return self.target.execute(f"SELECT 1 FROM {database}.{table} WHERE k = {k}")
        self.d.wait(there, f"row {k} of {database}.{table} at the target", WAIT)

    def logged(self, worker, code, name):
        """The lines of level error about this name; each is whole."""
        lines = [line for line in worker.log.splitlines() if code in line and name in line]
        assert lines, f"{code} of {name} is not in the log of {worker}"
        for line in lines:
            assert "Effect: " in line and "Remedy: " in line, line
        return [line for line in lines if re.search(r"\berror\b", line.split(" ", 2)[1], re.I)]

    def fails(self, task, code, worker):
        """The task stops with this one error; the steady one goes on."""
        shown = self.d.wait_state(task, WAIT, state="stopped")
        assert shown["reason"] == "failed"
        self.one_error(shown["err-msg"], code)
        assert len(self.logged(worker, code, task.name)) == 1
        self.goes_on()

    def table_fails(self, task, table, code, worker):
        shown = self.d.wait(lambda: (lambda s: s if s["err-msg"] else None)(self.d.show(task)), f"{code} of {table}", WAIT)
        self.one_error(shown["err-msg"], code, table)
        assert shown["state"] == "running"
        assert len(self.logged(worker, code, table)) == 1
        self.goes_on()

    def one_error(self, text, code, table=None):
        found = ERROR.fullmatch(text)
        assert found and found[2] == code and len(re.findall(r"MR\d{4}", text)) == 1, text
        assert found[1] == (f"table {table}: " if table else None), text

    def resumes(self, task, source, database, table="b"):
        self.d.verb("resume", task)
        self.streams(source, database, table)
        shown = self.d.wait_state(task, WAIT, state="running", err_msg="")
        assert shown["reason"] == ""


@pytest.fixture(scope="module")
def rig(binaries, kafka, mysql97, mariadb, tmp_path_factory):
    settings = {"kafka.message.max.bytes": "1MiB"}
    with Deployment(binaries, kafka, tmp_path_factory.mktemp("bad"), settings) as d:
        yield Rig(d, mysql97, mariadb)


@pytest.fixture(scope="module")
def spare(work):
    with Mariadb(work, "spare") as server:
        yield server


def dump_threads(server):
    return [row[0] for row in server.execute("SHOW PROCESSLIST") if row[4].startswith("Binlog Dump")]


def break_streams(server, user):
    """Ends the user's connections, so that its capture logs in again."""
    for row in server.execute("SHOW PROCESSLIST"):
        if row[1] == user:
            with contextlib.suppress(pymysql.err.MySQLError):
                server.execute(f"KILL {row[0]}")


# What the command says at once


def refused(rig, code, *words, exit=1):
    found = rig.d.command(*words, check=False)
    assert found.returncode == exit and found.stdout == "", found
    lines = [line for line in found.stderr.splitlines() if not line.startswith("warning")]
    assert len(lines) == 1, found.stderr
    rig.one_error(lines[0].removeprefix("millrace: "), code)
    assert "secret" not in found.stderr


def create_words(rig, source, *more):
    return ("task", "create", "--task-name", "bad_never", "--source-uri", uri_of(source, "repl"), "--sink-type", "mysql",
            "--sink-uri", uri_of(rig.target, "test"), "--level", "database", "--databases", "bad_steady", *more)


def test_the_command_names_what_is_wrong(rig, mysql97):
    def at(user):
        return f"mysql://{user}@127.0.0.1:{mysql97.port}"
    mysql97.execute("CREATE USER IF NOT EXISTS bad_reader@'%' IDENTIFIED BY 'secret'",
                    "GRANT SELECT ON bad_steady.* TO bad_reader@'%'")
    refused(rig, "MR4001", *create_words(rig, mysql97, "--no-such-flag"), exit=2)
    refused(rig, "MR4003", *create_words(rig, "mysql:/repl:secret@127.0.0.1"), exit=2)
    refused(rig, "MR1001", *create_words(rig, f"mysql://repl:secret@127.0.0.1:{Ports.take()}"))
    refused(rig, "MR1001", *create_words(rig, "mysql://repl:secret@no-such-host.invalid"))
    refused(rig, "MR1002", *create_words(rig, at("repl:secret")))
    refused(rig, "MR1003", *create_words(rig, at("bad_reader:secret")))
    rig.goes_on()


@pytest.mark.parametrize("half", ["capture", "apply"])
@pytest.mark.parametrize("words, code", [(["--no-such-flag"], "MR4001"), (["--set", "kafka.bootstrp=x"], "MR4002"),
                                         (["--set", "apply.lanes=none"], "MR4002")])
def test_a_worker_refuses_a_bad_configuration(binaries, kafka, half, words, code):
    found = subprocess.run([getattr(binaries, half), "--kafka", kafka.bootstrap, *words], stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, timeout=60)
    assert found.returncode == 2
    assert code in found.stderr and len(re.findall(r"MR\d{4}", found.stderr)) == 1, found.stderr
    assert "Effect: " in found.stderr and "Remedy: " in found.stderr


# The source


def test_an_unreachable_source_is_named_and_tried_again(rig, mysql97):
    rig.tables("bad_away", mysql97)
    relay = Relay(mysql97)
    task = rig.d.create("bad_away", relay.uri(), rig.target, databases="bad_away")
    rig.streams(mysql97, "bad_away")
    relay.cut()
    shown = rig.d.wait(lambda: (lambda s: s if "MR1001" in s["err-msg"] else None)(rig.d.show(task)), "MR1001", WAIT)
    assert shown["state"] == "running"
    rig.one_error(shown["err-msg"], "MR1001")
    rig.logged(rig.capture, "MR1001", "bad_away")
    rig.goes_on()
    relay.open()
    rig.streams(mysql97, "bad_away")
    rig.d.wait_state(task, state="running", err_msg="")
    rig.d.drop(task)


def test_a_wrong_password_stops_the_task_until_it_is_mended(rig, mysql97):
    rig.tables("bad_login", mysql97)
    mysql97.execute("DROP USER IF EXISTS bad_login@'%'", "CREATE USER bad_login@'%' IDENTIFIED BY 'one'",
                    "GRANT SELECT, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO bad_login@'%'")
    task = rig.d.create("bad_login", f"mysql://bad_login:one@127.0.0.1:{mysql97.port}", rig.target, databases="bad_login")
    rig.streams(mysql97, "bad_login")
    mysql97.execute("ALTER USER bad_login@'%' IDENTIFIED BY 'two'")
    break_streams(mysql97, "bad_login")
    rig.fails(task, "MR1002", rig.capture)
    mysql97.execute("ALTER USER bad_login@'%' IDENTIFIED BY 'one'")
    rig.resumes(task, mysql97, "bad_login")
    rig.d.drop(task)


def test_a_missing_grant_stops_the_task_until_it_is_mended(rig, mysql97):
    rig.tables("bad_grant", mysql97)
    mysql97.execute("DROP USER IF EXISTS bad_grant@'%'", "CREATE USER bad_grant@'%' IDENTIFIED BY 'one'",
                    "GRANT SELECT, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO bad_grant@'%'")
    task = rig.d.create("bad_grant", f"mysql://bad_grant:one@127.0.0.1:{mysql97.port}", rig.target, databases="bad_grant")
    rig.streams(mysql97, "bad_grant")
    mysql97.execute("REVOKE REPLICATION SLAVE ON *.* FROM bad_grant@'%'")
    break_streams(mysql97, "bad_grant")
    rig.fails(task, "MR1003", rig.capture)
    mysql97.execute("GRANT REPLICATION SLAVE ON *.* TO bad_grant@'%'")
    rig.resumes(task, mysql97, "bad_grant")
    rig.d.drop(task)


@pytest.mark.parametrize("variable, bad, good, code", [("binlog_format", "STATEMENT", "ROW", "MR1005"),
                                                       ("binlog_row_image", "MINIMAL", "FULL", "MR1006")])
def test_a_log_without_whole_rows_stops_the_task(rig, mysql80, variable, bad, good, code):
    name = "bad_" + variable[7:]
    rig.tables(name, mysql80)
    task = rig.d.create(name, mysql80, rig.target, databases=name)
    rig.streams(mysql80, name)
    try:
        mysql80.execute(f"SET GLOBAL {variable} = {bad}")
        refused(rig, code, *create_words(rig, mysql80))
        break_streams(mysql80, "repl")
        rig.fails(task, code, rig.capture)
    finally:
        mysql80.execute(f"SET GLOBAL {variable} = {good}")
    rig.resumes(task, mysql80, name)
    rig.d.drop(task)


def test_rows_logged_in_part_stop_the_task_before_them(rig, mysql80):
    """A session of its own mind, the server's setting being right."""
    rig.tables("bad_part", mysql80)
    task = rig.d.create("bad_part", mysql80, rig.target, databases="bad_part")
    rig.streams(mysql80, "bad_part")
    mysql80.execute("SET SESSION binlog_row_image = MINIMAL", "UPDATE bad_part.a SET x = 'new' WHERE k = 1")
    rig.fails(task, "MR1006", rig.capture)
    assert rig.target.execute("SELECT x FROM bad_part.a WHERE k = 1") == (("one",),)
    rig.d.verb("restart", task, "-y")
    rig.d.caught_up(task, mysql80, rig.target, ["bad_part"])
    rig.d.drop(task)


def test_a_source_without_a_binlog_stops_the_task(rig, spare):
    rig.tables("bad_nolog", spare)
    task = rig.d.create("bad_nolog", spare, rig.target, databases="bad_nolog")
    rig.streams(spare, "bad_nolog")
    spare.stop()
    spare.start("--skip-log-bin")
    refused(rig, "MR1004", *create_words(rig, spare))
    rig.fails(task, "MR1004", rig.capture)
    spare.stop()
    spare.options = []
    spare.start()
    rig.resumes(task, spare, "bad_nolog")
    rig.d.drop(task)


def test_a_purged_log_stops_the_task_and_resync_loads_again(rig, mysql80):
    rig.tables("bad_purged", mysql80)
    relay = Relay(mysql80)
    task = rig.d.create("bad_purged", relay.uri(), rig.target, databases="bad_purged")
    rig.streams(mysql80, "bad_purged")
    relay.cut()
    wait_until(lambda: "MR1001" in rig.d.show(task)["err-msg"], WAIT, "the source is away")
    for thread in dump_threads(mysql80):
        mysql80.execute(f"KILL {thread}")
    wait_until(lambda: not dump_threads(mysql80), WAIT, "nobody reads the log")
    mysql80.execute("FLUSH BINARY LOGS", "INSERT INTO bad_purged.a VALUES (50, 'only in the purged log')",
                    "FLUSH BINARY LOGS", "PURGE BINARY LOGS BEFORE '2099-01-01 00:00:00'")
    relay.open()
    rig.fails(task, "MR1007", rig.capture)
    refused(rig, "MR1007", "task", "resume", "--task-name", task.name)
    rig.d.verb("resume", task, "--on-gap", "resync")
    rig.d.caught_up(task, mysql80, rig.target, ["bad_purged"])
    rig.d.drop(task)


@pytest.mark.parametrize("first, second", [("mysql80", "mysql97"), ("spare", "mariadb")])
def test_another_server_behind_the_address_stops_the_task(request, rig, first, second):
    first, second = request.getfixturevalue(first), request.getfixturevalue(second)
    rig.tables("bad_other", first)
    relay = Relay(first)
    task = rig.d.create("bad_other", relay.uri(), rig.target, databases="bad_other")
    rig.streams(first, "bad_other")
    relay.cut()
    relay.server = second
    relay.open()
    rig.fails(task, "MR1008", rig.capture)
    relay.cut()
    relay.server = first
    relay.open()
    rig.resumes(task, first, "bad_other")
    rig.d.drop(task)


# Tables


def test_a_table_without_a_key_is_left_out_and_joins_when_it_has_one(rig, mysql97):
    rig.tables("bad_nokey", mysql97)
    mysql97.execute("ALTER TABLE bad_nokey.a DROP PRIMARY KEY")
    task = rig.d.create("bad_nokey", mysql97, rig.target, databases="bad_nokey")
    rig.table_fails(task, "bad_nokey.a", "MR1012", rig.capture)
    rig.streams(mysql97, "bad_nokey")
    mysql97.execute("INSERT INTO bad_nokey.a VALUES (3, 'three')", "ALTER TABLE bad_nokey.a ADD PRIMARY KEY (k)")
    rig.resumes(task, mysql97, "bad_nokey", "a")
    rig.d.caught_up(task, mysql97, rig.target, ["bad_nokey"])
    rig.d.drop(task)


def test_a_target_table_of_another_shape_stops_alone(rig, mysql97):
    rig.tables("bad_shape", mysql97)
    rig.target.execute("CREATE DATABASE bad_shape", "CREATE TABLE bad_shape.a (other INT PRIMARY KEY)")
    task = rig.d.create("bad_shape", mysql97, rig.target, databases="bad_shape")
    rig.table_fails(task, "bad_shape.a", "MR3004", rig.apply)
    rig.streams(mysql97, "bad_shape")
    mysql97.execute("INSERT INTO bad_shape.a VALUES (3, 'three')")
    rig.target.execute("DROP TABLE bad_shape.a")
    rig.resumes(task, mysql97, "bad_shape", "a")
    rig.d.caught_up(task, mysql97, rig.target, ["bad_shape"])
    rig.d.drop(task)


@pytest.mark.parametrize("load", [True, False])
def test_a_row_above_the_message_limit_stops_its_table_alone(rig, mysql97, load):
    """In a load, and in the stream. 2 MiB that do not compress; the rig's limit is 1 MiB."""
    rig.tables("bad_large", mysql97)
    mysql97.execute("ALTER TABLE bad_large.a ADD c LONGBLOB")
    with mysql97.connect() as connection, connection.cursor() as cursor:
        if load:
            cursor.execute("INSERT INTO bad_large.a VALUES (7, 'large', %s)", random.randbytes(2 << 20))
        task = rig.d.create("bad_large", mysql97, rig.target, databases="bad_large")
        if not load:
            rig.streams(mysql97, "bad_large", "a")
            cursor.execute("INSERT INTO bad_large.a VALUES (7, 'large', %s)", random.randbytes(2 << 20))
        rig.table_fails(task, "bad_large.a", "MR2006", rig.capture)
        rig.streams(mysql97, "bad_large")
        cursor.execute("UPDATE bad_large.a SET c = 'short' WHERE k = 7")
    rig.resumes(task, mysql97, "bad_large", "a")
    rig.d.caught_up(task, mysql97, rig.target, ["bad_large"])
    rig.d.drop(task)


# Kafka


@pytest.mark.parametrize("again", [False, True])
def test_a_deleted_or_recreated_topic_stops_the_task_until_a_restart(rig, kafka, mysql97, again):
    rig.tables("bad_topic", mysql97)
    task = rig.d.create("bad_topic", mysql97, rig.target, databases="bad_topic")
    rig.streams(mysql97, "bad_topic")
    kafka.delete_topic("bad_topic.bad_topic.a")
    if again:
        wait_until(lambda: "bad_topic.bad_topic.a" not in kafka.topics(), WAIT, "the topic is gone")
        kafka.create_topic("bad_topic.bad_topic.a", 4)
    mysql97.execute("INSERT INTO bad_topic.a VALUES (3, 'three')")
    shown = rig.d.wait_state(task, WAIT, state="stopped")
    assert re.search("MR2003|MR2004" if again else "MR2002", shown["err-msg"]), shown["err-msg"]
    print(shown["err-msg"])
    rig.goes_on()
    rig.d.verb("restart", task, "-y")
    rig.d.caught_up(task, mysql97, rig.target, ["bad_topic"])
    rig.d.drop(task)


def test_workers_name_an_unreachable_kafka_and_start_when_it_is_there(binaries, mysql97, rig, tmp_path):
    pass
