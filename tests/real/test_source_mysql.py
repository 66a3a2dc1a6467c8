"""The MySQL source on real servers, driven by binlog_cat and source_race: the stream and the chunks give what an independent client
sees, keys of every type page right, marks are visibility-exact, refusals have their codes.

MILLRACE_BENCH    folder of binlog_cat and source_race (build/release/bench)
"""

import importlib.util
import json
import os
import random
import subprocess
import threading
import uuid
from pathlib import Path

import pytest
from stack import wait_until

ROOT = Path(__file__).resolve().parents[2]
BENCH = Path(os.environ.get("MILLRACE_BENCH", ROOT / "build" / "release" / "bench"))


def load_golden():
    spec = importlib.util.spec_from_file_location("golden", ROOT / "tests" / "golden" / "binlog" / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


golden = load_golden()


OLD_AND_NEW = [pytest.param(name, marks=pytest.mark.slow) for name in ("mysql57", "mariadb118")]


@pytest.fixture(params=["mysql97", "mysql80", "mariadb", *OLD_AND_NEW])
def server(request):
    return request.getfixturevalue(request.param)


def run_tool(name, *arguments):
    program = BENCH / name
    if not program.exists():
        pytest.skip(f"{program} is not built")
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=600)


class Source:
    def __init__(self, server, user="repl", password="repl"):
        self.server = server
        self.uri = f"mysql://{user}:{password}@127.0.0.1:{server.port}"

    def run(self, *arguments):
        return run_tool("binlog_cat", self.uri, *arguments)

    def lines(self, *arguments):
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def now(self):
        return json.dumps(self.lines("now")[0])

    def refusal(self, *arguments):
        done = self.run(*arguments)
        assert done.returncode == 1, done.stdout
        return done.stderr.splitlines()[-1].split(":")[0]


def normal(row):
    """Floats as numbers; what is NULL as absent, for columns that were added later."""
    return {
        name: float(text.split()[1]) if text.startswith(("float ", "double ")) else text
        for name, text in row.items()
        if text is not None
    }


def fold(lines, database, refused=()):
    tables = {}
    for line in lines:
        if line.get("event") == "table_error":
            refused.append(line["error"])
        if "op" not in line or line["db"] != database:
            continue
        rows = tables.setdefault(line["table"], [])
        if line["before"]:
            rows.remove(normal(line["before"]))
        if line["after"]:
            rows.append(normal(line["after"]))
    return tables


def by_text(rows):
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))


@pytest.mark.parametrize("metadata", ["FULL", "MINIMAL"])
def test_stream_and_chunks_give_what_the_server_shows(server, metadata):
    if server.script == "mysql57":
        pytest.skip("the golden schema needs MySQL 8")
    server.execute("DROP DATABASE IF EXISTS golden", f"SET GLOBAL binlog_row_metadata = '{metadata}'")
    source = Source(server)
    try:
        begin = source.now()
        golden.fill(server.port)
        streamed = source.run("stream", begin, source.now())
    finally:
        server.execute("SET GLOBAL binlog_row_metadata = 'FULL'")
    assert streamed.returncode == 0, streamed.stderr
    refused = []
    tables = fold(map(json.loads, streamed.stdout.splitlines()), "golden", refused)
    if metadata == "MINIMAL":
        # without names in the log the rows of the table that was altered since are not provable
        assert len(refused) == 1 and refused[0].startswith("MR1020") and "altered again" in refused[0]
        tables.pop("t_misc")
        refused = []
    assert not refused
    assert len(tables) >= 6
    for table, rows in tables.items():
        shown = by_text(normal(row) for row in golden.rows_of(server.port, table))
        assert by_text(rows) == shown, table
        for limit in (1, 1000):
            loaded = [normal(line["after"]) for line in source.lines("load", "golden", table, limit)]
            assert by_text(loaded) == shown, (table, limit)


def word(letters="abcdeABCDEéÉßzZ'\\ %_"):
    return "".join(random.choice(letters) for _ in range(random.randint(0, 6)))


def some_bytes(most):
    return bytes(random.choice((0, 1, 39, 65, 92, 255)) for _ in range(random.randint(0, most)))


def moment():
    return f"20{random.randint(10, 37)}-{random.randint(1, 12)}-{random.randint(1, 28)} 1:2:{random.randint(0, 59)}.{random.randint(0, 999999):06}"


KEYS = {
    "tinyint": lambda: random.randint(-128, 127),
    "bigint": lambda: random.randint(-(2**63), 2**63 - 1),
    "bigint unsigned": lambda: random.choice((2**64 - random.randint(1, 99), 2**53 + random.randint(0, 9), 2**63)),
    "decimal(30,9)": lambda: f"{random.randint(-10**20, 10**20)}.{random.randint(0, 10**9 - 1):09}",
    "varchar(20)": word,
    "varchar(20) collate utf8mb4_bin": word,
    "varchar(20) character set latin1": word,
    "char(10)": word,
    "binary(4)": lambda: some_bytes(4),
    "varbinary(8)": lambda: some_bytes(8),
    "date": lambda: f"{random.randint(1000, 9999)}-{random.randint(0, 12)}-{random.randint(0, 28)}",
    "time(3)": lambda: f"{random.choice(('', '-'))}{random.randint(0, 838)}:{random.randint(0, 59)}:58.{random.randint(0, 999):03}",
    "datetime(6)": moment,
    "timestamp(6)": moment,
    "datetime": lambda: random.choice(("0000-00-00 00:00:00", f"2020-01-{random.randint(1, 28)} 00:00:07")),
    "year": lambda: random.randint(1901, 2155),
    "enum('z','a','é','m','b')": lambda: random.choice(("", "z", "a", "é", "m", "b")),
    "set('z','a','é','m')": lambda: ",".join(x for x in ("z", "a", "é", "m") if random.random() < 0.5),
    "bit(10)": lambda: random.randint(0, 1023),
    "double": lambda: random.uniform(-1e10, 1e10),
}
MARIADB_KEYS = {"uuid": lambda: str(uuid.UUID(int=random.getrandbits(128))), "inet6": lambda: f"2001:db8::{random.randint(0, 65535):x}"}
PAIRS = [("varchar(20)", "date"), ("bigint", "varchar(20) character set latin1"), ("enum('z','a','é','m','b')", "binary(4)")]


def fill_keys(server, name, types, values):
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = '', time_zone = '+00:00'")
        columns = ", ".join(f"k{i} {kind} NOT NULL" for i, kind in enumerate(types))
        order = ", ".join(f"k{i}" for i in range(len(types)))
        cursor.execute(f"CREATE TABLE pages.{name} (v int, {columns}, PRIMARY KEY ({order}))")
        for v in range(40):
            marks = ", ".join(["%s"] * len(types))
            cursor.execute(f"INSERT IGNORE INTO pages.{name} VALUES ({v}, {marks})", [make() for make in values])
        connection.commit()
        cursor.execute(f"SELECT v FROM pages.{name} ORDER BY {order}")
        return [f"int0 {v}" for (v,) in cursor.fetchall()]


def test_chunks_page_through_keys_of_every_type(server):
    random.seed(os.environ.get("SEED", "7"))
    server.execute("DROP DATABASE IF EXISTS pages", "CREATE DATABASE pages CHARACTER SET utf8mb4")
    source = Source(server)
    kinds = dict(KEYS, **(MARIADB_KEYS if server.script.startswith("mariadb") else {}))
    keys = [(kind,) for kind in kinds] + PAIRS
    for at, types in enumerate(keys):
        expected = fill_keys(server, f"t{at}", types, [kinds[kind] for kind in types])
        for limit in (3, 1000):
            got = [line["after"]["v"] for line in source.lines("load", "pages", f"t{at}", limit)]
            assert got == expected, (types, limit)


def test_marks_are_visibility_exact_under_writers(server):
    server.execute("DROP DATABASE IF EXISTS race", "CREATE DATABASE race",
                   "CREATE TABLE race.t (id INT PRIMARY KEY, v BIGINT, pad VARCHAR(100))", "INSERT INTO race.t VALUES (1, 0, '')")
    stop = threading.Event()

    def write():
        with server.connect(autocommit=True) as connection, connection.cursor() as cursor:
            while not stop.is_set():
                cursor.execute("UPDATE race.t SET v = v + 1")

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        done = run_tool("source_race", Source(server).uri, "race", "t", 1000)
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "stale=0 early=0" in done.stdout


def stream_of(server, *statements):
    source = Source(server)
    with server.connect(autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS refused")
        cursor.execute("CREATE DATABASE refused")
        cursor.execute("CREATE TABLE refused.t (id INT PRIMARY KEY, v VARCHAR(10))")
        begin = source.now()
        for statement in statements:
            cursor.execute(statement)
        return source.run("stream", begin, source.now())


@pytest.mark.parametrize("code, statements", [
    ("MR1006", ["INSERT INTO refused.t VALUES (1, 'a')", "SET SESSION binlog_row_image = MINIMAL", "UPDATE refused.t SET v = 'b'"]),
    ("MR1011", ["SET SESSION binlog_format = STATEMENT", "INSERT INTO refused.t VALUES (1, 'a')"]),
])
def test_what_cannot_be_followed_stops_the_stream(server, code, statements):
    done = stream_of(server, *statements)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(code)


def purge(server, file):
    """MariaDB keeps a log that a reader has open, and one whose reader was killed has it open until it is told."""
    for (reader,) in server.execute("SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'"):
        server.execute(f"KILL {reader}")
    server.execute(f"PURGE BINARY LOGS TO '{file}'")
    return server.execute("SHOW BINARY LOGS")[0][0] == file


def test_positions_that_cannot_be_served_are_refused(server):
    source = Source(server)
    old = json.loads(source.now())
    name = "server_id" if old["k"] == "mariadb" else "uuid"
    other = json.dumps({**old, name: "77" if name == "server_id" else "11111111-1111-1111-1111-111111111111"})
    ahead = json.dumps({**old, "file": "binlog.999999"})
    assert source.refusal("stream", other, ahead) == "MR1008"
    server.execute("CREATE DATABASE IF NOT EXISTS gone", "DROP DATABASE gone", "FLUSH BINARY LOGS")
    wait_until(lambda: purge(server, json.loads(source.now())["file"]), 30, "the old logs are purged")
    purged = json.dumps({**old, "gtid": ""} if old.get("gtid") and name == "uuid" else old)
    assert source.refusal("stream", purged, ahead) == "MR1007"
    assert Source(server, password="wrong").refusal("now") == "MR1002"
