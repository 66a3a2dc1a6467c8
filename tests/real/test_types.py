"""Every type at its edges, every character of every character set, keys under every collation: loaded, inserted, updated,
deleted, and compared by PyMySQL as bytes. What is expected stands here, not in the product's table of types."""

import random
import re
import time

import pytest

from lib import rows
from lib.deploy import Deployment
from lib.generator import World, differences
from lib.generator_types import CODECS, MARIADB, MULTI_COMPARE, MYSQL, MYSQL9, Place, text
from lib.workload import Marker, new_seed

TARGET_OF = {"mysql97": "mysql80", "mysql80": "mariadb", "mariadb": "mysql97", "mysql57": "mysql97", "mariadb118": "mariadb"}
ANY = (MYSQL, MYSQL9, MARIADB)
SQL_MODE = "STRICT_ALL_TABLES,ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO"

# (name, SQL, values, servers). A value is SQL text.
EDGES = [
    *((f"{name}_{'u' if unsigned else 's'}".lower(), name + (" UNSIGNED" if unsigned else ""),
       [0, 1, (1 << bits) - 1] if unsigned else [0, -1, 1, -(1 << bits - 1), (1 << bits - 1) - 1], ANY)
      for name, bits in (("TINYINT", 8), ("SMALLINT", 16), ("MEDIUMINT", 24), ("INT", 32), ("BIGINT", 64)) for unsigned in (0, 1)),
    ("bool", "BOOLEAN", [0, 1, -128, 127], ANY),
    ("zerofill", "INT(7) ZEROFILL", [0, 7, 4294967295], ANY),
    ("serial", "BIGINT UNSIGNED", [0, 2 ** 63 - 1, 2 ** 63, 2 ** 64 - 1], ANY),
    ("dec65", "DECIMAL(65,30)", ["0", "-0.000000000000000000000000000001", "9" * 35 + "." + "9" * 30, "-" + "9" * 35 + "." + "9" * 30], ANY),
    ("dec0", "DECIMAL(1,0)", [0, 9, -9], ANY),
    ("dec38", "DECIMAL(38,30)", ["0." + "9" * 30, "-99999999.5"], ANY),
    ("udec", "DECIMAL(10,2) UNSIGNED", ["0.01", "99999999.99"], ANY),
    ("float_e", "FLOAT", ["0e0", "-0e0", "3.402823466e38", "-3.402823466e38", "1.175494351e-38", "1e-45", "16777217"], ANY),
    ("float_n", "FLOAT(7,3)", ["1.125", "-9999.999"], ANY),
    ("double_e", "DOUBLE", ["0e0", "-0e0", "1.7976931348623157e308", "2.2250738585072014e-308", "5e-324", "0.1e0", "9007199254740993e0"], ANY),
    *((f"bit{n}", f"BIT({n})", [0, 1, (1 << n) - 1, 1 << n - 1], ANY) for n in range(1, 65) if n < 10 or n % 8 in (0, 1, 7)),
    ("year_e", "YEAR", [0, 1901, 2155, 1970], ANY),
    ("date_e", "DATE", ["'0000-00-00'", "'2024-00-00'", "'2024-02-00'", "'2024-02-31'", "'0001-01-01'", "'1969-12-31'", "'9999-12-31'"], ANY),
    *((f"datetime{n}", f"DATETIME({n})", ["'0000-00-00 00:00:00'", "'2024-00-00 01:02:03'", "'2024-02-31 23:59:59'", "'1000-01-01'",
                                         f"'9999-12-31 23:59:59.{'9' * n or '0'}'", "'1969-12-31 23:59:59'"], ANY) for n in range(7)),
    *((f"timestamp{n}", f"TIMESTAMP({n})", ["'0000-00-00 00:00:00'", "'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'", "NULL",
                                           f"'2000-02-29 12:00:00.{'9' * n or '0'}'"], ANY) for n in range(7)),
    *((f"time{n}", f"TIME({n})", ["'00:00:00'", "'-00:00:01'", "'838:59:59'", "'-838:59:59'", "'24:00:00'", "'-12:34:56'",
                                 f"'-00:00:00.{'9' * n or '0'}'", f"'100:00:00.{'0' * max(n - 1, 0)}1'" if n else "'1:1:1'"], ANY) for n in range(7)),
    ("char_e", "CHAR(255)", ["''", "'a'", "REPEAT('ü', 255)", "' lead'", text("\x00\x01'\"\\\n\r\t\x1a")], ANY),
    ("varchar_e", "VARCHAR(6000)", ["''", "' '", "'trailing   '", "REPEAT('😀', 6000)", text("\x00\x1a\\0")], ANY),
    ("text_e", "TEXT", ["''", "REPEAT('x', 65535)", text("tab\tnl\ncr\r\\N")], ANY),
    ("longtext_e", "LONGTEXT", ["REPEAT('ab\\n', 500000)", "''"], ANY),
    ("binary_e", "BINARY(8)", ["X''", "X'00'", "X'0000000000000000'", "X'2020202020202020'", "X'ff00'", "X'00ff000000000000'"], ANY),
    ("binary1", "BINARY(1)", ["X'00'", "X'20'", "X'ff'"], ANY),
    ("binary255", "BINARY(255)", ["X'01'", "REPEAT(X'00', 255)", "REPEAT(X'ff', 255)"], ANY),
    ("varbinary_e", "VARBINARY(300)", ["X''", "X'00'", "X'0000'", "X'2000'", "REPEAT(X'00ff', 150)"], ANY),
    ("blob_e", "BLOB", ["X''", "REPEAT(X'00', 65535)", "X'27225c0a0d1a09'"], ANY),
    ("longblob_e", "LONGBLOB", ["REPEAT(X'deadbeef', 400000)", "X''"], ANY),
    ("enum_e", "ENUM('','a','A b','it''s','with,comma','q\"','back\\\\slash','new\\nline','  lead','ü日本','1','0')", range(1, 13), ANY),
    ("enum_long", "ENUM(" + ",".join(f"'l{i}'" for i in range(1000)) + ")", [1, 255, 256, 257, 1000], ANY),
    ("enum_latin1", "ENUM('ä','ö','€') CHARACTER SET latin1", [1, 2, 3], ANY),
    ("set_e", "SET('a','it''s','q\"','back\\\\slash','ü','x y','1')", [0, 1, 2, 127, 64, 5], ANY),
    ("set64", "SET(" + ",".join(f"'m{i}'" for i in range(64)) + ")", [0, 1, 2 ** 63, 2 ** 64 - 1], ANY),
    ("json_e", "JSON", ["'null'", "'true'", "'[]'", "'{}'", "'\"\"'", "'18446744073709551615'", "'-9223372036854775808'", "'1.5e300'",
                        "'{\"a\": {\"\": [1, \"x\\\\u0000y\"]}}'", "'[0.1, -0.0, 1e-7]'",
                        text('{"ü": "😀", "b": [' + ",".join(["1"] * 20000) + "]}")], ANY),
    ("json_opaque", "JSON", ["CAST(TIMESTAMP'2024-05-06 07:08:09.123456' AS JSON)", "CAST(DATE'1000-01-01' AS JSON)",
                             "CAST(TIME'-12:34:56.000001' AS JSON)", "CAST(1234567890.12345 AS JSON)", "CAST(X'00ff10' AS JSON)",
                             "CAST(b'101' AS JSON)", "CAST(-0e0 AS JSON)", "JSON_ARRAY(CAST('2024-01-01' AS DATETIME), X'61')",
                             "CAST(1e15 AS JSON)", "CAST(1e16 AS JSON)", "CAST(123456789012345678e0 AS JSON)", "CAST(1e-5 AS JSON)"], (MYSQL, MYSQL9)),
    ("geometry_e", "GEOMETRY", ["ST_GeomFromText('POINT(-0.0 1e300)')", "ST_GeomFromText('POINT(1 2)', 3857)",
                                "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1), LINESTRING(0 0, 1 1))')", "NULL",
                                "ST_GeomFromText('MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((5 5,6 5,6 6,5 5)))')"], ANY),
    ("geometry_4326", "POINT", ["ST_GeomFromText('POINT(10 20)', 4326)"], ANY),
    ("vector_e", "VECTOR(3)", ["TO_VECTOR('[0,-0.0,1]')", "TO_VECTOR('[3.4e38,1e-37,-1]')", "NULL"], (MYSQL9,)),
    ("vector_long", "VECTOR(2000)", ["TO_VECTOR(CONCAT('[', REPEAT('0.5,', 1999), '1]'))"], (MYSQL9,)),
    ("uuid_e", "UUID", ["'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
                        "'12345678-9abc-1def-8123-456789abcd00'", "'01890000-0000-7000-8000-000000000000'"], (MARIADB,)),
    ("inet4_e", "INET4", ["'0.0.0.0'", "'255.255.255.255'", "'10.0.0.0'"], (MARIADB,)),
    ("inet6_e", "INET6", ["'::'", "'::1'", "'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'", "'::ffff:1.2.3.4'", "'2001:db8::'"], (MARIADB,)),
    ("compressed_e", "VARCHAR(2000) COMPRESSED", ["''", "'a'", "REPEAT('ab', 1000)", "REPEAT('ü', 500)"], (MARIADB,)),
    ("compressed_blob", "BLOB COMPRESSED", ["X''", "X'00'", "REPEAT(X'00', 5000)"], (MARIADB,)),
    ("compressed_long", "LONGTEXT COMPRESSED", ["REPEAT('ab', 100000)"], (MARIADB,)),
]
# The rest of a column: defaults by expression, invisible, generated. NEWER: not at MySQL 5.7.
NEWER = ("invisible_c", "default_e", "functional")
SHAPES = [
    ("generated_v", "a INT, b VARCHAR(9), g BIGINT AS (a * 2) VIRTUAL, h VARCHAR(20) AS (CONCAT(b, '''\\\\')) STORED", ANY),
    ("invisible_c", "a INT, b INT INVISIBLE DEFAULT 5", (MYSQL9, MARIADB, MYSQL)),
    ("default_e", "a INT, b VARCHAR(40) DEFAULT (CONCAT('x', 1)), c JSON DEFAULT ('[1]'), d DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3) "
                  "ON UPDATE CURRENT_TIMESTAMP(3)", ANY),
    ("default_c", "a INT, b VARCHAR(40) DEFAULT 'it''s \\\\ %s', c BIT(3) DEFAULT b'101', d DECIMAL(5,2) DEFAULT -1.50, "
                  "e ENUM('x','y') DEFAULT 'y', f VARBINARY(4) DEFAULT X'0041', g TIMESTAMP NULL, h DATE DEFAULT '2024-01-01'", ANY),
    ("functional", "a INT, b VARCHAR(9), KEY k ((LOWER(b)))", (MYSQL, MYSQL9)),
    ("on_update", "a INT, t TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP", ANY),
    ("auto_inc", "a INT, n INT NOT NULL AUTO_INCREMENT UNIQUE", ANY),
]


class Pair:
    """A database at the source, its copy at the target, a task between them."""

    def __init__(self, request, source, name):
        self.source, self.target = request.getfixturevalue(source), request.getfixturevalue(TARGET_OF[source])
        self.name, self.copy = name, name + "_to"
        for server, database in ((self.source, self.name), (self.target, self.copy)):
            server.execute(f"DROP DATABASE IF EXISTS {database}")
        self.world = World.__new__(World)
        self.world.place, self.world.dropped = Place(self.source), set()
        self.source.execute(f"CREATE DATABASE {name} DEFAULT CHARACTER SET utf8mb4")
        self.connection = self.source.connect(database=name)
        self.run("SET SESSION time_zone = '+00:00'")
        self.run(f"SET SESSION sql_mode = '{SQL_MODE}'")

    @property
    def family(self):
        return self.world.place.family

    def run(self, statement):
        with self.connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    def arrives(self, d, task, seconds=60):
        marker = Marker(self.source, self.name).create()
        marker.n = time.time_ns()
        marker.put()

        def arrived():
            stopped = [line[:600] for w in d.workers for line in w.log.splitlines() if "event=table_stopped" in line]
            assert not stopped, "\n".join(stopped)
            return marker.arrived(self.target, self.copy)

        d.wait(arrived, f"marker of {self.copy}", seconds)
        end = time.monotonic() + 2 * seconds  # other tables may still be loaded
        while found := differences(self.source, self.target, self.name, self.copy, self.world):
            arrived()
            assert time.monotonic() < end, "\n".join(map(str, found))
            time.sleep(0.2)


SLOW = pytest.mark.slow


def slow(*sources):
    return [pytest.param(source, marks=SLOW) for source in sources]


@pytest.mark.parametrize("source", ["mysql97", *slow("mysql80", "mysql57", "mariadb", "mariadb118")])
def test_every_type_at_its_edges_arrives(request, binaries, kafka, tmp_path, source):
    p = Pair(request, source, f"edges_{source}")
    edges = [(n, sql, list(values)) for n, sql, values, servers in EDGES if p.family in servers]
    for n, sql, values in edges:
        p.run(f"CREATE TABLE `{n}` (id INT PRIMARY KEY, v {sql} NULL, w {sql} NULL)")
        for i, value in enumerate(values):
            p.run(f"INSERT INTO `{n}` VALUES ({i}, {value}, NULL)")
    shapes = [(n, sql) for n, sql, servers in SHAPES if p.family in servers and not (source == "mysql57" and n in NEWER)]
    for n, sql in shapes:
        p.run(f"CREATE TABLE `{n}` (id INT PRIMARY KEY, {sql})")
        p.run(f"INSERT INTO `{n}` (id, a) VALUES (1, 1), (2, NULL)")
    with Deployment(binaries, kafka, tmp_path) as d:
        d.start_both()
        task = d.create(p.name, p.source, p.target, databases=f"{p.name}:{p.copy}")
        p.arrives(d, task, 90)
        for n, sql, values in edges:
            for i, value in enumerate(values):
                p.run(f"INSERT INTO `{n}` VALUES ({100 + i}, NULL, {value})")
                p.run(f"UPDATE `{n}` SET v = {values[i - 1]}, w = {value} WHERE id = {i}")
            p.run(f"DELETE FROM `{n}` WHERE id = 100")
        for n, sql in shapes:
            p.run(f"INSERT INTO `{n}` (id, a) VALUES (3, 3)")
            p.run(f"UPDATE `{n}` SET a = 9 WHERE id = 1")
        p.arrives(d, task)


EXPRESSIONS = ("a INT, `Ü日本` INT DEFAULT 4, `new\nline` INT DEFAULT 3, b VARCHAR(9) DEFAULT 'x', g BIGINT AS (a * `Ü日本`) VIRTUAL, "
               "h VARCHAR(20) AS (CONCAT(b, 'ü€''日')) STORED, k INT AS (`new\nline` + 1) VIRTUAL, m VARCHAR(20) AS (CONCAT(b, '\\n\\\\n\\\\')) VIRTUAL")


@pytest.mark.parametrize("source", ["mysql97", *slow("mysql80", "mysql57", "mariadb", "mariadb118")])
def test_expressions_of_generated_columns_arrive_with_their_names_and_texts(request, binaries, kafka, tmp_path, source):
    """Servers show them escaped or encoded in ways of their own."""
    p = Pair(request, source, f"expr_{source}")
    p.run(f"CREATE TABLE e (id INT PRIMARY KEY, {EXPRESSIONS})")
    p.run("INSERT INTO e (id, a) VALUES (1, 1), (2, NULL)")
    with Deployment(binaries, kafka, tmp_path) as d:
        d.start_both()
        task = d.create(p.name, p.source, p.target, databases=f"{p.name}:{p.copy}")
        p.arrives(d, task)
        p.run("UPDATE e SET a = 9, b = 'y' WHERE id = 1")
        p.run("INSERT INTO e (id, a, b) VALUES (3, 3, NULL)")
        p.arrives(d, task)
    made = p.target.execute(f"SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '{p.copy}' AND GENERATION_EXPRESSION <> ''")
    if p.source.script[:5] == p.target.script[:5]:  # another family's expression is not taken over
        assert set(made) == {("g",), ("h",), ("k",), ("m",)}


def test_a_float_in_a_wider_column_is_the_number_that_it_is(request, binaries, kafka, tmp_path):
    """Not the shortest text of it: made a DOUBLE at the source later, it would differ. In both formats, loaded and streamed."""
    p = Pair(request, "mysql97", "wider")
    p.target.execute(f"CREATE DATABASE {p.copy}")
    values = "1.2e-38, 522098.9, 0.1, 3.402823466e38, 1e-45, -16777217".split(", ")
    with Deployment(binaries, kafka, tmp_path) as d:
        d.start_both()
        for format in ("avro", "json"):
            p.target.execute(f"CREATE TABLE {p.copy}.{format} (id INT PRIMARY KEY, f DOUBLE)")
            p.run(f"CREATE TABLE {format} (id INT PRIMARY KEY, f FLOAT)")
            p.run(f"INSERT INTO {format} VALUES " + ",".join(f"({i}, {v})" for i, v in enumerate(values)))
            d.create(f"{p.name}_{format}", p.source, p.target, tables=f"{p.name}.{format}:{p.copy}.{format}", format=format)
            wanted = lambda: p.source.execute(f"SELECT id, f + 0e0 FROM {p.name}.{format} ORDER BY id")
            d.wait(lambda: p.target.execute(f"SELECT id, f FROM {p.copy}.{format} ORDER BY id") == wanted(), "the load")
            p.run(f"INSERT INTO {format} SELECT id + 100, f FROM {format}")
            d.wait(lambda: p.target.execute(f"SELECT id, f FROM {p.copy}.{format} ORDER BY id") == wanted(), "the stream")


# Characters.


def characters(server, charset, width):
    """Codes of one character each, as the server's own conversion tells: (code, UTF-8, code again)."""
    single = [bytes([i]) for i in range(256)]
    double = [bytes([i, j]) for i in range(0x80, 256) for j in range(0x30, 256)]
    codes = single
    if charset == "ucs2":
        codes = [bytes([i, j]) for i in range(256) for j in range(256)]
    elif charset == "utf16":
        codes = [chr(i).encode("utf-16-be") for i in range(0x10000) if not 0xd800 <= i < 0xe000] + ["😀𐍈".encode("utf-16-be")[:4]]
    elif width > 1:
        codes = single + double
        if charset in ("ujis", "eucjpms"):
            codes = codes + [bytes([0x8f, i, j]) for i in range(0xa1, 255) for j in range(0xa1, 255)]
    connection = server.connect()
    found = []
    with connection.cursor() as cursor:
        for k in range(0, len(codes), 500):
            part = codes[k:k + 500]
            cursor.execute("SELECT " + ",".join(
                f"HEX(CONVERT(CONVERT(X'{c.hex()}' USING {charset}) USING utf8mb4)), HEX(CONVERT(CONVERT(CONVERT(X'{c.hex()}' "
                f"USING {charset}) USING utf8mb4) USING {charset}))" for c in part))
            row = cursor.fetchone()
            found += zip(part, row[::2], row[1::2])
    connection.close()
    one = []
    for code, utf8, again in found:
        if utf8 and utf8 != "EFBFBD" and (utf8 != "3F" or code[-1:] == b"?"):
            try:
                if len(bytes.fromhex(utf8).decode()) == 1:
                    one.append((code, utf8, again))
            except UnicodeDecodeError:  # half of a pair of surrogates
                pass
    return one


def check_characters(request, binaries, kafka, tmp_path, source, charsets):
    p = Pair(request, source, f"chars_{source}")
    widths = dict(p.source.execute("SELECT CHARACTER_SET_NAME, MAXLEN FROM information_schema.CHARACTER_SETS"))
    there = {c for c, in p.target.execute("SELECT CHARACTER_SET_NAME FROM information_schema.CHARACTER_SETS")}
    meant = {}
    for charset in charsets(widths):
        meant[charset] = chars = characters(p.source, charset, widths[charset])
        assert len(chars) > 100, charset
        p.run(f"CREATE TABLE `{charset}` (id INT PRIMARY KEY, v VARCHAR(400) CHARACTER SET {charset})")
        for part in (0, 1):
            for i in range(0, len(chars), 200):
                value = b"".join(code for code, _, _ in chars[i:i + 200]).hex()
                if part == 0:
                    p.run(f"INSERT INTO `{charset}` VALUES ({i}, _{charset} X'{value}')")
    with Deployment(binaries, kafka, tmp_path) as d:
        d.start_both()
        task = d.create(p.name, p.source, p.target, databases=f"{p.name}:{p.copy}")
        p.arrives(d, task, 120)
        for charset in meant:
            p.run(f"INSERT INTO `{charset}` SELECT id + 1000000, v FROM `{charset}`")
        p.arrives(d, task)
    for charset, chars in meant.items():
        at = dict(p.target.execute(f"SELECT id, HEX(CONVERT(v USING utf8mb4)) FROM {p.copy}.`{charset}`"))
        raw = dict(p.target.execute(f"SELECT id, HEX(v) FROM {p.copy}.`{charset}`"))
        for i in range(0, len(chars), 200):
            for id in (i, i + 1000000):
                assert at[id] == "".join(utf8 for _, utf8, _ in chars[i:i + 200]), (charset, id)
                if charset in there:
                    assert raw[id] == "".join(again for _, _, again in chars[i:i + 200]), (charset, id)


@pytest.mark.parametrize("source", ["mariadb", *slow("mysql97", "mysql57", "mariadb118")])
def test_every_character_of_the_single_byte_sets_arrives(request, binaries, kafka, tmp_path, source):
    check_characters(request, binaries, kafka, tmp_path, source,
                     lambda widths: [c for c, n in widths.items() if n == 1 and c not in ("binary", "filename")])


@pytest.mark.slow
@pytest.mark.parametrize("source", ["mysql97", "mysql57", "mariadb", "mariadb118"])
def test_every_character_of_the_wide_sets_arrives(request, binaries, kafka, tmp_path, source):
    check_characters(request, binaries, kafka, tmp_path, source,
                     lambda widths: [c for c, n in widths.items() if n > 1 and not c.startswith(("utf8", "utf32", "utf16le"))
                                     and c not in ("filename",)])


UNASSIGNED = {"gbk": ["FE9A"], "ujis": ["A9A1"], "sjis": ["84BF"]}


@pytest.mark.parametrize("source", ["mariadb", *slow("mysql97", "mysql57", "mariadb118")])
def test_codes_that_are_no_characters_arrive_as_the_source_shows_them(request, binaries, kafka, tmp_path, source):
    """A BLOB made TEXT holds them; every client of the source sees a question mark, loaded or streamed. In a key it would be another row."""
    p = Pair(request, source, f"codes_{source}")
    charsets = [c for c, in p.source.execute("SELECT CHARACTER_SET_NAME FROM information_schema.CHARACTER_SETS WHERE MAXLEN = 1 AND CHARACTER_SET_NAME "
                                             "NOT IN ('binary', 'filename', 'tis620')") if c != "ascii" or source.startswith("mariadb")]
    for charset in [*charsets, *UNASSIGNED]:
        codes = UNASSIGNED.get(charset, [f"{i:02x}" for i in range(256)])
        p.run(f"CREATE TABLE `{charset}` (id INT PRIMARY KEY, v BLOB)")
        p.run(f"INSERT INTO `{charset}` VALUES " + ",".join(f"({i}, X'41{code}42')" for i, code in enumerate(codes)))
        p.run(f"ALTER TABLE `{charset}` MODIFY v TEXT CHARACTER SET {charset}")
    p.run("CREATE TABLE keyed (v VARCHAR(9) CHARACTER SET cp1251 PRIMARY KEY)")
    with Deployment(binaries, kafka, tmp_path) as d:
        capture, _ = d.start_both()
        task = d.create(p.name, p.source, p.target, databases=f"{p.name}:{p.copy}")
        p.arrives(d, task, 120)
        for charset in [*charsets, *UNASSIGNED]:
            p.run(f"INSERT INTO `{charset}` SELECT id + 1000, v FROM `{charset}`")
        p.arrives(d, task)
        assert p.target.execute(f"SELECT v FROM {p.copy}.cp1251 WHERE id IN (152, 1152)") == (("A?B",), ("A?B",))
        assert len(re.findall(r"event=text_not_in_charset .*table=cp1251 ", capture.log)) == 1
        p.run("INSERT INTO keyed VALUES (_cp1251 X'98')")
        d.wait(lambda: re.search(r"event=table_stopped .*keyed code=MR5003", capture.log), "the table stops")


# Keys.


def fits(word, charset):
    try:
        return bool(word.encode(CODECS.get(charset, "ascii"))) or word == ""
    except UnicodeEncodeError:
        return False


def check_collations(request, binaries, kafka, tmp_path, source, share):
    p = Pair(request, source, f"keys_{source}")
    r = random.Random(new_seed("collations"))
    tables = []
    for charset, collations in p.world.place.collations.items():
        for collation in collations:
            if r.random() > share and collation not in ("utf8mb4_0900_ai_ci", "utf8mb4_general_ci", "utf8mb4_bin", "latin1_swedish_ci",
                                                        "utf8mb4_uca1400_ai_ci", "utf8mb4_nopad_bin", "latin1_german2_ci", "binary"):
                continue
            tables.append((collation, charset))
            p.run(f"CREATE TABLE `{collation}` (k VARCHAR(20) CHARACTER SET {charset} COLLATE {collation}, n INT, PRIMARY KEY (k, n))"
                  if r.random() < 0.3 else
                  f"CREATE TABLE `{collation}` (k VARCHAR(20) CHARACTER SET {charset} COLLATE {collation} PRIMARY KEY, n INT)")
            words = [w for w in MULTI_COMPARE if fits(w, charset)]
            for i, word in enumerate(words):
                p.run(f"INSERT IGNORE INTO `{collation}` VALUES (CONVERT({text(word)} USING {charset}), {i})")
    with Deployment(binaries, kafka, tmp_path) as d:
        d.start_both()
        task = d.create(p.name, p.source, p.target, databases=f"{p.name}:{p.copy}")
        p.arrives(d, task, 240)
        for collation, charset in tables:
            words = [w for w in MULTI_COMPARE if fits(w, charset)]
            for _ in range(12):
                a, b = (f"CONVERT({text(r.choice(words))} USING {charset}) COLLATE {collation}" for _ in range(2))
                p.run(r.choice((f"UPDATE IGNORE `{collation}` SET k = {a} WHERE k = {b}", f"DELETE FROM `{collation}` WHERE k = {a}",
                                f"INSERT IGNORE INTO `{collation}` VALUES ({a}, {r.randrange(100)})",
                                f"REPLACE INTO `{collation}` VALUES ({a}, {r.randrange(3)})",
                                f"UPDATE IGNORE `{collation}` SET n = n + 1 WHERE k = {a}")))
        p.arrives(d, task, 240)


@pytest.mark.parametrize("source", ["mysql97", *slow("mariadb")])
def test_string_keys_under_some_collations_arrive(request, binaries, kafka, tmp_path, source):
    check_collations(request, binaries, kafka, tmp_path, source, 0.02)


@pytest.mark.slow
@pytest.mark.parametrize("source", ["mysql97", "mysql80", "mysql57", "mariadb", "mariadb118"])
def test_string_keys_under_every_collation_arrive(request, binaries, kafka, tmp_path, source):
    check_collations(request, binaries, kafka, tmp_path, source, 1)


def test_create_names_the_types_that_do_not_arrive_as_they_are(binaries, kafka, tmp_path, mysql97, mariadb):
    mysql97.execute("DROP DATABASE IF EXISTS told", "CREATE DATABASE told",
                    "CREATE TABLE told.a (id INT PRIMARY KEY, j JSON, k JSON, p POINT, e ENUM('x'), t TEXT)",
                    "CREATE TABLE told.hidden (id INT PRIMARY KEY, d DATE)")
    with Deployment(binaries, kafka, tmp_path) as d:
        d.create("told", mysql97, mariadb, databases="told", exclude="hidden")
        out = d.command("task", "create", "--task-name", "dry", "--source-uri", mysql97.uri("repl"), "--sink-type", "mysql", "--sink-uri",
                        mariadb.uri(), "--level", "database", "--databases", "told", "--dry-run").stdout
    assert "type json (2 columns, first told.a.j): " in out and "type enum (1 columns, first told.a.e): " in out
    assert "type date (1 columns, first told.hidden.d): " in out
    assert "type point" not in out and "type text" not in out and "type int" not in out


CASCADES = ["CREATE TABLE fk.parent (id INT PRIMARY KEY, v INT)",
            "CREATE TABLE fk.child (id INT PRIMARY KEY, p INT, KEY (p), CONSTRAINT gone FOREIGN KEY (p) REFERENCES fk.parent (id) ON DELETE CASCADE "
            "ON UPDATE CASCADE)",
            "CREATE TABLE fk.nulls (id INT PRIMARY KEY, p INT, KEY (p), CONSTRAINT emptied FOREIGN KEY (p) REFERENCES fk.parent (id) ON DELETE SET NULL)",
            "CREATE TABLE fk.plain (id INT PRIMARY KEY, p INT, KEY (p), FOREIGN KEY (p) REFERENCES fk.parent (id))",
            "INSERT INTO fk.parent VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5)", "INSERT INTO fk.child VALUES (10, 1), (20, 2), (21, 2), (30, 3), (40, 4)",
            "INSERT INTO fk.nulls VALUES (10, 1), (20, 2)", "INSERT INTO fk.plain VALUES (50, 5)"]


def test_actions_of_foreign_keys_arrive_from_a_server_that_logs_them(request, binaries, kafka, tmp_path, mysql97, mariadb):
    """MySQL since 9.6. A DELETE of several tables may log a row's deletion twice."""
    mysql97.execute("DROP DATABASE IF EXISTS fk", "CREATE DATABASE fk", *CASCADES)
    mariadb.execute("DROP DATABASE IF EXISTS fk")
    with Deployment(binaries, kafka, tmp_path) as d:
        d.start_both()
        task = d.create("fk", mysql97, mariadb, databases="fk")
        d.caught_up(task, mysql97, mariadb, ["fk"])
        mysql97.execute("DELETE FROM fk.parent WHERE id = 1", "UPDATE fk.parent SET id = 33 WHERE id = 3",
                        "DELETE fk.parent, fk.child FROM fk.parent JOIN fk.child ON fk.child.p = fk.parent.id WHERE fk.parent.id = 2", "DELETE FROM fk.parent WHERE id = 4",
                        "INSERT INTO fk.child VALUES (20, 33)")
        d.caught_up(task, mysql97, mariadb, ["fk"])
        assert mariadb.execute("SELECT * FROM fk.child ORDER BY id") == ((20, 33), (30, 33))


def test_instants_are_the_same_whatever_the_time_zones_of_the_servers(request, binaries, kafka, tmp_path, mysql97, mariadb):
    """Loaded and streamed; a DATETIME has no zone and stays as it is."""
    zones = {mysql97: "+08:00", mariadb: "-05:30"}
    moments = ("2024-03-10 02:30:00.123456", "1970-01-02 00:00:00", "2038-01-18 00:00:00", "0000-00-00 00:00:00")

    def insert(first):
        with mysql97.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SET SESSION time_zone = '+08:00', sql_mode = 'ALLOW_INVALID_DATES'")
            for i, moment in enumerate(moments):
                cursor.execute("INSERT INTO zones.t VALUES (%s, %s, %s, %s)", (first + i, moment, moment, "12:34:56"))

    mysql97.execute("DROP DATABASE IF EXISTS zones", "CREATE DATABASE zones",
                    "CREATE TABLE zones.t (id INT PRIMARY KEY, ts TIMESTAMP(6) NULL, dt DATETIME(6), t TIME)")
    mariadb.execute("DROP DATABASE IF EXISTS zones")
    try:
        for server, zone in zones.items():
            server.execute(f"SET GLOBAL time_zone = '{zone}'")
        insert(0)
        with Deployment(binaries, kafka, tmp_path) as d:
            d.start_both()
            task = d.create("zones", mysql97, mariadb, databases="zones")
            d.caught_up(task, mysql97, mariadb, ["zones"])
            insert(100)
            mysql97.execute("UPDATE zones.t SET t = '-01:00:00' WHERE id < 2")
            d.caught_up(task, mysql97, mariadb, ["zones"])
        for server in zones:
            with server.connect() as connection, connection.cursor() as cursor:
                cursor.execute("SET SESSION time_zone = '+00:00'")
                cursor.execute("SELECT CAST(ts AS CHAR), CAST(dt AS CHAR) FROM zones.t WHERE id IN (0, 100)")
                assert set(cursor.fetchall()) == {("2024-03-09 18:30:00.123456", "2024-03-10 02:30:00.123456")}
    finally:
        for server in zones:
            server.execute("SET GLOBAL time_zone = 'SYSTEM'")


KEY_TEXTS = {"latin1": "éÿß", "cp1251": "Жяё", "euckr": "Ω中ß", "gbk": "中文あ", "sjis": "中文あ", "ucs2": "中éЖ", "utf16": "中é😀", "utf8mb4": "中é😀"}


@pytest.mark.parametrize("target", ["mariadb", *slow("mariadb118", "mysql97")])
def test_many_rows_of_composite_keys_in_any_character_set_are_deleted_at_once(request, binaries, kafka, tmp_path, mysql97, target):
    """MariaDB compares the rows of an IN list byte by byte, whatever their character sets."""
    to, name = request.getfixturevalue(target), f"keytext_{target}"
    mysql97.execute(f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name} DEFAULT CHARACTER SET utf8mb4")
    to.execute(f"DROP DATABASE IF EXISTS {name}_to")
    for charset, texts in KEY_TEXTS.items():
        mysql97.execute(f"CREATE TABLE {name}.{charset} (n INT, s VARCHAR(9) CHARACTER SET {charset}, e ENUM('{texts[0]}', 'a') CHARACTER SET {charset}, "
                        "PRIMARY KEY (n, s, e))", f"INSERT INTO {name}.{charset} VALUES " + ",".join(
                            f"({n}, '{s}', '{e}')" for n in range(20) for s in (*texts, "plain") for e in (texts[0], "a")))
    with Deployment(binaries, kafka, tmp_path) as d:
        d.start_both()
        task = d.create(name, mysql97, to, databases=f"{name}:{name}_to")
        d.caught_up(task, mysql97, to, [(name, f"{name}_to")])
        for charset in KEY_TEXTS:
            mysql97.execute(f"DELETE FROM {name}.{charset} WHERE n % 3 > 0")
        d.caught_up(task, mysql97, to, [(name, f"{name}_to")])


def test_a_vector_without_bytes_stops_its_table_and_no_other(binaries, kafka, tmp_path, mysql97):
    """ADD COLUMN .. NOT NULL puts it into the rows that are there; no statement can."""
    name = "no_vector"
    for database in (name, f"{name}_to"):
        mysql97.execute(f"DROP DATABASE IF EXISTS {database}")
    mysql97.execute(f"CREATE DATABASE {name}", f"CREATE TABLE {name}.t (k INT PRIMARY KEY)", f"INSERT INTO {name}.t VALUES (1)",
                    f"ALTER TABLE {name}.t ADD COLUMN v VECTOR(2) NOT NULL", f"CREATE TABLE {name}.u (k INT PRIMARY KEY)")
    with Deployment(binaries, kafka, tmp_path) as d:
        _, apply = d.start_both()
        d.create(name, mysql97, mysql97, databases=f"{name}:{name}_to")
        d.wait(lambda: re.search(r"event=table_stopped .*no_vector_to\.t code=MR3005", apply.log), "the table stops")
        mysql97.execute(f"INSERT INTO {name}.u VALUES (7)")
        d.wait(lambda: mysql97.execute(f"SELECT k FROM {name}_to.u") == ((7,),), "the other goes on")
