"""The command against a real broker and real databases; workers are played by this file, which writes their
status records by itself (docs/formats.md), so that nothing is checked by the code that made it."""

import json
import os
import re
import subprocess
import threading
import time
import uuid
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from stack import wait_until

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def program():
    folder = Path(os.environ.get("MILLRACE_BUILD", ROOT / "build" / "faults" / "bin")).resolve()
    return str(folder / "millrace")


@pytest.fixture(scope="session")
def environment(kafka, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    return {**os.environ, "MILLRACE_KAFKA": kafka.bootstrap, "HOME": str(home), "TZ": "Asia/Shanghai",
            "MILLRACE_KEY_FILE": str(home / "key")}


@pytest.fixture
def run(program, environment):
    def call(*words, code=0, **extra):
        r = subprocess.run([program, *map(str, words)], env={**environment, **extra}, text=True, capture_output=True,
                           stdin=subprocess.DEVNULL, timeout=120)
        assert r.returncode == code, f"{words}: exit {r.returncode}, not {code}\n{r.stdout}{r.stderr}"
        return r

    return call


@pytest.fixture
def show(run):
    return lambda *words, **extra: json.loads(run("task", "show", *words, "-o", "json", **extra).stdout)


@pytest.fixture(scope="session")
def shop(mysql97):
    mysql97.execute("CREATE DATABASE IF NOT EXISTS shop", "CREATE DATABASE IF NOT EXISTS empty_one",
                    "CREATE TABLE IF NOT EXISTS shop.orders (id INT PRIMARY KEY, what TEXT)",
                    "CREATE TABLE IF NOT EXISTS shop.items (a INT, b VARCHAR(9), PRIMARY KEY (a, b))",
                    "CREATE TABLE IF NOT EXISTS shop.orders_old (id INT PRIMARY KEY)",
                    "CREATE TABLE IF NOT EXISTS shop.nokey (a INT)",
                    "CREATE TABLE IF NOT EXISTS shop.`a.b,c:d` (id INT PRIMARY KEY)",
                    "CREATE USER IF NOT EXISTS weak@'%' IDENTIFIED BY 'weak'",
                    "GRANT SELECT ON shop.* TO weak@'%'")
    return mysql97


def name():
    return "t" + uuid.uuid4().hex[:8]


@pytest.fixture
def create(run, shop, mariadb):
    def call(task, *words, code=0, source=None, level=("--level", "database", "--databases", "shop"), **extra):
        return run("task", "create", "--task-name", task, "--source-uri", source or shop.uri("repl"), "--sink-type",
                   "mysql", "--sink-uri", mariadb.uri(), *level, *words, code=code, **extra)

    return call


def topic_records(kafka, topic):
    """Every record of partition 0, as a reader of committed data."""
    c = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "x", "isolation.level": "read_committed",
                  "auto.offset.reset": "earliest", "enable.partition.eof": True})
    _, end = c.get_watermark_offsets(TopicPartition(topic, 0), timeout=20)
    c.assign([TopicPartition(topic, 0, 0)])
    found, last = [], -1
    while last < end - 1:
        m = c.poll(20)
        assert m is not None
        if m.error():
            break
        last = m.offset()
        found.append((m.key().decode(), m.value() and json.loads(m.value())))
    c.close()
    return found


def record_of(kafka, task):
    return [v for _, v in topic_records(kafka, "millrace.tasks") if v and v["name"] == task][-1]


class Worker:
    """Plays a worker: beats, and units as it is told."""

    def __init__(self, kafka, half):
        self.half, self.name, self.instance = half, "fake-" + half, uuid.uuid4().hex[:16]
        self.producer = Producer({"bootstrap.servers": kafka.bootstrap, "enable.idempotence": True, "linger.ms": 0})
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.beats)

    def put(self, key, value):
        self.producer.produce("millrace.status", json.dumps(value), key, partition=0)
        self.producer.flush(10)

    def beat(self, stopped=False):
        self.put(f"worker/{self.half}/{self.name}", {
            "v": 1, "name": self.name, "instance": self.instance, "term": int(time.time() * 1000),
            "ts_ms": int(time.time() * 1000), "stopped": stopped})

    def beats(self):
        while not self.stopping.wait(0.5):
            self.beat()

    def unit(self, record, state, phase="Incremental Sync", err=None, source_us=0):
        key = f"{record['id']}/{self.half}" + ("/0" if self.half == "capture" else "")
        self.put(key, {"v": 1, "worker": self.name, "instance": self.instance, "generation": record["generation"],
                       "inc": record["inc"], "state": state, "phase": phase, "err": err, "source_us": source_us,
                       "rows": 7, "failovers": 0, "since_ms": 0, "ts_ms": int(time.time() * 1000), "pos": None})

    def table(self, record, table, **members):
        key = f"{record['id']}/" + ("table/" if self.half == "apply" else "capture/0/") + f"shop.{table}"
        self.put(key, {"v": 1, "db": "shop", "table": table, "state": "streaming", "follows": True, "source_us": 0,
                       "rows": 1, "rows_total": 0, "updated_us": 0, "err": None, "inc": record["inc"], **members})

    def __enter__(self):
        self.beat()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()
        self.beat(stopped=True)


@pytest.fixture
def workers(kafka, run):
    run("task", "show")  # makes the topics
    with Worker(kafka, "capture") as capture, Worker(kafka, "apply") as apply:
        yield capture, apply


# Without servers


def test_help_at_every_level(run):
    top = run("help").stdout
    for word in ("Usage:", "Available Commands:", "completion", "help", "task", "Flags:", "-h, --help",
                 'Use "millrace [command] --help" for more information about a command.'):
        assert word in top
    assert run().stdout == top
    assert run("--help").stdout == top
    assert "create" in run("task", "--help").stdout
    assert "--source-uri" in run("task", "create", "--help").stdout
    assert run("help", "task", "pause").stdout == run("task", "pause", "-h").stdout


def test_the_other_name_answers_too(program, environment, tmp_path):
    link = tmp_path / "mo_cdc"
    link.symlink_to(program)
    out = subprocess.run([link, "help"], env=environment, text=True, capture_output=True, check=True).stdout
    assert 'Use "mo_cdc [command] --help"' in out


@pytest.mark.parametrize("shell,check", [("bash", ["bash", "-n"]), ("zsh", None), ("fish", None)])
def test_completion_scripts(run, shell, check):
    script = run("completion", shell).stdout
    assert "restart" in script and "source-uri" in script
    if check:
        subprocess.run(check, input=script, text=True, check=True)


def test_bash_completion_offers_verbs_and_flags(run):
    script = run("completion", "bash").stdout
    probe = script + '''
COMP_WORDS=(millrace task re); COMP_CWORD=2; _millrace; echo "${COMPREPLY[*]}"
COMP_WORDS=(millrace task create --sou); COMP_CWORD=3; _millrace; echo "${COMPREPLY[*]}"
COMP_WORDS=(millrace co); COMP_CWORD=1; _millrace; echo "${COMPREPLY[*]}"
'''
    out = subprocess.run(["bash", "-c", probe], text=True, capture_output=True, check=True).stdout.split("\n")
    assert out[:3] == ["resume restart", "--source-uri", "completion"]


@pytest.mark.parametrize("words,code,text", [
    (["tsk"], 2, "did you mean task"),
    (["task", "resum"], 2, "did you mean resume"),
    (["task", "show", "--al"], 2, "did you mean --all"),
    (["task", "pause"], 2, "--task-name or --all"),
    (["task", "pause", "--all", "--task-name", "x"], 2, "--all and --task-name"),
    (["task", "restart"], 2, "--task-name is needed"),
    (["task", "drop", "--all", "--timeout", "soon"], 2, "--timeout"),
    (["task", "show", "-o", "xml"], 2, "--output"),
    (["task", "show", "--task-name", "nobody"], 1, "MR4004"),
    (["task", "show", "--source-uri", "nonsense"], 2, "MR4003"),
    (["completion", "csh"], 2, "bash, zsh and fish"),
    (["task", "show", "--set", "kafka.bootstrp=x"], 2, "kafka.bootstrap"),
])
def test_wrong_words_give_one_coded_error(run, words, code, text):
    r = run(*words, code=code)
    assert text in r.stderr and r.stdout == ""
    assert re.fullmatch(r"millrace: MR\d{4}: .+ Effect: .+ Remedy: .+\n", r.stderr), r.stderr


@pytest.mark.parametrize("words,text", [
    (["--level", "table", "--databases", "a"], "--databases does not go with --level table"),
    (["--level", "database", "--tables", "a.b"], "--tables does not go with --level database"),
    (["--level", "account", "--tables", "a.b"], "--tables does not go with --level account"),
    (["--level", "database"], "--level database needs --databases"),
    (["--level", "everything"], "--level is account, database or table"),
    (["--level", "table", "--tables", "a"], "not database.table"),
    (["--level", "table", "--tables", "a.b,a.b"], "listed twice"),
    (["--level", "table", "--tables", "a.b:x.y,a.c:x.y"], "one target"),
    (["--level", "database", "--databases", "mysql"], "system schema"),
    (["--level", "account", "--exclude", "(("], "--exclude"),
    (["--level", "account", "--start-ts", "2025-01-01 00:00:00"], "MR4013"),
    (["--level", "account", "--end-ts", "2025-01-01 00:00:00"], "MR4013"),
    (["--level", "account", "--max-sql-length", "lots"], "max.sql.length"),
    (["--level", "account", "--send-sql-timeout", "0"], "send.sql.timeout.ms"),
    (["--level", "account", "--partitions", "0"], "--partitions"),
    (["--level", "account", "--prefix", "millrace"], "--prefix"),
    (["--level", "account", "--delivery", "slow"], "--delivery is exactly-once or fast"),
    (["--level", "account", "--error-handle-option", "ignore"], "MR4013"),
    (["--level", "account", "mysql://root:secret@h"], "without a flag"),
])
def test_wrong_create_flags_are_usage_errors(run, words, text):
    r = run("task", "create", "--task-name", "x", "--source-uri", "mysql://root:secret@127.0.0.1:1", "--sink-type",
            "mysql", "--sink-uri", "mysql://root:secret@127.0.0.1:1", *words, code=2)
    assert text in r.stderr and "secret" not in r.stderr
    assert re.fullmatch(r"millrace: MR\d{4}: .+ Effect: .+ Remedy: .+\n", r.stderr), r.stderr


@pytest.mark.parametrize("source,sink,type,code", [
    ("root:secret@h", "mysql://a:secret@h", "mysql", "MR4003"),
    ("http://root:secret@h", "mysql://a:secret@h", "mysql", "MR4003"),
    ("mysql://root:secret@h/db", "mysql://a:secret@h", "mysql", "MR4003"),
    ("postgresql://root:secret@h/db", "mysql://a:secret@h", "mysql", "MR4013"),
    ("mysql://root:secret@h", "mysql://:secret@h", "mysql", "MR4003"),
    ("mysql://root:secret@h", "mysql://a:secret@h", "oracle", "MR4001"),
    ("mysql://root:secret@h", "mysql://a:secret@h", "Lakehouse", "MR4003"),
])
def test_wrong_connection_strings(run, source, sink, type, code):
    r = run("task", "create", "--task-name", "x", "--source-uri", source, "--sink-type", type, "--sink-uri", sink,
            "--level", "account", code=2)
    assert code in r.stderr and "secret" not in r.stderr


def test_kafka_unreachable_is_said_in_time(run):
    began = time.monotonic()
    r = run("task", "show", code=1, MILLRACE_KAFKA="127.0.0.1:1")
    assert "MR2001" in r.stderr and time.monotonic() - began < 30


def test_no_kafka_is_a_usage_error(run):
    assert "--kafka" in run("task", "show", code=2, MILLRACE_KAFKA="").stderr


def test_passwords_are_not_in_proc(program, environment):
    p = subprocess.Popen([program, "task", "create", "--task-name", "x", "--source-uri", "mysql://root:tell@127.0.0.1:1",
                          "--sink-type", "mysql", "--sink-uri", "mysql://root:tell@127.0.0.1:1", "--level", "account"],
                         env={**environment, "MILLRACE_KAFKA": "127.0.0.1:1"}, stderr=subprocess.DEVNULL)
    try:
        line = wait_until(lambda: (lambda s: s if b"***" in s else None)(
            Path(f"/proc/{p.pid}/cmdline").read_bytes()), 5, "the arguments are overwritten")
        assert b"tell" not in line and b"--task-name" in line
    finally:
        p.terminate()
        p.wait(30)


# Create


def test_create_stores_the_whole_task_and_no_password(kafka, create, show):
    task = name()
    r = create(task, "--exclude", "_old$", "--format", "json", "--consistency", "task", "--partitions", "3",
               "--max-sql-length", "1M", "--send-sql-timeout", "5m")
    v = record_of(kafka, task)
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", v["id"])
    assert f"task_id: {v['id']}" in r.stdout
    assert (v["v"], v["generation"], v["desired"], v["owner"]) == (1, 1, "running", "repl")
    assert re.fullmatch(r"[0-9a-f]{16}", v["inc"])
    assert v["select"] == {"level": "database", "databases": [["shop", "shop"]], "tables": [], "exclude": "_old$",
                           "merge": None}
    assert v["load"] == {"full": True, "start_ts": None, "end_ts": None, "position": None}
    assert (v["format"], v["consistency"], v["delivery"], v["partitions"], v["prefix"]) == (
        "json", "task", "exactly-once", 3, task)
    assert v["params"] == {"send.sql.timeout.ms": "5m", "max.sql.length": "1M"}
    assert v["sources"][0]["uri"].startswith("mysql://repl@127.0.0.1:")
    assert v["sources"][0]["secret"]["alg"] == "aes-256-gcm"
    assert "repl:repl" not in json.dumps(v) and ":test@" not in json.dumps(v)
    assert "warning" in r.stderr and "MR1012" in r.stderr and "shop.nokey" in r.stderr


def test_show_has_the_eight_keys_in_order_and_masks_passwords(create, show, shop, run):
    task = name()
    create(task)
    [t] = show("--task-name", task)
    assert list(t)[:8] == ["task-id", "task-name", "source-uri", "sink-uri", "state", "err-msg", "checkpoint",
                           "timestamp"]
    assert t["source-uri"] == f"mysql://repl:******@127.0.0.1:{shop.port}"
    assert (t["state"], t["phase"], t["reason"]) == ("running", "Initialization", "")
    assert t["checkpoint"] == "{\n}" and t["checkpoints"] == {}
    assert "MR4012" in t["err-msg"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6} \+0800 CST", t["timestamp"])
    text = run("task", "show", "--task-name", task).stdout
    assert text.startswith('[\n  {\n    "task-id": ')
    assert task in run("task", "show", "-o", "table").stdout


def test_show_selects_by_server_and_user(create, show, shop):
    task = name()
    create(task)
    assert task in [t["task-name"] for t in show("--source-uri", f"mysql://repl@127.0.0.1:{shop.port}")]
    assert task not in [t["task-name"] for t in show("--source-uri", f"mysql://other@127.0.0.1:{shop.port}")]
    assert show("--source-uri", "mysql://nobody@127.0.0.1:1") == []


def test_a_name_or_a_prefix_is_taken_once(create):
    task = name()
    create(task)
    assert "MR4005" in create(task, code=1).stderr
    assert "--prefix" in create(name(), "--prefix", task, code=1).stderr


def test_racing_creates_of_one_name_make_one_task(create, kafka):
    task = name()
    codes = []

    def attempt():
        try:
            create(task)
            codes.append(0)
        except AssertionError as e:
            codes.append(str(e))

    threads = [threading.Thread(target=attempt) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert codes.count(0) == 1, codes
    assert len([1 for _, v in topic_records(kafka, "millrace.tasks") if v and v["name"] == task]) == 1


def test_creates_and_drops_of_different_tasks_at_once_all_succeed(create, run, show, kafka):
    def rounds(failed):
        try:
            for _ in range(3):
                task = name()
                create(task)
                run("task", "drop", "--task-name", task)
                assert record_of(kafka, task)["generation"] == 2
        except AssertionError as e:
            failed.append(str(e))

    failed = []
    threads = [threading.Thread(target=rounds, args=(failed,)) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed


def test_no_full_keeps_the_position_of_creation(create, kafka, shop):
    task = name()
    create(task, "--no-full")
    v = record_of(kafka, task)
    [[uuid_]] = [list(r) for r in shop.execute("SELECT @@server_uuid")]
    gtid = shop.execute("SELECT @@gtid_executed")[0][0]
    assert v["load"]["full"] is False
    assert (v["load"]["position"]["k"], v["load"]["position"]["uuid"]) == ("mysql", uuid_)
    assert v["load"]["position"]["gtid"] == gtid.replace("\n", "")


def test_tables_with_odd_names_in_backquotes(create, kafka):
    task = name()
    create(task, level=("--level", "table", "--tables", "shop.orders:copy.o2, shop.`a.b,c:d`"))
    assert record_of(kafka, task)["select"]["tables"] == [["shop", "a.b,c:d", "shop", "a.b,c:d"],
                                                          ["shop", "orders", "copy", "o2"]]


def test_dry_run_lists_and_creates_nothing(create, show):
    task = name()
    out = create(task, "--dry-run", "--exclude", "orders").stdout
    assert "shop.items -> shop.items" in out and "shop.orders" not in out
    assert task not in [t["task-name"] for t in show()]


def test_a_pattern_that_matches_nothing_is_a_warning(create):
    assert "matches no table" in create(name(), "--dry-run", "--exclude", "zzz").stderr


def test_a_file_has_the_flags_as_keys(run, shop, mariadb, tmp_path, kafka):
    task = name()
    f = tmp_path / "task.yaml"
    f.write_text(f"task-name: {task}\nsource-uri: {shop.uri('repl')}\nsink-type: mysql\nsink-uri: {mariadb.uri()}\n"
                 "level: table\ntables: [shop.orders, 'shop.items:x.y']\npartitions: 2\nno-full: true\n")
    run("task", "create", "-f", f)
    v = record_of(kafka, task)
    assert v["partitions"] == 2 and v["load"]["full"] is False
    assert v["select"]["tables"] == [["shop", "items", "x", "y"], ["shop", "orders", "shop", "orders"]]
    f.write_text("task-nam: x\n")
    assert "did you mean task-name" in run("task", "create", "-f", f, code=2).stderr


def test_references_stay_unresolved(run, shop, mariadb, kafka, tmp_path):
    task = name()
    secret = tmp_path / "pw"
    secret.write_text("test\n")
    run("task", "create", "--task-name", task, "--source-uri", f"mysql://repl:${{env:SRC_PW}}@127.0.0.1:{shop.port}",
        "--sink-type", "mysql", "--sink-uri", f"mysql://test:${{file:{secret}}}@127.0.0.1:{mariadb.port}", "--level",
        "database", "--databases", "shop", SRC_PW="repl")
    v = record_of(kafka, task)
    assert v["sources"][0]["uri"] == f"mysql://repl:${{env:SRC_PW}}@127.0.0.1:{shop.port}"
    assert v["sources"][0]["secret"] is None and str(secret) in v["sink"]["uri"]


def test_kafka_sink_needs_no_uri(run, shop, kafka):
    task = name()
    run("task", "create", "--task-name", task, "--source-uri", shop.uri("repl"), "--sink-type", "kafka", "--level",
        "database", "--databases", "shop")
    assert record_of(kafka, task)["sink"] == {"type": "kafka", "uri": None, "secret": None}


def test_what_the_source_lacks_is_said_at_once(create, run, shop, mariadb, mysql80):
    port = shop.port
    assert "MR1001" in create(name(), code=1, source="mysql://repl:repl@127.0.0.1:1").stderr
    r = create(name(), code=1, source=f"mysql://repl:wrong@127.0.0.1:{port}")
    assert "MR1002" in r.stderr and "wrong" not in r.stderr
    assert "MR1003" in create(name(), code=1, source=f"mysql://weak:weak@127.0.0.1:{port}").stderr
    assert "MR4010" in create(name(), code=1, level=("--level", "database", "--databases", "nothere")).stderr
    assert "MR4010" in create(name(), code=1, level=("--level", "table", "--tables", "shop.nothere")).stderr
    assert "MR4010" in create(name(), "--exclude", "^shop", code=1).stderr
    assert "MR1012" in create(name(), code=1, level=("--level", "table", "--tables", "shop.nokey")).stderr
    try:
        shop.execute("SET GLOBAL binlog_row_image='MINIMAL'")
        assert "MR1006" in create(name(), code=1).stderr
    finally:
        shop.execute("SET GLOBAL binlog_row_image='FULL'")
    try:
        mariadb.execute("SET GLOBAL binlog_format='MIXED'")
        assert "MR1005" in create(name(), code=1, source=mariadb.uri("repl"), level=("--level", "account")).stderr
    finally:
        mariadb.execute("SET GLOBAL binlog_format='ROW'")


def test_what_the_target_lacks_is_said_at_once(run, shop, mariadb):
    def to(uri, *words, code=1):
        return run("task", "create", "--task-name", name(), "--source-uri", shop.uri("repl"), "--sink-type", "mysql",
                   "--sink-uri", uri, "--level", "database", "--databases", "shop", *words, code=code).stderr

    mariadb.execute("CREATE USER IF NOT EXISTS weak@'%' IDENTIFIED BY 'weak'")
    assert "MR3001" in to("mysql://test:test@127.0.0.1:1")
    assert "MR3002" in to(f"mysql://test:wrong@127.0.0.1:{mariadb.port}")
    assert "MR3003" in to(f"mysql://weak:weak@127.0.0.1:{mariadb.port}", "--set", "checkpoint.schema=other")
    assert "onto itself" in to(shop.uri(), code=2)
    assert "max_allowed_packet" in to(mariadb.uri(), "--max-sql-length", "900M", code=2)


@pytest.mark.parametrize("which", ["mysql80", "mariadb"])
def test_every_kind_of_source_can_be_selected(run, kafka, shop, request, which):
    source = request.getfixturevalue(which)
    source.execute("CREATE DATABASE IF NOT EXISTS many", "CREATE TABLE IF NOT EXISTS many.t (id INT PRIMARY KEY)")
    task = name()
    run("task", "create", "--task-name", task, "--source-uri", source.uri("repl"), "--sink-type", "mysql",
        "--sink-uri", shop.uri(), "--level", "database", "--databases", "many", "--no-full")
    position = record_of(kafka, task)["load"]["position"]
    assert position["k"] == {"mysql80": "mysql", "mariadb": "mariadb"}[which]
    assert position["file"] and position["pos"] > 0
    assert (position["gtid"] is None) == (which == "mysql80")


# Verbs


def test_pause_without_workers_is_done_at_once(create, run, show, kafka):
    task = name()
    create(task)
    run("task", "pause", "--task-name", task)
    v = record_of(kafka, task)
    assert (v["desired"], v["generation"]) == ("stopped", 2)
    [t] = show("--task-name", task)
    assert (t["state"], t["reason"], t["err-msg"]) == ("stopped", "paused", "")
    run("task", "pause", "--task-name", task)
    assert record_of(kafka, task)["generation"] == 2


def test_no_start_creates_a_stopped_task(create, run, show):
    task = name()
    create(task, "--no-start")
    [t] = show("--task-name", task)
    assert (t["state"], t["reason"]) == ("stopped", "created")
    run("task", "resume", "--task-name", task)
    assert show("--task-name", task)[0]["state"] == "running"


def test_pause_waits_until_the_workers_saved(create, run, show, kafka, workers):
    capture, apply = workers
    task = name()
    create(task)
    v = record_of(kafka, task)
    for w in workers:
        w.unit(v, "running")
    assert show("--task-name", task)[0]["state"] == "running"
    assert "MR4006" in run("task", "resume", "--task-name", task, code=1).stderr

    r = run("task", "pause", "--task-name", task, "--timeout", "1s", code=1)
    assert "MR4011" in r.stderr
    v = record_of(kafka, task)
    assert v["desired"] == "stopped" and show("--task-name", task)[0]["state"] == "running"

    capture.unit(v, "stopped")
    timer = threading.Timer(1, lambda: apply.unit(v, "stopped"))
    timer.start()
    began = time.monotonic()
    run("task", "pause", "--task-name", task)
    assert time.monotonic() - began > 0.5
    assert show("--task-name", task)[0]["state"] == "stopped"

    run("task", "resume", "--task-name", task)
    assert show("--task-name", task)[0]["state"] == "stopped"  # as left, until it has started
    v = record_of(kafka, task)
    for w in workers:
        w.unit(v, "running")
    [t] = show("--task-name", task)
    assert (t["state"], t["phase"], t["err-msg"]) == ("running", "Incremental Sync", "")


def test_restart_is_a_new_incarnation(create, run, kafka):
    task = name()
    create(task)
    before = record_of(kafka, task)
    r = run("task", "restart", "--task-name", task)
    after = record_of(kafka, task)
    assert after["inc"] != before["inc"] and after["generation"] == 2 and after["desired"] == "running"
    assert "loaded again" in r.stderr and before["id"] in r.stdout


def test_failed_task_is_stopped_and_names_the_error(create, run, show, kafka, workers):
    capture, apply = workers
    task = name()
    create(task)
    v = record_of(kafka, task)
    apply.unit(v, "running")
    capture.unit(v, "failed", err={"code": "MR1007", "text": "mysql-bin.000002 is gone"})
    [t] = show("--task-name", task)
    assert (t["state"], t["reason"]) == ("stopped", "failed")
    assert t["err-msg"].startswith("MR1007: mysql-bin.000002 is gone. Effect: ")
    assert "--on-gap resync" in run("task", "resume", "--task-name", task, code=1).stderr
    run("task", "resume", "--task-name", task, "--on-gap", "resync")
    after = record_of(kafka, task)
    assert after["inc"] != v["inc"] and after["on_gap"] == "resync"
    assert show("--task-name", task)[0]["state"] == "running"


def test_checkpoint_has_a_line_per_table_and_follows(create, show, kafka, workers):
    capture, apply = workers
    task = name()
    create(task)
    v = record_of(kafka, task)
    capture.unit(v, "running", source_us=1743145304030822)
    apply.unit(v, "running", source_us=1743145304030821)
    apply.table(v, "orders")
    apply.table(v, "items", state="stopped", follows=False, source_us=1743145000000001,
                err={"code": "MR3004", "text": "column x is missing"})
    capture.table(v, "orders", rows=500, rows_total=1000)
    [t] = show("--task-name", task)
    assert t["checkpoint"] == ('{\n  "shop.items": 2025-03-28 14:56:40.000001 +0800 CST,\n'
                               '  "shop.orders": 2025-03-28 15:01:44.030821 +0800 CST,\n}')
    assert t["checkpoints"]["shop.orders"] == "2025-03-28 15:01:44.030821 +0800 CST"
    assert t["state"] == "running" and "table shop.items: MR3004: column x is missing" in t["err-msg"]
    [orders] = [x for x in t["tables"] if x["table"] == "orders"]
    assert (orders["load-rows"], orders["load-total"]) == (500, 1000)


def test_drop_deletes_the_task_and_frees_its_name(create, run, show, kafka):
    task = name()
    create(task)
    run("task", "drop", "--task-name", task)
    assert record_of(kafka, task)["desired"] == "dropped"
    assert task not in [t["task-name"] for t in show()]
    assert "MR4004" in run("task", "pause", "--task-name", task, code=1).stderr
    create(task)


def test_pause_and_drop_all_of_one_user(create, run, show, kafka, shop, mysql80):
    mine, other = name(), name()
    create(mine)
    mysql80.execute("CREATE DATABASE IF NOT EXISTS many", "CREATE TABLE IF NOT EXISTS many.t (id INT PRIMARY KEY)")
    create(other, source=mysql80.uri("repl"), level=("--level", "database", "--databases", "many"))
    run("task", "pause", "--all", "--source-uri", mysql80.uri("repl"))
    assert record_of(kafka, other)["desired"] == "stopped" and record_of(kafka, mine)["desired"] == "running"
    run("task", "drop", "--all", "--source-uri", shop.uri("repl"))
    left = [t["task-name"] for t in show()]
    assert mine not in left and other in left
    run("task", "drop", "--all")
    assert show() == [] and show("--all") == []
