"""The types of the generator: what servers can store, written down from their manuals, with how a value is made.

A value is SQL text, so that nothing between the test and the server can change it. A Kind is made per column: its SQL
(with the collation of text) and its values come from the seed.
"""

import datetime
import decimal
import json
from dataclasses import dataclass, field

MYSQL, MARIADB, MYSQL9 = "mysql", "mariadb", "mysql9"
BOTH = (MYSQL, MARIADB, MYSQL9)

# Character set -> Python's codec. The others are used with ASCII.
CODECS = {
    "ascii": "ascii", "latin1": "cp1252", "latin2": "iso8859_2", "latin5": "iso8859_9", "latin7": "iso8859_13",
    "cp1250": "cp1250", "cp1251": "cp1251", "cp1256": "cp1256", "cp1257": "cp1257", "cp850": "cp850", "cp852": "cp852",
    "cp866": "cp866", "koi8r": "koi8_r", "koi8u": "koi8_u", "greek": "iso8859_7", "hebrew": "iso8859_8",
    "tis620": "tis_620", "macroman": "mac_roman", "big5": "big5", "gbk": "gbk", "gb2312": "gb2312",
    "gb18030": "gb18030", "sjis": "shift_jis", "cp932": "cp932", "ujis": "euc_jp", "eucjpms": "euc_jp",
    "euckr": "euc_kr", "utf8": "utf8", "utf8mb3": "utf8", "utf8mb4": "utf8", "ucs2": "utf_16_be", "utf16": "utf_16_be",
    "utf16le": "utf_16_le", "utf32": "utf_32_be",
}
BMP_ONLY = ("utf8", "utf8mb3", "ucs2")
LETTERS = "aAáÁäåzZ09éßřжЖΩωאไ中文日本あア한국€ŁıİÿЯ😀𐍈"
SIGNS = " '\"\\`%\t\n;,-"
MULTI_COMPARE = ["a", "A", "á", "a ", "ä", "b", "B", "ß", "ss", "é", "e", "E", "", " ", "i", "I", "ı", "ae", "æ"]


def alphabet(charset):
    def fits(c):
        try:
            return c.encode(CODECS.get(charset, "ascii")) and not (charset in BMP_ONLY and ord(c) > 0xffff)
        except UnicodeEncodeError:
            return False
    signs = SIGNS if charset != "swe7" else " '%\t\n;,-"  # swe7 has letters in the place of \ and `
    return [c for c in LETTERS if fits(c)], [c for c in signs if charset in CODECS or c not in "\\`"]


def text(value):
    return "_utf8mb4 X'" + value.encode().hex() + "'"


def binary(value):
    return "X'" + value.hex() + "'"


@dataclass
class Kind:
    cell: str       # its line of the report
    sql: str
    value: object   # Random -> SQL text
    key: bool = False
    length: int = 0
    charset: str = ""
    collation: str = ""
    unsuited: tuple = field(default=())  # DDL that does not go with it

    @property
    def large(self):
        return any(w in self.sql for w in ("TEXT", "BLOB", "JSON", "GEOMETRY", "POINT", "POLYGON", "LINESTRING", "VECTOR"))


# Numbers.


def integers(r):
    name, bits = r.choice((("TINYINT", 8), ("SMALLINT", 16), ("MEDIUMINT", 24), ("INT", 32), ("BIGINT", 64)))
    unsigned = r.random() < 0.4
    low, high = (0, (1 << bits) - 1) if unsigned else (-(1 << bits - 1), (1 << bits - 1) - 1)
    cell = name.lower() + (" unsigned" if unsigned else "")
    sql = name + (" UNSIGNED" if unsigned else "")
    if r.random() < 0.15:
        cell, sql, low, high = "zerofill", f"{name}(9) UNSIGNED ZEROFILL", 0, (1 << bits) - 1
    return Kind(cell, sql, lambda r: str(r.choice((low, high, 0, 1, low + 1, high - 1, r.randint(low, high)))), key=True)


def decimals(r):
    precision = r.choice((1, 5, 9, 10, 18, 19, 28, 38, 39, 64, 65))
    scale = r.randint(0, min(30, precision))

    def make(r):
        n = r.choice((0, 1, -1, 10 ** precision - 1, 1 - 10 ** precision, r.randrange(10 ** precision)))
        with decimal.localcontext() as context:
            context.prec = 80
            return format(decimal.Decimal(n).scaleb(-scale), "f")
    return Kind("decimal", f"DECIMAL({precision},{scale})", make, key=True)


def floats(r):
    return Kind("float", "FLOAT", lambda r: r.choice(
        ("0e0", "-0e0", "1.5", "3.4e38", "-3.4e38", "1.2e-38", "1e-45", repr(r.uniform(-1e6, 1e6)))))


def doubles(r):
    return Kind("double", "DOUBLE", lambda r: r.choice(
        ("0e0", "-0e0", "1.7976931348623157e308", "-1.7976931348623157e308", "2.2250738585072014e-308", "0.1e0",
         repr(r.uniform(-1e15, 1e15)), repr(r.uniform(-1e-300, 1e-300)))))


def bits(r):
    n = r.choice((1, 2, 7, 8, 9, 16, 31, 33, 63, 64))
    return Kind("bit", f"BIT({n})", lambda r: bin(r.choice((0, 1, (1 << n) - 1, r.getrandbits(n))))[1:].replace("b", "b'") + "'",
                key=n > 7)


# Text and bytes.


def charset_of(r, place):
    """(character set, collation) of those the server has."""
    charset = r.choice(sorted(place.collations)) if r.random() < 0.6 else "utf8mb4"
    return charset, r.choice(place.collations[charset])


def words(charset, length):
    letters, signs = alphabet(charset)

    def make(r):
        n = r.choice((0, 1, length, r.randint(0, length)))
        value = "".join(r.choice(letters) if r.random() < 0.8 else r.choice(signs) for _ in range(n))
        return text(value + " " * (r.random() < 0.1 and n < length))
    return make


def texts(r, place):
    charset, collation = charset_of(r, place)
    name, length = r.choice((("CHAR", r.choice((1, 5, 30))), ("VARCHAR", r.choice((1, 20, 70, 300))),
                             ("TINYTEXT", 50), ("TEXT", 300), ("MEDIUMTEXT", 1000), ("LONGTEXT", 700)))
    sized = f"{name}({length})" if name in ("CHAR", "VARCHAR") else name
    return Kind(name.lower(), f"{sized} CHARACTER SET {charset} COLLATE {collation}", words(charset, length),
                key=sized != name and length <= 70, length=length, charset=charset, collation=collation)


def blobs(r):
    name, length = r.choice((("BINARY", r.choice((1, 6, 40))), ("VARBINARY", r.choice((1, 16, 60))), ("TINYBLOB", 200),
                             ("BLOB", 2000), ("MEDIUMBLOB", 70000), ("LONGBLOB", 900)))
    sized = f"{name}({length})" if name.endswith("BINARY") else name

    def make(r):
        n = r.choice((0, 1, min(length, 300), r.randint(0, min(length, 2000))))
        return binary(r.choice((r.randbytes(n), b"\x00" * n, (b"ab" + b"\x00 " * n)[:n])))
    return Kind(name.lower(), sized, make, key=sized != name and length > 4)


# Time.


def dates(r):
    def make(r):
        if r.random() < 0.25:
            return r.choice(("'0000-00-00'", "'2024-00-00'", "'2024-05-00'", "'0000-01-01'", "'0001-01-01'", "'9999-12-31'"))
        return f"'{day(r)}'"
    return Kind("date", "DATE", make, key=True)


def day(r):
    return r.choice(("1000-01-01", "1969-12-31", "1970-01-01", "2024-02-29", "9999-12-31",
                     str(datetime.date(1900, 1, 1) + datetime.timedelta(r.randrange(70000)))))


def clock(r, scale, hours=24):
    fraction = f".{r.choice((0, 1, 10 ** scale - 1, r.randrange(10 ** scale))):0{scale}}" if scale else ""
    return f"{r.randrange(hours):02}:{r.randrange(60):02}:{r.randrange(60):02}{fraction}"


def sized(name, scale):
    return f"{name}({scale})" if scale else name


def times(r):
    scale = r.choice((0, 1, 3, 4, 6))

    def make(r):
        end = "." + "0" * scale if scale else ""
        return "'" + r.choice(("838:59:59" + end, "-838:59:59" + end, "00:00:00", "-00:00:01",
                               "-00:00:00." + "9" * max(scale, 1) if scale else "-01:00:00",
                               r.choice(("", "-")) + clock(r, scale, 838))) + "'"
    return Kind("time", sized("TIME", scale), make, key=True)


def datetimes(r):
    scale = r.choice((0, 2, 3, 5, 6))

    def make(r):
        if r.random() < 0.2:
            return r.choice(("'0000-00-00 00:00:00'", "'2024-00-00 10:11:12'", "'2024-05-00 00:00:00'", "'0001-01-01 00:00:00'"))
        return f"'{day(r)} {clock(r, scale)}'"
    return Kind("datetime", sized("DATETIME", scale), make, key=True)


def timestamps(r):
    scale = r.choice((0, 1, 3, 6))

    def make(r):
        if r.random() < 0.2:
            return r.choice(("'0000-00-00 00:00:00'", "'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'"))
        at = datetime.datetime(1970, 1, 2) + datetime.timedelta(seconds=r.randrange(24000 * 86400))
        return f"'{at:%Y-%m-%d} {clock(r, scale)}'"
    return Kind("timestamp", sized("TIMESTAMP", scale), make, key=True)


def years(r):
    return Kind("year", "YEAR", lambda r: str(r.choice((0, 1901, 2155, 1970, r.randrange(1901, 2156)))), key=True)


# Labels.

LABELS = ["", "a", "A b", "it's", 'q"uote', "back`tick", "back\\slash", "100%", "%s", "new\nline", "tab\t", "ü", "日本", "(x)",
          "very long label " * 6, "null", "0", "1", "carriage\rreturn"]


def quoted(label):
    return "'" + label.replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n").replace("\r", "\\r") + "'"


def enums(r):
    labels = r.sample(LABELS + ["with,comma"], r.choice((1, 2, 5, 12)))
    if r.random() < 0.1:
        labels = [f"label {i}" for i in range(300)]
    return Kind("enum", f"ENUM({', '.join(map(quoted, labels))}) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
                lambda r: r.choice(("1", str(len(labels)), str(r.randint(1, len(labels))))), key=len(labels) > 5)


def sets(r):
    labels = r.sample(LABELS[1:], r.choice((1, 2, 7, 17)))
    if r.random() < 0.2:
        labels = [f"m{i}" for i in range(64)]
    top = (1 << len(labels)) - 1
    return Kind("set", f"SET({', '.join(map(quoted, labels))}) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
                lambda r: str(r.choice((0, 1, top, r.randint(0, top)))))


# Documents, shapes, vectors.


def tree(r, depth=0):
    kind = r.randrange(9 if depth < 3 else 7)
    if kind == 7:
        return [tree(r, depth + 1) for _ in range(r.randrange(4))]
    if kind == 8:
        return {r.choice(("", "a", "A", "ü", "k 😀", 'q"')) + str(i): tree(r, depth + 1) for i in range(r.randrange(4))}
    return (None, True, r.choice((0, -1, 65536, 1 << 31, (1 << 63) - 1, -(1 << 63), (1 << 64) - 1)), "x" * r.choice((1, 200)),
            False, r.randrange(1000) / 8, "line\n\"'\\ü😀\u0001")[kind]


def mysql_json(r):
    def make(r):
        opaque = ("CAST(TIMESTAMP'2024-05-06 07:08:09.123456' AS JSON)", "CAST(DATE'1000-01-01' AS JSON)",
                  "CAST(TIME'-12:34:56.000001' AS JSON)", "CAST(CAST(12345678901234567890.1234567890 AS DECIMAL(40,10)) AS JSON)",
                  "CAST(X'00ff10' AS JSON)", "CAST(b'101' AS JSON)", "CAST(-0e0 AS JSON)", "CAST(1e300 AS JSON)",
                  "CAST(CAST(2024 AS YEAR) AS JSON)", "CAST(ST_GeomFromText('POINT(1 2)') AS JSON)", "CAST('null' AS JSON)")
        one = r.choice(opaque)
        if r.random() < 0.2:
            return r.choice((one, f"JSON_ARRAY({one}, 1)", f"JSON_OBJECT('k', {one})"))
        return f"CAST({text(json.dumps(tree(r), ensure_ascii=False))} AS JSON)"
    return Kind("json", "JSON", make, unsuited=("default",))


def mariadb_json(r):
    return Kind("json", "JSON", lambda r: text(json.dumps(tree(r), ensure_ascii=False, indent=r.choice((None, 2)))))


def geometries(r):
    name = r.choice(("GEOMETRY", "POINT", "LINESTRING", "POLYGON", "GEOMETRYCOLLECTION", "MULTIPOINT"))

    def point(r):
        return f"{r.uniform(-90, 90)!r} {r.choice((0.0, -0.0, r.uniform(-90, 90)))!r}"

    def make(r):
        shape = name if name != "GEOMETRY" else r.choice(("POINT", "LINESTRING"))
        many = ", ".join(point(r) for _ in range(r.randrange(2, 6)))
        wkt = {"POINT": f"POINT({point(r)})", "LINESTRING": f"LINESTRING({many})",
               "POLYGON": "POLYGON((0 0, 4 0, 4 4, 0 4, 0 0), (1 1, 2 1, 2 2, 1 2, 1 1))",
               "GEOMETRYCOLLECTION": f"GEOMETRYCOLLECTION(POINT({point(r)}), LINESTRING({many}))",
               "MULTIPOINT": f"MULTIPOINT({many})"}[shape]
        return f"ST_GeomFromText('{wkt}'{r.choice(('', ', 0', ', 3857'))})"
    return Kind("geometry", name, make, unsuited=("default",))


def vectors(r):
    n = r.choice((1, 3, 40))
    return Kind("vector", f"VECTOR({n})", lambda r: "TO_VECTOR('[" + ",".join(
        r.choice(("0", "-0.0", "1.5", "3.4e38", "1e-37", repr(r.uniform(-1, 1)))) for _ in range(n)) + "]')", unsuited=("default",))


# MariaDB's own.


def uuids(r):
    def make(r):
        h = r.randbytes(16).hex() if r.random() < 0.8 else r.choice(("0" * 32, "f" * 32, "0" * 31 + "1"))
        return f"'{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}'"
    return Kind("uuid", "UUID", make, key=True)


def inet4s(r):
    return Kind("inet4", "INET4", lambda r: "'" + r.choice(("0.0.0.0", "255.255.255.255", "10.0.0." + str(r.randrange(256)))) + "'",
                key=True)


def inet6s(r):
    return Kind("inet6", "INET6", lambda r: "'" + r.choice(
        ("::", "::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::ffff:1.2.3.4", f"2001:db8::{r.randrange(65536):x}")) + "'", key=True)


def compressed(r):
    name, length = r.choice((("VARCHAR(300) COMPRESSED", 300), ("TEXT COMPRESSED", 900)))
    return Kind("compressed", f"{name} CHARACTER SET utf8mb4", lambda r: words("utf8mb4", length)(r) if r.random() < 0.5
                else text("ab " * r.randrange(90)))


def compressed_blobs(r):
    return Kind("compressed", "BLOB COMPRESSED", lambda r: binary(r.choice((b"", b"z" * 900, r.randbytes(300)))))


# (weight, maker, servers)
ALL = [
    (4, integers, BOTH), (2, decimals, BOTH), (1, floats, BOTH), (1, doubles, BOTH), (1, bits, BOTH), (4, texts, BOTH),
    (3, blobs, BOTH), (1, dates, BOTH), (1, times, BOTH), (1, datetimes, BOTH), (1, timestamps, BOTH), (1, years, BOTH),
    (1, enums, BOTH), (1, sets, BOTH), (1, mysql_json, (MYSQL, MYSQL9)), (1, mariadb_json, (MARIADB,)), (1, geometries, BOTH),
    (1, vectors, (MYSQL9,)), (1, uuids, (MARIADB,)), (1, inet4s, (MARIADB,)), (1, inet6s, (MARIADB,)),
    (1, compressed, (MARIADB,)), (1, compressed_blobs, (MARIADB,)),
]

CELLS = ["tinyint", "smallint", "mediumint", "int", "bigint", "tinyint unsigned", "smallint unsigned", "mediumint unsigned",
         "int unsigned", "bigint unsigned", "zerofill", "decimal", "float", "double", "bit", "char", "varchar", "tinytext", "text",
         "mediumtext", "longtext", "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "date", "time", "datetime",
         "timestamp", "year", "enum", "set", "json", "geometry", "vector", "uuid", "inet4", "inet6", "compressed"]
EVENTS = ["load", "insert", "update", "delete", "key"]
NO_KEY = {"float", "double", "tinytext", "text", "mediumtext", "longtext", "tinyblob", "blob", "mediumblob", "longblob", "json",
          "geometry", "vector", "compressed", "set"}


class Place:
    """What a server has: its family and its collations by character set, asked from itself."""

    def __init__(self, server):
        self.server = server
        version = server.execute("SELECT VERSION()")[0][0]
        self.family = MARIADB if "MariaDB" in version else MYSQL9 if version.startswith("9") else MYSQL
        found = server.execute("SELECT COLLATION_NAME, CHARACTER_SET_NAME FROM information_schema."
                               "COLLATION_CHARACTER_SET_APPLICABILITY WHERE CHARACTER_SET_NAME NOT IN ('binary', 'filename')")
        self.collations = {}
        for collation, charset in sorted(found):
            if collation and collation.startswith(charset.replace("utf8mb3", "utf8")):
                self.collations.setdefault(charset, []).append(collation)

    def kind(self, r, key=False):
        usable = [(weight, maker) for weight, maker, families in ALL if self.family in families]
        while True:
            maker = r.choices([m for _, m in usable], [w for w, _ in usable])[0]
            kind = maker(r, self) if maker is texts else maker(r)
            if kind.key or not key:
                return kind
