"""What operators and servers do wrong: one error with code, cause, effect and remedy, in task show and in the log, and
everything else goes on."""

import re

import pytest

from lib.deploy import CommandFailed, Deployment
from lib.forward import Forward
from lib.workload import Marker
from stack import Mariadb

ERROR = re.compile(r"(table \S+: )?MR\d{4}: .+\. Effect: .+\. Remedy: .+\.")


class Site:
    """A deployment with one good task that must go on whatever happens to the others."""

    def __init__(self, d, source, target):
        self.d, self.source, self.target = d, source, target
        self.count = 0
        for server in (source, target):
            server.execute("DROP DATABASE IF EXISTS bad_good")
        self.marker = Marker(source, "bad_good").create()
        self.good = d.create("bad_good", source, target, databases="bad_good")
        self.good_goes_on()

    def good_goes_on(self):
        self.marker.put()
        self.d.wait(lambda: self.marker.arrived(self.target), "the good task goes on")

    def database(self, *statements, server=None):
        """A fresh database with a table of two rows."""
        self.count += 1
        name = f"bad{self.count}"
        for s in (self.source, self.target, server):
            if s:
                s.execute(f"DROP DATABASE IF EXISTS {name}")
        (server or self.source).execute(f"CREATE DATABASE {name}", f"CREATE TABLE {name}.t (k INT PRIMARY KEY, x VARCHAR(20))",
                                        f"INSERT INTO {name}.t VALUES (1, 'a'), (2, 'b')",
                                        *(s.format(db=name) for s in statements))
        return name

    def rows(self, name, table="t"):
        try:
            return self.target.execute(f"SELECT COUNT(*) FROM {name}.{table}")[0][0]
        except Exception:
            return None

    def task(self, name, source=None, target=None, **options):
        task = self.d.create(name, source or self.source, target or self.target, databases=name, **options)
        self.d.wait(lambda: self.rows(name) == 2, f"{name} loaded")
        return task

    def logged(self, task):
        lines = [line for worker in self.d.workers for line in worker.log.splitlines()
                 if re.search(r"\bcode=MR", line) and task.name in line]
        return {re.search(r"code=(MR\d{4})", line)[1] for line in lines}

    def fails(self, task, code, state, seconds=60):
        shown = self.d.wait(lambda: (lambda s: s if code in s["err-msg"] else None)(self.d.show(task)),
                            f"{code} in task show of {task.name}", seconds)
        assert ERROR.fullmatch(shown["err-msg"]), shown["err-msg"]
        assert len(re.findall(r"MR\d{4}", shown["err-msg"])) == 1, shown["err-msg"]
        self.d.wait(lambda: self.d.show(task)["state"] == state, f"{task.name} is {state}", 20)
        assert code in self.logged(task)
        self.good_goes_on()
        return shown

    def recovers(self, task, name, source=None):
        (source or self.source).execute(f"REPLACE INTO {name}.t VALUES (77, 'late')")
        self.d.wait(lambda: self.rows(name) == 3, f"{name} goes on")
        self.d.wait(lambda: self.d.show(task)["err-msg"] == "", "the error is gone from task show", 30)

    def ends(self, task):
        self.d.drop(task)
        self.good_goes_on()


@pytest.fixture(scope="module")
def site(binaries, kafka, tmp_path_factory, mysql97, mariadb):
    with Deployment(binaries, kafka, tmp_path_factory.mktemp("bad")) as d:
        d.start_both()
        yield Site(d, mysql97, mariadb)


@pytest.fixture
def forward(mysql97):
    forward = Forward(mysql97.port)
    yield forward
    forward.close()


@pytest.fixture
def account(site):
    """An account of its own at the source, with the rights that capture needs."""
    site.source.execute("CREATE USER IF NOT EXISTS bad@'%' IDENTIFIED BY 'bad'",
                        "GRANT SELECT, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO bad@'%'")
    yield "bad"
    site.source.execute("DROP USER IF EXISTS bad@'%'")


def disconnect(server, user):
    for number, in server.execute(f"SELECT ID FROM information_schema.PROCESSLIST WHERE USER = '{user}'"):
        try:
            server.execute(f"KILL {number}")
        except Exception:
            pass


# The command line.


@pytest.mark.parametrize("program", ["capture", "apply", "millrace"])
def test_unknown_flag_is_a_usage_error_that_names_the_nearest(binaries, kafka, program):
    import subprocess
    words = ["task", "show"] if program == "millrace" else []
    wrong, near = ("--task-nam", "task-name") if program == "millrace" else ("--kafak", "kafka")
    result = subprocess.run([getattr(binaries, program), *words, wrong, "x"], capture_output=True, text=True, timeout=20)
    assert result.returncode == 2 and ERROR.search(result.stderr) and "MR4001" in result.stderr and near in result.stderr


@pytest.mark.parametrize("program", ["capture", "apply"])
def test_unknown_setting_is_refused(binaries, program):
    import subprocess
    result = subprocess.run([getattr(binaries, program), "--kafka", "127.0.0.1:1", "--set", "topic.partition=3"],
                            capture_output=True, text=True, timeout=20)
    assert result.returncode == 2 and "topic.partitions" in result.stderr and ERROR.search(result.stderr)


@pytest.mark.parametrize("uri, code", [
    ("mysql://root@", "MR4003"), ("nothing", "MR4003"), ("mysql://u:p@127.0.0.1:99999", "MR4003"),
    ("mysql://u:p@127.0.0.1:1", "MR1001"), ("mysql://test:wrong@127.0.0.1:{port}", "MR1002"),
])
def test_create_refuses_a_bad_source_at_once(site, uri, code):
    with pytest.raises(CommandFailed) as failed:
        site.d.create("bad_uri", uri.format(port=site.source.port), site.target, databases="bad_good")
    assert code in failed.value.err and ERROR.search(failed.value.err), failed.value.err
    assert "wrong" not in failed.value.err and failed.value.code == (2 if code == "MR4003" else 1)


def test_create_refuses_a_wrong_password_of_the_target(site):
    with pytest.raises(CommandFailed, match="MR3002"):
        site.d.create("bad_sink", site.source, site.target.uri("test", "wrong"), databases="bad_good")


def test_create_refuses_an_empty_selection_and_a_second_task_of_the_name(site):
    with pytest.raises(CommandFailed, match="MR4010"):
        site.d.create("bad_none", site.source, site.target, databases="there_is_no_such_database")
    with pytest.raises(CommandFailed, match="MR4005"):
        site.d.create("bad_good", site.source, site.target, databases="bad_good")


def test_kafka_unreachable_is_told_by_the_command_and_the_logs(binaries, tmp_path):
    class Nowhere:
        bootstrap = "127.0.0.1:1"
    with Deployment(binaries, Nowhere, tmp_path) as d:
        workers = d.start("capture"), d.start("apply")
        with pytest.raises(CommandFailed, match="MR2001") as failed:
            d.command("task", "show")
        assert failed.value.code == 1 and ERROR.search(failed.value.err)
        for worker in workers:
            d.wait(lambda: "code=MR2001" in worker.log, "the error in the log", 60)
            assert not worker.ready and worker.get("/livez").strip() == "ok"
            assert worker.stop() == 0


# Source.


def test_a_source_that_goes_away_is_waited_for(site, forward):
    name = site.database()
    task = site.task(name, forward.uri("repl"))
    forward.close()
    site.fails(task, "MR1001", "running")
    forward.open()
    site.recovers(task, name)
    site.ends(task)


def test_a_changed_password_stops_the_task_and_resume_goes_on(site, account):
    name = site.database()
    task = site.task(name, site.source.uri(account))
    site.source.execute("ALTER USER bad@'%' IDENTIFIED BY 'other'")
    disconnect(site.source, account)
    site.fails(task, "MR1002", "stopped")
    site.source.execute("ALTER USER bad@'%' IDENTIFIED BY 'bad'")
    site.d.verb("resume", task)
    site.recovers(task, name)
    site.ends(task)


def test_a_missing_grant_is_named(site, account):
    name = site.database()
    task = site.task(name, site.source.uri(account))
    site.source.execute("REVOKE REPLICATION SLAVE ON *.* FROM bad@'%'")
    disconnect(site.source, account)
    site.fails(task, "MR1003", "stopped")
    site.source.execute("GRANT REPLICATION SLAVE ON *.* TO bad@'%'")
    site.d.verb("resume", task)
    site.recovers(task, name)
    site.ends(task)


def test_binlog_format_statement_is_refused(site, mysql80):
    name = site.database(server=mysql80)
    task = site.task(name, mysql80)
    site.d.verb("pause", task)
    mysql80.execute("SET GLOBAL binlog_format = 'STATEMENT'")
    try:
        site.d.verb("resume", task)
        site.fails(task, "MR1005", "stopped")
        with pytest.raises(CommandFailed, match="MR1005"):
            site.d.create("bad_statement", mysql80, site.target, databases=name)
    finally:
        mysql80.execute("SET GLOBAL binlog_format = 'ROW'")
    site.d.verb("resume", task)
    site.recovers(task, name, mysql80)
    site.ends(task)


def test_a_partial_row_image_stops_the_task(site, mysql80):
    name = site.database(server=mysql80)
    task = site.task(name, mysql80)
    mysql80.execute("SET SESSION binlog_row_image = 'MINIMAL'", f"UPDATE {name}.t SET x = 'minimal' WHERE k = 1")
    site.fails(task, "MR1006", "stopped")
    site.d.verb("restart", task, "-y")
    site.recovers(task, name, mysql80)
    site.ends(task)


def test_binlog_off_is_told(site, tmp_path):
    with Mariadb(tmp_path, "nobinlog") as server:
        name = site.database(server=server)
        task = site.task(name, server)
        server.stop()
        server.start("--skip-log-bin")
        site.fails(task, "MR1004", "stopped", 90)
        with pytest.raises(CommandFailed, match="MR1004"):
            site.d.create("bad_nobinlog", server, site.target, databases=name)
        site.ends(task)


def purge(server):
    server.execute("FLUSH BINARY LOGS", "PURGE BINARY LOGS BEFORE '2099-01-01 00:00:00'")


def test_a_binlog_purged_while_the_source_was_away_stops_the_task(site, forward):
    name = site.database()
    task = site.task(name, forward.uri("repl"))
    forward.close()
    site.source.execute(f"DELETE FROM {name}.t WHERE k = 1", f"INSERT INTO {name}.t VALUES (5, 'e'), (6, 'f')")
    site.good_goes_on()
    purge(site.source)
    forward.open()
    site.fails(task, "MR1007", "stopped")
    site.d.verb("restart", task, "-y")
    site.d.caught_up(task, site.source, site.target, [name])
    site.ends(task)


def test_resume_over_a_purged_binlog_names_the_gap_and_syncs_again_when_told(site):
    name = site.database()
    task = site.task(name)
    site.d.verb("pause", task)
    site.source.execute(f"DELETE FROM {name}.t WHERE k = 1", f"INSERT INTO {name}.t VALUES (5, 'e'), (6, 'f')")
    site.good_goes_on()
    purge(site.source)
    with pytest.raises(CommandFailed, match="MR1007") as failed:
        site.d.verb("resume", task)
    assert ERROR.search(failed.value.err)
    site.d.verb("resume", task, "--on-gap", "resync")
    site.d.caught_up(task, site.source, site.target, [name])
    site.ends(task)


def test_another_server_behind_the_address_is_noticed(site, forward, mysql80):
    name = site.database()
    site.database(server=mysql80)
    task = site.task(name, forward.uri("repl"))
    forward.point(mysql80.port)
    site.fails(task, "MR1008", "stopped")
    forward.point(site.source.port)
    site.d.verb("resume", task)
    site.recovers(task, name)
    site.ends(task)


def test_a_table_without_a_key_is_left_out_and_named(site):
    name = site.database("CREATE TABLE {db}.keyless (x INT)")
    task = site.task(name)
    site.d.wait(lambda: "MR1012" in site.d.show(task)["err-msg"], "the keyless table in task show")
    table = next(t for t in site.d.show(task)["tables"] if t["table"] == "keyless")
    assert ERROR.fullmatch(table["err-msg"]) and "MR1012" in site.logged(task)
    site.source.execute(f"INSERT INTO {name}.t VALUES (3, 'c')")
    site.d.wait(lambda: site.rows(name) == 3, "the other table goes on")
    assert site.d.show(task)["state"] == "running"
    site.ends(task)


# Kafka.


def test_a_row_above_the_message_limit_stops_its_table_alone(site):
    name = site.database("CREATE TABLE {db}.big (k INT PRIMARY KEY, x LONGTEXT)",
                         "CREATE TABLE {db}.other (k INT PRIMARY KEY)")
    task = site.d.create(name, site.source, site.target, name, None, "--set", "kafka.message.max.bytes=1MiB")
    site.d.wait(lambda: site.rows(name) == 2, "loaded")
    site.source.execute(f"INSERT INTO {name}.big VALUES (1, 'small'), (2, REPEAT('x', 2000000))",
                        f"INSERT INTO {name}.other VALUES (1)")
    shown = site.fails(task, "MR2006", "running")
    assert f"{name}.big" in shown["err-msg"]
    site.d.wait(lambda: site.rows(name, "other") == 1, "the other table goes on")
    assert site.rows(name, "big") in (0, 1)
    site.ends(task)


def test_a_topic_that_takes_no_whole_batch_stops_its_table_alone(site, kafka):
    name = site.database("CREATE TABLE {db}.small (k INT PRIMARY KEY)")
    kafka.create_topic(f"{name}.{name}.small", 4, max_message_bytes=600000)
    task = site.d.create(name, site.source, site.target, name)
    site.d.wait(lambda: site.rows(name) == 2, "the other table is loaded")
    site.source.execute(f"INSERT INTO {name}.small VALUES (1)", f"INSERT INTO {name}.t VALUES (3, 'c')")
    shown = site.fails(task, "MR2006", "running")
    assert f"{name}.small" in shown["err-msg"]
    site.d.wait(lambda: site.rows(name) == 3, "the other table goes on")
    site.ends(task)


@pytest.mark.parametrize("again", [False, True], ids=["deleted", "made again"])
def test_a_deleted_topic_stops_the_task(site, kafka, again):
    name = site.database()
    task = site.task(name)
    site.d.verb("pause", task)
    topic = f"{name}.{name}.t"
    kafka.delete_topic(topic)
    site.d.wait(lambda: topic not in kafka.topics(), "the topic is gone")
    if again:
        kafka.create_topic(topic, 4)
    site.source.execute(f"INSERT INTO {name}.t VALUES (3, 'c')")
    site.d.verb("resume", task)
    site.fails(task, "MR2003" if again else "MR2002", "stopped")
    site.d.verb("restart", task, "-y")
    site.d.caught_up(task, site.source, site.target, [name])
    site.ends(task)


def test_a_topic_deleted_under_load_stops_the_task(site, kafka):
    name = site.database()
    task = site.task(name)
    kafka.delete_topic(f"{name}.{name}.t")
    site.source.execute(f"INSERT INTO {name}.t VALUES (3, 'c')")
    site.d.wait(lambda: re.match("MR200[23]", site.d.show(task)["err-msg"]), "the deletion in task show")
    assert site.d.show(task)["state"] == "stopped" and site.logged(task) & {"MR2002", "MR2003"}
    site.ends(task)


# Target.


def test_a_target_table_of_another_shape_stops_alone(site):
    name = site.database("CREATE TABLE {db}.other (k INT PRIMARY KEY)")
    site.target.execute(f"CREATE DATABASE {name}", f"CREATE TABLE {name}.t (k VARCHAR(3) PRIMARY KEY, y DATE NOT NULL)")
    task = site.d.create(name, site.source, site.target, databases=name)
    shown = site.fails(task, "MR3004", "running")
    assert f"{name}.t" in shown["err-msg"]
    site.source.execute(f"INSERT INTO {name}.other VALUES (1)")
    site.d.wait(lambda: site.rows(name, "other") == 1, "the other table goes on")
    site.target.execute(f"DROP TABLE {name}.t")
    site.d.verb("restart", task, "-y")
    site.d.caught_up(task, site.source, site.target, [name])
    site.ends(task)


def test_a_target_that_goes_away_is_waited_for(site):
    forward = Forward(site.target.port)
    name = site.database()
    task = site.task(name, None, forward.uri("test"))
    forward.close()
    site.source.execute(f"INSERT INTO {name}.t VALUES (3, 'c')")
    site.fails(task, "MR3001", "running")
    forward.open()
    site.d.wait(lambda: site.rows(name) == 3, "the row arrives")
    site.d.wait(lambda: site.d.show(task)["err-msg"] == "", "the error is gone")
    site.ends(task)
    forward.close()


def test_a_changed_password_at_the_target_stops_the_task_and_resume_goes_on(site):
    name = site.database()
    site.target.execute("CREATE USER IF NOT EXISTS bad@'%' IDENTIFIED BY 'bad'", "GRANT ALL ON *.* TO bad@'%'")
    try:
        task = site.task(name, None, site.target.uri("bad"))
        site.target.execute("ALTER USER bad@'%' IDENTIFIED BY 'other'")
        disconnect(site.target, "bad")
        site.source.execute(f"INSERT INTO {name}.t VALUES (3, 'c')")
        site.fails(task, "MR3002", "stopped")
        site.target.execute("ALTER USER bad@'%' IDENTIFIED BY 'bad'")
        site.d.verb("resume", task)
        site.d.wait(lambda: site.rows(name) == 3, "the row arrives")
        site.ends(task)
    finally:
        site.target.execute("DROP USER bad@'%'")


def test_a_missing_right_at_the_target_is_named(site):
    name = site.database()
    site.target.execute("CREATE USER IF NOT EXISTS bad@'%' IDENTIFIED BY 'bad'", "GRANT ALL ON millrace.* TO bad@'%'",
                        f"GRANT SELECT ON {name}.* TO bad@'%'")
    try:
        task = site.d.create(name, site.source, site.target.uri("bad"), databases=name)
        site.fails(task, "MR3003", "stopped")
        site.target.execute(f"GRANT ALL ON {name}.* TO bad@'%'")
        site.d.verb("resume", task)
        site.d.wait(lambda: site.rows(name) == 2, "loaded")
        site.ends(task)
    finally:
        site.target.execute("DROP USER bad@'%'")
