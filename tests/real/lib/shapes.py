"""Generated tables: sixteen shapes whose values come from a seed, and random changes of them.

A value is a Python object that PyMySQL binds, chosen by the column's type; extremes are as likely as ordinary values.
Shapes hold only what MySQL 8.0, 9.7 and MariaDB 10.11 all have.
"""

import datetime
import decimal
import json
import string

from lib.workload import Rollback, Workload

TEXTS = ["", " ", "a", "A", "ä", "Ä", "ß", "日本語", "😀 four bytes", "tab\tnew\nline", "quote ' \" ` \\ %s", "\x00nul",
         "trailing  ", "null", "NULL", "-0", "<&>", "\u200f\u202e", "e\u0301", "é"]


def integer(bits, signed):
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return lambda r: r.choice((low, high, 0, 1, low + 1, high - 1, r.randrange(low, high + 1)))


def number(digits, scale):
    def make(r):
        top = 10 ** digits - 1
        n = r.choice((0, 1, -1, top, -top, r.randrange(-top, top + 1)))
        with decimal.localcontext() as context:
            context.prec = 80
            return decimal.Decimal(n).scaleb(-scale)
    return make


def text(length, alphabet=None):
    def make(r):
        if alphabet is None and r.random() < 0.4:
            return r.choice(TEXTS)[:length]
        n = r.choice((0, 1, length, r.randrange(0, length + 1)))
        return "".join(r.choices(alphabet or string.ascii_letters + "äöü日😀 '\"\\", k=n))[:length]
    return make


def blob(length):
    def make(r):
        n = r.choice((0, 1, min(length, 300), r.randrange(0, min(length, 2000) + 1)))
        return r.randbytes(min(n, length))
    return make


def day(r):
    return r.choice(("1000-01-01", "9999-12-31", "1970-01-01", "1969-12-31", "2024-02-29",
                     str(datetime.date(1900, 1, 1) + datetime.timedelta(r.randrange(70000)))))


def clock(r, scale):
    fraction = f".{r.randrange(10 ** scale):0{scale}}" if scale else ""
    return f"{r.randrange(24):02}:{r.randrange(60):02}:{r.randrange(60):02}{fraction}"


def moment(scale):
    return lambda r: f"{day(r)} {clock(r, scale)}"


def stamp(scale):
    def make(r):
        at = datetime.datetime(1970, 1, 2) + datetime.timedelta(seconds=r.randrange(24000 * 86400))
        return f"{at:%Y-%m-%d} {clock(r, scale)}"
    return make


def span(scale):
    def make(r):
        if r.random() < 0.2:
            return r.choice(("838:59:59", "-838:59:59", "00:00:00", "-00:00:01"))
        return f"{r.choice(('', '-'))}{r.randrange(838)}{clock(r, scale)[2:]}"
    return make


def tree(r, depth=0):
    kind = r.randrange(8 if depth < 3 else 6)
    if kind == 6:
        return [tree(r, depth + 1) for _ in range(r.randrange(4))]
    if kind == 7:
        return {r.choice(TEXTS[1:8]) + str(i): tree(r, depth + 1) for i in range(r.randrange(4))}
    return (None, True, r.randrange(-1 << 40, 1 << 40), r.choice(TEXTS), False, r.randrange(1000) / 8)[kind]


def document(r):
    return json.dumps({"k": tree(r)}, ensure_ascii=False)


def real(r):
    return r.choice((0.0, 1.5, -1.5, 3.4e38, -3.4e38, 1.2e-38, r.uniform(-1e6, 1e6)))


def double(r):
    return r.choice((0.0, -0.0, 1.5, 1.7976931348623157e308, 2.2250738585072014e-308, 0.1, r.uniform(-1e15, 1e15)))


# type -> (SQL, how a value is made)
TYPES = {
    "tiny": ("TINYINT", integer(8, True)), "utiny": ("TINYINT UNSIGNED", integer(8, False)),
    "small": ("SMALLINT", integer(16, True)), "usmall": ("SMALLINT UNSIGNED", integer(16, False)),
    "medium": ("MEDIUMINT", integer(24, True)), "umedium": ("MEDIUMINT UNSIGNED", integer(24, False)),
    "int": ("INT", integer(32, True)), "uint": ("INT UNSIGNED", integer(32, False)),
    "big": ("BIGINT", integer(64, True)), "ubig": ("BIGINT UNSIGNED", integer(64, False)),
    "bool": ("BOOLEAN", integer(1, False)),
    "dec": ("DECIMAL(20,6)", number(20, 6)), "dec65": ("DECIMAL(65,30)", number(65, 30)),
    "dec0": ("DECIMAL(9,0)", number(9, 0)),
    "float": ("FLOAT", real), "double": ("DOUBLE", double),
    "bit1": ("BIT(1)", lambda r: r.randrange(2)), "bit64": ("BIT(64)", integer(64, False)),
    "bit11": ("BIT(11)", integer(11, False)),
    "char": ("CHAR(12)", lambda r: text(12)(r).rstrip()), "varchar": ("VARCHAR(80)", text(80)),
    "latin": ("VARCHAR(60) CHARACTER SET latin1", text(60, "abcäöüÿ§ '")),
    "ascii": ("CHAR(5) CHARACTER SET ascii", lambda r: text(5, "abcXYZ09")(r)),
    "gbk": ("VARCHAR(30) CHARACTER SET gbk", text(30, "中文字ab")),
    "utf16": ("VARCHAR(20) CHARACTER SET utf16", text(20, "aä日")),
    "tinytext": ("TINYTEXT", text(60)), "text": ("TEXT", text(400)), "mediumtext": ("MEDIUMTEXT", text(3000)),
    "longtext": ("LONGTEXT", text(900)),
    "binary": ("BINARY(8)", lambda r: r.randbytes(8)), "varbinary": ("VARBINARY(40)", blob(40)),
    "tinyblob": ("TINYBLOB", blob(255)), "blob": ("BLOB", blob(2000)), "mediumblob": ("MEDIUMBLOB", blob(70000)),
    "longblob": ("LONGBLOB", blob(1000)),
    "date": ("DATE", day), "year": ("YEAR", lambda r: r.choice((1901, 2155, 1970, 0, r.randrange(1901, 2156)))),
    "time": ("TIME", span(0)), "time6": ("TIME(6)", span(6)),
    "datetime": ("DATETIME", moment(0)), "datetime3": ("DATETIME(3)", moment(3)), "datetime6": ("DATETIME(6)", moment(6)),
    "stamp": ("TIMESTAMP", stamp(0)), "stamp6": ("TIMESTAMP(6)", stamp(6)),
    "enum": ("ENUM('a','B','ü','it''s','')", lambda r: r.choice(("a", "B", "ü", "it's", ""))),
    "set": ("SET('x','y','z','ö','long one')",
            lambda r: ",".join(m for m in ("x", "y", "z", "ö", "long one") if r.random() < 0.5)),
    "json": ("JSON", document),
}


class Shape:
    """columns: [(name, type)], NULL-able unless in the key or the uniques; kinds of key and unique columns too."""

    def __init__(self, name, key, columns, uniques=(), extra="", primary=True):
        self.name, self.key, self.columns, self.uniques = name, key, columns, uniques
        self.extra, self.primary = extra, primary

    @property
    def quoted(self):
        return "`" + self.name.replace("`", "``") + "`"

    def ddl(self, r):
        fixed = set(self.key)
        lines = []
        for name, kind in self.columns:
            null = " NOT NULL" if name in fixed or r.random() < 0.2 else " NULL"
            default = " DEFAULT NULL" if null == " NULL" and kind.startswith("stamp") else ""
            lines.append(f"{q(name)} {self.sql(kind)}{null}{default}")
            self.nullable = getattr(self, "nullable", set()) | ({name} if null == " NULL" else set())
        names = ", ".join(map(q, self.key))
        lines.append(f"PRIMARY KEY ({names})" if self.primary else f"UNIQUE KEY uk ({names})")
        lines += [f"UNIQUE KEY u{i} ({', '.join(map(q, u))})" for i, u in enumerate(self.uniques)]
        return f"CREATE TABLE {self.quoted} ({', '.join(lines)}{self.extra}) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"

    @staticmethod
    def sql(kind):
        return TYPES[kind][0] if kind in TYPES else KEYS[kind][0]

    def value(self, r, name, kind):
        if name in self.nullable and r.random() < 0.12:
            return None
        return (TYPES.get(kind) or KEYS[kind])[1](r)


def q(name):
    return "`" + name.replace("`", "``") + "`"


def few(values):
    return lambda r: values[r.randrange(len(values))]


# Key columns draw from few values, so that keys are deleted and come again.
KEYS = {
    "k_int": ("INT", lambda r: r.randrange(-200, 200)),
    "k_ubig": ("BIGINT UNSIGNED", lambda r: (1 << 64) - 1 - r.randrange(300)),
    "k_str": ("VARCHAR(40) COLLATE utf8mb4_bin", lambda r: f"key-{r.randrange(300)}ä"),
    "k_ci": ("VARCHAR(30) COLLATE utf8mb4_general_ci", lambda r: r.choice("aAbB") + str(r.randrange(80))),
    "k_bin": ("BINARY(6)", lambda r: bytes((0, r.randrange(3), 255, 39, 92, r.randrange(90)))),
    "k_varbin": ("VARBINARY(12)", lambda r: bytes(r.randrange(0, 3) for _ in range(r.randrange(1, 6)))),
    "k_dec": ("DECIMAL(12,3)", lambda r: decimal.Decimal(r.randrange(-300, 300)).scaleb(-3)),
    "k_dt": ("DATETIME(6)", lambda r: f"20{r.randrange(20, 30)}-01-{r.randrange(1, 29):02} 00:00:00.00000{r.randrange(3)}"),
    "k_date": ("DATE", lambda r: f"2024-{r.randrange(1, 13):02}-{r.randrange(1, 29):02}"),
    "k_enum": ("ENUM('one','two','three')", few(("one", "two", "three"))),
    "k_uniq": ("INT", lambda r: r.randrange(4000)),
    "k_uniqs": ("VARCHAR(20)", lambda r: f"u{r.randrange(4000)}"),
}


def wide():
    kinds = [kind for kind in TYPES if TYPES[kind][0].split("(")[0] not in
             ("TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT", "CHAR", "VARCHAR")]
    return [("id", "k_int")] + [(f"c{i}", kinds[i % len(kinds)]) for i in range(199)]


def shapes():
    every = list(TYPES)
    return [
        Shape("composite", ["a", "b", "c"], [("a", "k_int"), ("x", "varchar"), ("b", "k_enum"), ("c", "k_date"), ("y", "int")]),
        Shape("string_key", ["k"], [("k", "k_str"), ("x", "text"), ("y", "ubig")]),
        Shape("folding_key", ["k"], [("k", "k_ci"), ("x", "varchar")]),
        Shape("binary_key", ["k"], [("k", "k_bin"), ("x", "varbinary"), ("y", "blob")]),
        Shape("varbinary_key", ["k", "n"], [("n", "k_int"), ("k", "k_varbin"), ("x", "char")]),
        Shape("decimal_key", ["k"], [("k", "k_dec"), ("x", "dec"), ("y", "dec65")]),
        Shape("moment_key", ["k"], [("k", "k_dt"), ("x", "datetime6"), ("y", "stamp6")]),
        Shape("unsigned_key", ["k"], [("k", "k_ubig"), ("x", "ubig"), ("y", "bit64")]),
        Shape("two_uniques", ["id"], [("id", "k_int"), ("u", "k_uniq"), ("w", "k_uniqs"), ("x", "varchar")],
              uniques=(["u"], ["w"])),
        Shape("unique_pair", ["id"], [("id", "k_int"), ("u", "k_uniq"), ("w", "k_uniqs"), ("x", "int")],
              uniques=(["u", "w"],)),
        Shape("no_primary", ["u"], [("x", "varchar"), ("u", "k_int"), ("y", "double")], primary=False),
        Shape("wide", ["id"], wide()),
        Shape("numbers", ["id"], [("id", "k_int")] + [(k, k) for k in every[:every.index("char")]]),
        Shape("strings", ["id"], [("id", "k_int")] + [(k, k) for k in every[every.index("char"):every.index("date")]]),
        Shape("moments", ["id"], [("id", "k_int")] + [(k, k) for k in every[every.index("date"):]]),
        Shape("strange `name` \"x'; DROP", ["select"],
              [("select", "k_int"), ("a`b", "varchar"), ("ÄÖ %s", "int"), ("with space", "json"), ("'q\"", "enum")]),
        Shape("generated", ["id"], [("id", "k_int"), ("x", "int"), ("s", "varchar")],
              extra=", g_virtual BIGINT AS (`x` + 1) VIRTUAL, g_stored VARCHAR(90) AS (CONCAT(`s`, '!')) STORED"),
    ]


class Generated(Workload):
    """Random changes of all shapes; each step is one transaction over one to three of them."""

    def __init__(self, database, seed=None, only=None):
        self.database = database
        self.shapes = [s for s in shapes() if only is None or s.name in only]
        super().__init__(seed)

    def create(self, server):
        connection = server.connect()
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{self.database}`")
            cursor.execute(f"USE `{self.database}`")
            for shape in self.shapes:
                cursor.execute(shape.ddl(self.random))
        connection.close()
        return self

    def step(self, cursor):
        cursor.execute("SET SESSION time_zone = '+00:00'")
        rows = 0
        for shape in self.random.sample(self.shapes, self.random.randrange(1, 4)):
            for _ in range(self.random.choice((1, 1, 2, 5, 20))):
                rows += self.change(cursor, shape)
        if self.random.random() < 0.05:
            raise Rollback
        return rows

    def change(self, cursor, shape):
        choice = self.random.random()
        if choice < 0.5:
            return self.insert(cursor, shape)
        if choice < 0.8:
            return self.update(cursor, shape)
        if choice < 0.9:
            return self.remove(cursor, shape)
        return self.swap(cursor, shape) if shape.uniques else self.rekey(cursor, shape)

    def execute(self, cursor, text, values=()):
        return cursor.execute(text, values or None)

    def insert(self, cursor, shape):
        names = ", ".join(q(n) for n, _ in shape.columns).replace("%", "%%")
        values = [shape.value(self.random, n, k) for n, k in shape.columns]
        marks = ", ".join(["%s"] * len(values))
        table = f"`{self.database}`.{shape.quoted}".replace("%", "%%")
        return self.execute(cursor, f"INSERT IGNORE INTO {table} ({names}) VALUES ({marks})", values)

    def key_values(self, shape):
        return [shape.value(self.random, n, k) for n, k in shape.columns if n in shape.key]

    def where(self, shape):
        names = [n for n, _ in shape.columns if n in shape.key]
        return " AND ".join(f"{q(n)} = %s" for n in names).replace("%s", "\0").replace("%", "%%").replace("\0", "%s")

    def update(self, cursor, shape):
        others = [(n, k) for n, k in shape.columns if n not in shape.key]
        some = self.random.sample(others, self.random.randrange(1, len(others) + 1))
        names = ", ".join(q(n).replace("%", "%%") + " = %s" for n, _ in some)
        values = [shape.value(self.random, n, k) for n, k in some] + self.key_values(shape)
        return self.execute(cursor, f"UPDATE IGNORE {self.table(shape)} SET {names} WHERE {self.where(shape)}", values)

    def remove(self, cursor, shape):
        return self.execute(cursor, f"DELETE FROM {self.table(shape)} WHERE {self.where(shape)}", self.key_values(shape))

    def rekey(self, cursor, shape):
        names = ", ".join(q(n).replace("%", "%%") + " = %s" for n, _ in shape.columns if n in shape.key)
        values = self.key_values(shape) + self.key_values(shape)
        return self.execute(cursor, f"UPDATE IGNORE {self.table(shape)} SET {names} WHERE {self.where(shape)}", values)

    def table(self, shape):
        return f"`{self.database}`.{shape.quoted}".replace("%", "%%")

    def swap(self, cursor, shape):
        """Two rows exchange their unique values by way of a free one, in one transaction."""
        columns = shape.uniques[self.random.randrange(len(shape.uniques))]
        kinds = dict(shape.columns)
        key = q(shape.key[0])
        picked = ", ".join([key, *map(q, columns)])
        cursor.execute(f"SELECT {picked} FROM {self.table(shape)} ORDER BY RAND(%s) LIMIT 2", [self.random.randrange(1 << 30)])
        rows = cursor.fetchall()
        if len(rows) < 2 or None in rows[0] + rows[1]:
            return 0
        free = [-7 if kinds[c] == "k_uniq" else "free" for c in columns]
        assign = ", ".join(f"{q(c)} = %s" for c in columns)
        for to, row in ((free, rows[0]), (rows[0][1:], rows[1]), (rows[1][1:], rows[0])):
            cursor.execute(f"UPDATE {self.table(shape)} SET {assign} WHERE {key} = %s", [*to, row[0]])
        return 3
