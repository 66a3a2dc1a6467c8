"""Every event of the logs, on real servers: what binlog_cat streams is what an independent client sees in the tables, or
the refusal has its code and names the place."""

import json
import random
import re
import shutil
from pathlib import Path

import pytest

from stack import Mariadb, Mysql97
from test_source_mysql import Source, by_text, fold, golden, normal

FAMILY = ["mysql97", "mysql80", "mariadb"]
MYSQL = ["mysql97", "mysql80"]
SLOW = pytest.mark.slow


@pytest.fixture
def server(request):
    return request.getfixturevalue(request.param)


def on(*names):
    return pytest.mark.parametrize("server", names, indirect=True)


def run(server, *statements):
    """In one session; (statement, values) where there are values."""
    connection = server.connect(database="golden")
    try:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(*statement) if isinstance(statement, tuple) else cursor.execute(statement)
            return cursor.fetchall()
    finally:
        connection.close()


def start(server):
    server.execute("DROP DATABASE IF EXISTS golden", "CREATE DATABASE golden CHARACTER SET utf8mb4")
    return Source(server), Source(server).now()


def check(server, source, begin):
    lines = source.lines("stream", begin, source.now())
    tables = fold(lines, "golden")
    for (table,) in server.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'golden' "
                                   "AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')"):
        rows = ({name: v for name, v in row.items() if not name.startswith("period_")} for row in golden.rows_of(server.port, table))
        shown = by_text(map(normal, rows))
        assert by_text(tables.get(table, [])) == shown, table
    return lines


def follow(server, *statements):
    source, begin = start(server)
    run(server, *statements)
    return check(server, source, begin)


def refused(server, *statements):
    """The last line of the refusal."""
    source, begin = start(server)
    run(server, *statements)
    done = source.run("stream", begin, source.now())
    assert done.returncode == 1, done.stdout
    return done.stderr.splitlines()[-1]


def types_in_log(server):
    """Event types since the last FLUSH BINARY LOGS."""
    log = server.execute("SHOW BINARY LOGS")[-1][0]
    return {row[2] for row in server.execute(f"SHOW BINLOG EVENTS IN '{log}'")}


# Rows.


NAMES = ["a", "b", "aa", "x y", 'q"', "back\\", "é", "日本", "1", "", "a.b", "$", "new\nline", "\x07"]


def document(r, depth=0):
    kind = r.random()
    if depth < 4 and kind < 0.35:
        return {r.choice(NAMES): document(r, depth + 1) for _ in range(r.randrange(6))}
    if depth < 4 and kind < 0.7:
        return [document(r, depth + 1) for _ in range(r.randrange(6))]
    return r.choice([None, True, False, r.randrange(-9, 70000), -2**40, r.random() * 1e5, "", "é\"\\\n\x01/", "x" * 200])


def path(r):
    def leg():
        return r.choice([f".{json.dumps(r.choice(NAMES), ensure_ascii=False)}", f"[{r.randrange(6)}]", "[last]",
                         f"[last-{r.randrange(3)}]"])
    return "$" + "".join(leg() for _ in range(r.randrange(1, 4)))


def value(r):
    return r.choice([("CAST(%s AS JSON)", json.dumps(document(r, 2))), ("CAST(%s AS DECIMAL(20,5))", "-12.5"),
                     ("CAST(%s AS DATETIME(6))", "2024-02-03 04:05:06.789"), ("%s", "text"), ("%s", r.randrange(70000))])


def json_change(r, column):
    function = r.choice(["JSON_SET", "JSON_SET", "JSON_REPLACE", "JSON_REMOVE"])
    text, values = "", []
    for _ in range(r.randrange(1, 4)):
        values.append(path(r))
        text += ", %s"
        if function != "JSON_REMOVE":
            mark, v = value(r)
            text += ", " + mark
            values.append(v)
    return f"{column} = {function}({column}{text})", values


def json_update(r, rows):
    columns = r.sample(["a", "b", "c"], r.randrange(1, 4))
    changes = [json_change(r, column) for column in columns]
    some = ", ".join(str(r.randrange(rows)) for _ in range(3))
    return (f"UPDATE IGNORE t SET {', '.join(c for c, _ in changes)}, n = n + {r.randrange(2)} WHERE k IN ({some})",
            [v for _, values in changes for v in values])


@on(*MYSQL)
def test_json_differences_give_the_document_that_the_server_shows(server):
    r = random.Random(5)
    inserts = [("INSERT INTO t VALUES (%s, %s, 0, %s, %s)",
                [k, json.dumps(document(r)), r.choice([None, json.dumps(document(r))]),
                 json.dumps({"pad": "p" * 500, "v": document(r)})]) for k in range(30)]
    server.execute("FLUSH BINARY LOGS")
    follow(server, "SET binlog_row_value_options = 'PARTIAL_JSON'",
           "CREATE TABLE t (k INT PRIMARY KEY, a JSON, n INT, b JSON, c JSON NOT NULL)", *inserts,
           *[json_update(r, 30) for _ in range(200)])
    assert "Update_rows_partial" in types_in_log(server)


@on(*FAMILY)
def test_a_table_made_by_select_has_its_rows(server):
    follow(server, "CREATE TABLE a (k INT PRIMARY KEY, v VARCHAR(20))", "INSERT INTO a VALUES (1, 'x'), (2, 'y')",
           "CREATE TABLE b (PRIMARY KEY (k)) SELECT k, v, k + 1 AS n FROM a", "INSERT INTO b VALUES (9, 'z', 9)",
           "CREATE TABLE IF NOT EXISTS c (k INT PRIMARY KEY) SELECT k FROM b WHERE k > 1")


@on(*FAMILY)
def test_rows_of_partitions_and_between_them(server):
    follow(server, "CREATE TABLE p (k INT, d INT, PRIMARY KEY (k, d)) PARTITION BY RANGE (d) (PARTITION a VALUES LESS THAN "
                   "(10), PARTITION b VALUES LESS THAN (20), PARTITION c VALUES LESS THAN MAXVALUE)",
           "INSERT INTO p VALUES (1, 5), (2, 15), (3, 25), (4, 6)", "UPDATE p SET d = d + 10 WHERE k < 3",
           "DELETE FROM p WHERE d > 20",
           "CREATE TABLE h (k INT PRIMARY KEY, v INT) PARTITION BY HASH (k) PARTITIONS 7",
           "INSERT INTO h SELECT k, d FROM p", "UPDATE h SET k = k + 100, v = 1")


VERSIONED = [
    "CREATE TABLE v (k INT PRIMARY KEY, x INT, t VARCHAR(9), UNIQUE KEY u (t)) WITH SYSTEM VERSIONING",
    "CREATE TABLE w (period_s TIMESTAMP(6) GENERATED ALWAYS AS ROW START, k INT PRIMARY KEY, period_e TIMESTAMP(6) GENERATED ALWAYS AS "
    "ROW END INVISIBLE, x INT, y INT WITHOUT SYSTEM VERSIONING, PERIOD FOR SYSTEM_TIME (period_s, period_e)) WITH SYSTEM VERSIONING",
    "CREATE TABLE p (k INT PRIMARY KEY, x INT) WITH SYSTEM VERSIONING PARTITION BY SYSTEM_TIME (PARTITION h HISTORY, PARTITION c CURRENT)",
    *(f"INSERT INTO {t} (k, x) VALUES (1, 10), (2, 20), (3, 30), (4, 40)" for t in "vwp"),
    *(f"{s}" for t in "vwp" for s in (
        f"UPDATE {t} SET x = x + 1 WHERE k < 3", f"UPDATE {t} SET k = 9 WHERE k = 1", f"DELETE FROM {t} WHERE k = 2", f"UPDATE {t} SET x = x",
        f"INSERT INTO {t} (k, x) VALUES (2, 22), (1, 11)", f"REPLACE INTO {t} (k, x) VALUES (3, 33)",
        f"INSERT INTO {t} (k, x) VALUES (4, 0) ON DUPLICATE KEY UPDATE x = 44")),
    "UPDATE v SET t = CONCAT('t', k)", "DELETE FROM v WHERE k = 4", "INSERT INTO v VALUES (5, 5, 't4')", "UPDATE w SET y = k * 2",
    "DELETE HISTORY FROM v", "SET system_versioning_alter_history = KEEP", "ALTER TABLE v ADD COLUMN z INT",
    "UPDATE v SET z = k WHERE k < 4", "ALTER TABLE v ADD COLUMN zz INT FIRST", "UPDATE v SET zz = z", "DELETE FROM v WHERE k = 9"]


@on("mariadb", pytest.param("mariadb118", marks=SLOW))
@pytest.mark.parametrize("metadata", ["FULL", pytest.param("NO_LOG", marks=SLOW)])
def test_a_system_versioned_table_is_followed_as_it_is_now_without_its_history(server, metadata):
    server.execute(f"SET GLOBAL binlog_row_metadata = {metadata}")
    try:
        follow(server, *VERSIONED[:-6] if metadata == "NO_LOG" else VERSIONED)
    finally:
        server.execute("SET GLOBAL binlog_row_metadata = FULL")


@on("mariadb")
def test_sequences_are_no_tables(server):
    lines = follow(server, "CREATE SEQUENCE s START WITH 5", "CREATE TABLE t (k INT PRIMARY KEY, v INT)",
                   "INSERT INTO t VALUES (NEXTVAL(s), 1)", "INSERT INTO t VALUES (NEXT VALUE FOR s, 2)",
                   "SELECT SETVAL(s, 100)", "INSERT INTO t VALUES (NEXTVAL(s), 3)")
    assert not [line for line in lines if line.get("table") == "s"]


@on(*FAMILY)
def test_xa_transactions_give_what_was_committed(server):
    lines = follow(
        server, "CREATE TABLE t (k INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (1, 1)",
        "XA START 'a', 'b', 3", "UPDATE t SET v = 2", "INSERT INTO t VALUES (2, 2)", "XA END 'a', 'b', 3",
        "XA PREPARE 'a', 'b', 3", "XA COMMIT 'a', 'b', 3",
        "XA START 'r'", "INSERT INTO t VALUES (3, 3)", "XA END 'r'", "XA PREPARE 'r'", "XA ROLLBACK 'r'",
        "XA START 'one'", "SAVEPOINT s", "INSERT INTO t VALUES (4, 4)", "ROLLBACK TO s", "INSERT INTO t VALUES (5, 5)",
        "XA END 'one'", "XA COMMIT 'one' ONE PHASE",
        "XA START 'gone'", "INSERT INTO t VALUES (6, 6)", "XA END 'gone'", "XA ROLLBACK 'gone'",
        "XA START 'empty'", "SELECT * FROM t", "XA END 'empty'", "XA PREPARE 'empty'", "XA COMMIT 'empty'")
    assert not [line for line in lines if line.get("event") == "rows_missed"]


def quarter(k):
    return f"INSERT INTO t SELECT k + {k}, REPEAT('abc', k) FROM t"


@on(*FAMILY)
def test_compressed_transactions_and_events(server):
    maria = server.script.startswith("mariadb")
    server.execute("FLUSH BINARY LOGS")
    if maria:
        server.execute("SET GLOBAL log_bin_compress = ON", "SET GLOBAL log_bin_compress_min_len = 10")
    try:
        follow(server, *([] if maria else ["SET binlog_transaction_compression = ON"]),
               "CREATE TABLE t (k INT PRIMARY KEY, v TEXT)", "INSERT INTO t VALUES (1, REPEAT('abc', 1000))",
               *[quarter(1 << n) for n in range(11)], "UPDATE t SET v = CONCAT(v, 'x') WHERE k % 3 = 0",
               "DELETE FROM t WHERE k % 5 = 0",
               "XA START 'x'", "INSERT INTO t VALUES (-1, REPEAT('z', 5000))", "XA END 'x'", "XA PREPARE 'x'",
               "XA COMMIT 'x'")
        found = types_in_log(server)
    finally:
        if maria:
            server.execute("SET GLOBAL log_bin_compress = OFF", "SET GLOBAL log_bin_compress_min_len = 256")
    assert {"Write_rows_compressed_v1", "Query_compressed"} <= found if maria else "Transaction_payload" in found


@pytest.mark.parametrize("server", ["mysql97", pytest.param("mysql80", marks=SLOW), pytest.param("mariadb", marks=SLOW)],
                         indirect=True)
def test_an_event_above_sixteen_megabytes(server):
    old = server.execute("SELECT @@GLOBAL.max_allowed_packet")[0][0]
    server.execute("SET GLOBAL max_allowed_packet = 134217728")
    try:
        follow(server, "CREATE TABLE t (k INT PRIMARY KEY, v LONGTEXT)", "INSERT INTO t VALUES (1, REPEAT('abcdefgh', 2200000))",
               "INSERT INTO t VALUES (2, 'small')", "UPDATE t SET k = 3 WHERE k = 1")
    finally:
        server.execute(f"SET GLOBAL max_allowed_packet = {old}")


# Logs.


@on(*FAMILY)
def test_checksums_switched_in_mid_stream(server):
    source, begin = start(server)
    run(server, "CREATE TABLE t (k INT PRIMARY KEY)")
    for i, kind in enumerate(("NONE", "CRC32", "NONE", "CRC32")):
        run(server, f"INSERT INTO t VALUES ({2 * i})", f"SET GLOBAL binlog_checksum = {kind}",
            f"INSERT INTO t VALUES ({2 * i + 1})")
    check(server, source, begin)
    server.execute("SET GLOBAL binlog_checksum = NONE")
    try:
        follow(server, "CREATE TABLE t (k INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    finally:
        server.execute("SET GLOBAL binlog_checksum = CRC32")


@on(*FAMILY)
def test_logs_rotate_all_the_time(server):
    old = server.execute("SELECT @@GLOBAL.max_binlog_size")[0][0]
    server.execute("SET GLOBAL max_binlog_size = 4096")
    files = len(server.execute("SHOW BINARY LOGS"))
    try:
        follow(server, "CREATE TABLE t (k INT PRIMARY KEY, v TEXT)", "INSERT INTO t VALUES (1, REPEAT('abc', 300))",
               *[quarter(1 << n) for n in range(8)],
               *[f"UPDATE t SET v = '{n}' WHERE k = {n}" for n in range(60)],
               *[s for n in range(20) for s in ("BEGIN", f"DELETE FROM t WHERE k = {n}", "FLUSH BINARY LOGS",
                                                f"INSERT INTO t VALUES ({n}, 'again')", "COMMIT")])
    finally:
        server.execute(f"SET GLOBAL max_binlog_size = {old}")
    assert len(server.execute("SHOW BINARY LOGS")) > files + 10


@on("mysql97")
def test_tagged_gtids(server):
    source, begin = start(server)
    run(server, "CREATE TABLE t (k INT PRIMARY KEY)", "SET gtid_next = 'AUTOMATIC:tag_1'", "INSERT INTO t VALUES (1)",
        "INSERT INTO t VALUES (2)", "SET gtid_next = 'AUTOMATIC'", "INSERT INTO t VALUES (3)")
    middle = source.now()
    run(server, "SET gtid_next = 'AUTOMATIC:zz'", "INSERT INTO t VALUES (4)")
    lines = check(server, source, begin)
    assert [line for line in lines if re.search(r":tag_1:\d+$", line.get("id", ""))]
    assert "tag_1:1-2" in middle
    later = [line for line in source.lines("stream", middle, source.now()) if "op" in line]
    assert len(later) == 1  # nothing that the tagged set contains comes again


@on(*FAMILY)
def test_a_purged_log_is_named(server):
    source, begin = start(server)
    run(server, "CREATE TABLE t (k INT PRIMARY KEY)", "INSERT INTO t VALUES (1)", "FLUSH BINARY LOGS",
        "INSERT INTO t VALUES (2)")
    last = server.execute("SHOW BINARY LOGS")[-1][0]
    server.execute(f"PURGE BINARY LOGS TO '{last}'")
    assert source.refusal("stream", begin, source.now()) == "MR1007"


@on(*FAMILY)
def test_a_prepared_transaction_whose_log_is_purged_is_named(server):
    source, _ = start(server)
    run(server, "CREATE TABLE t (k INT PRIMARY KEY)", "FLUSH BINARY LOGS")
    place = json.loads(source.now())
    run(server, "FLUSH BINARY LOGS", "INSERT INTO t VALUES (2)", "FLUSH BINARY LOGS")
    position = {**json.loads(source.now()), "xa": {"file": place["file"], "pos": place["pos"]}}
    server.execute(f"PURGE BINARY LOGS TO '{server.execute('SHOW BINARY LOGS')[-1][0]}'")
    assert source.refusal("stream", json.dumps(position), source.now()) == "MR1007"


def encrypted(server, source, begin):
    run(server, "CREATE TABLE t (k INT PRIMARY KEY, v TEXT)", "INSERT INTO t VALUES (1, REPEAT('secret', 50))",
        "FLUSH BINARY LOGS", "UPDATE t SET v = 'changed'", "INSERT INTO t VALUES (2, 'x')")
    check(server, source, begin)
    log = server.execute("SHOW BINARY LOGS")[-2][0]
    assert b"secretsecret" not in (server.data / "data" / log).read_bytes()


def test_encrypted_logs_of_mariadb(tmp_path):
    (tmp_path / "keys").write_text("1;" + "a7" * 32 + "\n")
    server = Mariadb(tmp_path, "encrypted")
    server.start("--plugin-load-add=file_key_management", f"--file-key-management-filename={tmp_path}/keys",
                 "--encrypt-binlog=ON", "--binlog-row-metadata=FULL")
    with server:
        encrypted(server, *start(server))


def test_encrypted_logs_of_mysql(tmp_path, mysql97):
    """A keyring is loaded at the start, by a manifest beside the program and settings beside the component."""
    program = Path(f"/proc/{mysql97.pid}/exe").resolve()
    component = program.parents[1] / "lib/mysql/plugin/component_keyring_file.so"
    shutil.copy(program, tmp_path / "mysqld")
    (tmp_path / "mysqld.my").write_text(json.dumps({"components": "file://component_keyring_file"}))
    (tmp_path / component.name).symlink_to(component)
    (tmp_path / "component_keyring_file.cnf").write_text(json.dumps({"path": f"{tmp_path}/keyring", "read_only": False}))
    server = Mysql97(tmp_path, "encrypted")
    server.environment = {"MYSQLD": str(tmp_path / "mysqld")}
    server.start(f"--plugin-dir={tmp_path}", "--binlog-encryption=ON")
    with server:
        encrypted(server, *start(server))


# What cannot be followed.


@on("mariadb", pytest.param("mariadb118", marks=SLOW))
def test_a_table_versioned_by_transaction_number_is_refused_by_name_and_the_others_go_on(server):
    """Its changes are logged as statements."""
    source, begin = start(server)
    run(server, "CREATE TABLE v (k INT PRIMARY KEY, x INT, s BIGINT UNSIGNED GENERATED ALWAYS AS ROW START, e BIGINT UNSIGNED "
        "GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING", "CREATE TABLE t (k INT PRIMARY KEY)",
        "INSERT INTO t VALUES (1)")
    lines = source.lines("stream", begin, source.now())
    assert [line["after"] for line in lines if "op" in line] == [{"k": "int0 1"}]


@on(*FAMILY)
def test_rows_changed_by_a_statement_are_refused_with_their_place(server):
    if server.script == "mysql97":
        server.execute("SET GLOBAL binlog_format = ROW")
    line = refused(server, "CREATE TABLE t (k INT PRIMARY KEY)", "SET SESSION binlog_format = STATEMENT",
                   "INSERT INTO t VALUES (1)")
    assert line.startswith("MR1011") and re.search(r"binlog\.\d+:\d+", line)


@on(*FAMILY)
def test_an_incident_stops_with_its_place(server):
    """A statement on a table that cannot roll back, too large for the cache of statements: rows that no log holds."""
    old = server.execute("SELECT @@GLOBAL.max_binlog_stmt_cache_size")[0][0]
    server.execute("SET GLOBAL max_binlog_stmt_cache_size = 4096", "SET GLOBAL binlog_stmt_cache_size = 4096")
    try:
        source, begin = start(server)
        run(server, "CREATE TABLE t (k INT PRIMARY KEY, v TEXT) ENGINE=MyISAM")
        rows = ", ".join(f"({k}, REPEAT('x', 3000))" for k in range(20))
        with pytest.raises(Exception):
            run(server, f"INSERT INTO t VALUES {rows}")
        run(server, "FLUSH BINARY LOGS")
    finally:
        server.execute(f"SET GLOBAL max_binlog_stmt_cache_size = {old}", "SET GLOBAL binlog_stmt_cache_size = 32768")
    done = source.run("stream", begin, source.now())
    assert done.returncode == 1, done.stdout
    line = done.stderr.splitlines()[-1]
    assert line.startswith("MR1009") and "INCIDENT" in line and re.search(r"binlog\.\d+:\d+", line)


@pytest.mark.slow
@on("mysql80")
def test_a_transaction_above_four_gigabytes(server):
    """Headers have 32 bits for positions; a position behind it is served from the file's beginning."""
    old = server.execute("SELECT @@GLOBAL.max_allowed_packet")[0][0]
    server.execute("SET GLOBAL max_allowed_packet = 268435456")
    try:
        source, begin = start(server)
        run(server, "CREATE TABLE t (k INT PRIMARY KEY, v LONGTEXT)", "FLUSH BINARY LOGS",
            "INSERT INTO t VALUES (1, '')", "BEGIN",
            *[f"UPDATE t SET v = REPEAT('{c}', 70000000)" for c in "abcdefghijklmnopqrstuvwxyzABCDEFGH"],
            "UPDATE t SET v = 'end'", "COMMIT", "INSERT INTO t VALUES (2, 'after')")
        done = source.run("count", begin, source.now())
        assert done.returncode == 0, done.stderr
        assert " rows=37 " in done.stderr
        name, size = next((row[0], row[1]) for row in server.execute("SHOW BINARY LOGS") if row[1] > 1 << 32)
        behind = {**json.loads(source.now()), "file": name, "pos": rotation(server, name, size), "gtid": None}
        lines = source.lines("stream", json.dumps(behind), source.now())
        assert [line["after"]["k"] for line in lines if "op" in line] == ["int0 2"]
    finally:
        server.execute(f"SET GLOBAL max_allowed_packet = {old}", "DROP DATABASE golden",
                       f"PURGE BINARY LOGS TO '{server.execute('SHOW BINARY LOGS')[-1][0]}'")


def rotation(server, name, size):
    """Where the file's ROTATE event begins: its end is the file's, its length is in the last bytes."""
    with open(server.data / "data" / name, "rb") as log:
        log.seek(size - 200)
        tail = log.read()
    following = server.execute("SHOW BINARY LOGS")[-1][0].encode()
    at = tail.rindex(following)
    return size - 200 + at - 8 - 19
