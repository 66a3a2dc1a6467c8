"""SQL text of schema/ (DDL, literals, LOAD DATA lines) on real servers: what bench/sql_cases writes is read back and
compared with what it meant."""

import json
import os
import random
import subprocess
from pathlib import Path

import pymysql
import pytest

ROOT = Path(__file__).resolve().parents[2]
STRICT = "SET sql_mode='STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', time_zone='+00:00'"
LENIENT = "SET sql_mode='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'"
DATA_TRUNCATED = 1265  # LOCAL makes it a warning: the invalid ENUM value
INTEGERS = ("tinyint", "smallint", "mediumint", "int", "bigint", "bit", "year")
BY_TEXT = ("uuid", "inet4", "inet6", "date", "time", "datetime", "timestamp")
NUMBERS = ("tinyint", "smallint", "mediumint", "int", "bigint", "double", "decimal")


@pytest.fixture(scope="module")
def cases():
    folder = Path(os.environ.get("MILLRACE_BUILD", ROOT / "build" / "faults" / "bin")).resolve()
    path = folder.parent / "bench" / "sql_cases"
    if not os.access(path, os.X_OK):
        pytest.fail(f"not built: {path}")
    seed = os.environ.get("SEED", str(random.randrange(1 << 32)))
    print(f"seed {seed}")

    def make(flavor):
        done = subprocess.run([path, seed, flavor, "6", "20"], stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.decode().splitlines()]

    return make


@pytest.fixture(params=["mysql97", "mariadb"])
def server(request):
    """A connection, and the flavor of the cases that its server can hold."""
    target = request.getfixturevalue(request.param)
    connection = target.connect(local_infile=True, autocommit=True)
    with connection.cursor() as cursor:
        cursor.execute("SET GLOBAL local_infile=1")
        cursor.execute("CREATE DATABASE IF NOT EXISTS ty")
        cursor.execute("USE ty")
    yield connection, "mariadb" if request.param == "mariadb" else "mysql"
    connection.close()


def selected(kind, name):
    if kind in BY_TEXT:
        return f"HEX(CAST({name} AS CHAR))"
    if kind == "float":
        return f"{name} * 1e0"
    if kind in ("bit", "year"):
        return f"{name} + 0"
    return f"CAST({name} AS CHAR)" if kind in NUMBERS else f"HEX({name})"


def microseconds(text):
    hours, minutes, seconds = text.lstrip("-").split(":")
    value = (int(hours) * 60 + int(minutes)) * 60_000_000 + round(float(seconds) * 1_000_000)
    return -value if text.startswith("-") else value


def same(kind, meant, got):
    if meant == "null" or got is None:
        return meant == "null" and got is None
    if kind in ("float", "double"):
        return float(got) == float.fromhex(meant)
    if kind == "decimal":
        return bytes.fromhex(meant).decode() == got
    if kind in INTEGERS:
        return int(float(got)) == int(meant) if kind == "year" else int(got) == int(meant)
    if kind == "time":
        return microseconds(bytes.fromhex(got).decode()) == int(meant)
    if kind == "json":
        return json.loads(bytes.fromhex(got)) == json.loads(bytes.fromhex(meant))
    return got.lower() == meant.lower()


def create(cursor, text):
    cursor.execute("DROP TABLE IF EXISTS ty.t")
    cursor.execute(STRICT)
    cursor.execute(text)


def compare(cursor, case):
    columns = ",".join(selected(kind, name) for kind, name in zip(case["kinds"], case["names"]))
    cursor.execute(f"SELECT {columns} FROM ty.t ORDER BY id")
    rows = cursor.fetchall()
    assert len(rows) == len(case["rows"])
    for row, wanted in zip(rows, case["rows"]):
        for kind, name, meant, got in zip(case["kinds"], case["names"], wanted["meant"], row):
            assert same(kind, meant, got), (kind, name, meant, got)


def test_literals_read_back_as_they_were_meant(server, cases):
    connection, flavor = server
    for case in cases(flavor):
        with connection.cursor() as cursor:
            create(cursor, case["create"])
            for row in case["rows"]:
                cursor.execute(LENIENT if row["lenient"] else STRICT)
                connection.query(b"INSERT INTO ty.t VALUES (" + bytes.fromhex(row["values"]) + b")")
            compare(cursor, case)


def test_load_data_lines_read_back_as_they_were_meant(server, cases, tmp_path):
    connection, flavor = server
    for case in cases(flavor):
        path = tmp_path / "rows"
        path.write_bytes(b"".join(bytes.fromhex(row["field_line"]) for row in case["rows"]))
        with connection.cursor() as cursor:
            create(cursor, case["create"])
            cursor.execute(f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE ty.t CHARACTER SET utf8mb4 {case['columns']}")
            cursor.execute("SHOW WARNINGS")
            assert [warning for warning in cursor.fetchall() if warning[1] != DATA_TRUNCATED] == []
            compare(cursor, case)


def definition(cursor):
    cursor.execute("SHOW CREATE TABLE ty.t")
    return cursor.fetchone()[1]


def test_an_altered_table_is_like_a_new_one(server, cases):
    connection, flavor = server
    for case in cases(flavor):
        with connection.cursor() as cursor:
            create(cursor, case["create"])
            if case["after"]["alter"]:
                cursor.execute(case["after"]["alter"])
            altered = definition(cursor)
            create(cursor, case["after"]["create"])
            assert altered == definition(cursor)


def test_a_strict_session_refuses_the_invalid_enum_value(server):
    """Why sql_needs_lenient exists; when a server takes it, the detour can go."""
    connection, _ = server
    with connection.cursor() as cursor:
        create(cursor, "CREATE TABLE ty.t (id INT PRIMARY KEY, e ENUM('a') NOT NULL)")
        with pytest.raises(pymysql.err.DataError):
            cursor.execute("INSERT INTO ty.t VALUES (1, 0)")
