"""Random schemas and workloads from a seed, and the comparison of what arrived. Types: generator_types.py; changes of
definitions: generator_ddl.py.

    world = World(seed, source, "db"); world.create(); world.load(300)
    for _ in range(200): world.step()         # a transaction, or a DDL statement
    differences(source, target, "db", "db_to", world)

A statement that the source refuses (a duplicate key, a value too large after a narrowing) is part of the game: it is
counted in `refused` and changes nothing. Counts: (type, event) -> rows, of what the source has done.
"""

import random
from collections import Counter
from dataclasses import dataclass, field

import pymysql

from lib import rows
from lib.generator_types import Place

STRANGE = ["sel`ect", "a.b", "with space", "Ü日本", "100%s", "it's", 'q"q', "semi;colon", "x" * 64, "-dash-", "order", "new\nline", "$dollar",
           "#hash", "back\\slash", "Case", "1digit", "_u"]


def q(name):
    return "`" + name.replace("`", "``") + "`"


@dataclass
class Column:
    name: str
    kind: object
    null: bool = True
    default: str = None
    pool: list = None      # a key column's values: few, so that keys are deleted and come again
    invisible: bool = False
    after: str = ""        # generated: the expression

    @property
    def generated(self):
        return bool(self.after)

    def definition(self):
        if self.generated:
            return f"{q(self.name)} {self.kind.sql} {self.after}"
        null = " NULL" if self.null else " NOT NULL"
        default = f" DEFAULT {self.default}" if self.default else ""
        invisible = " INVISIBLE" if self.invisible else ""
        return f"{q(self.name)} {self.kind.sql}{null}{default}{invisible}"

    def value(self, r):
        if self.null and r.random() < 0.12:
            return "NULL"
        return r.choice(self.pool) if self.pool else self.kind.value(r)


@dataclass
class Table:
    name: str
    columns: list
    key: list                      # column names
    primary: bool = True
    uniques: list = field(default_factory=list)
    tail: str = ""

    def column(self, name):
        return next(c for c in self.columns if c.name == name)

    def written(self):
        return [c for c in self.columns if not c.generated]

    def free(self):
        """Columns that no key holds."""
        used = {n for names in [self.key, *self.uniques] for n in names}
        return [c for c in self.written() if c.name not in used]

    def ddl(self):
        names = ", ".join(map(q, self.key))
        lines = [c.definition() for c in self.columns]
        lines.append(f"PRIMARY KEY ({names})" if self.primary else f"UNIQUE KEY uk ({names})")
        lines += [f"UNIQUE KEY u{i} ({', '.join(map(q, u))})" for i, u in enumerate(self.uniques)]
        return f"CREATE TABLE {q(self.name)} ({', '.join(lines)}) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4{self.tail}"


class World:
    """One database of random tables at a server."""

    def __init__(self, seed, server, database, place=None, tables=None, ddl=0.0):
        self.r = random.Random(f"world {seed}")
        self.server, self.database, self.ddl = server, database, ddl
        self.place = place or Place(server)
        self.count = Counter()      # (cell, event) -> rows
        self.refused = Counter()    # error number -> statements
        self.statements = []        # DDL that was done
        self.tables = []
        self.dropped = set()        # names that stay at the target
        self.numbers = iter(range(10 ** 6))
        self.wanted = tables or self.r.randrange(3, 7)

    # Making.

    def fresh_name(self, strange=0.2):
        n = next(self.numbers)
        return (self.r.choice(STRANGE)[:58] + f"_{n}") if self.r.random() < strange else f"t{n}"

    def column(self, key=False, name=None):
        kind = self.place.kind(self.r, key)
        column = Column(name or self.fresh_name(), kind, null=not key and self.r.random() < 0.75)
        if key:
            column.pool = [kind.value(self.r) for _ in range(self.r.choice((8, 30, 60)))]
        elif not kind.large and self.r.random() < 0.2 and "default" not in kind.unsuited:
            column.default = kind.value(self.r) if kind.cell not in ("enum", "set") else None
        column.invisible = not key and self.r.random() < 0.05 and self.place.family != "mysql" or False
        return column

    def table(self, name=None):
        width = self.r.choice((1, 2, 4, 6, 10, 20, 40)) if self.r.random() < 0.93 else self.r.randrange(100, 300)
        key = [self.column(key=True) for _ in range(self.r.choice((1, 1, 1, 2, 3)))]
        columns = key + [self.column() for _ in range(max(0, width - len(key)))]
        self.r.shuffle(columns)
        if all(c.invisible for c in columns):
            columns[0].invisible = False
        table = Table(name or self.fresh_name(), columns, [c.name for c in key], primary=self.r.random() < 0.85)
        uniques = [c for c in columns if c.kind.key and c not in key and not c.default and c.kind.length < 100]
        if uniques and self.r.random() < 0.4:
            table.uniques = [[c.name] for c in uniques[:self.r.choice((1, 2))]]
            for names in table.uniques:
                table.column(names[0]).null = True
        numbers = [c for c in columns if c.kind.cell in ("int", "smallint") and not c.default]
        if numbers and self.r.random() < 0.5:
            kind = type(key[0].kind)("bigint", "BIGINT", None)
            how = self.r.choice(("VIRTUAL", "STORED"))
            columns.append(Column(self.fresh_name(), kind, after=f"AS ({q(numbers[0].name)} + 1) {how}"))
        return table

    def create(self):
        self.server.execute(f"CREATE DATABASE {q(self.database)} DEFAULT CHARACTER SET utf8mb4")
        self.connect()
        while len(self.tables) < self.wanted:
            self.add_table(self.table())
        return self

    def add_table(self, table):
        if self.run(table.ddl()) is None:
            return False
        self.tables.append(table)
        return True

    def connect(self):
        self.connection = self.server.connect(database=self.database, autocommit=True)
        self.cursor = self.connection.cursor()
        self.cursor.execute("SET SESSION time_zone = '+00:00', innodb_lock_wait_timeout = 20")
        # no ZERO_DATE modes, no DIVISION; strict, so that no value is changed by the source in silence
        self.cursor.execute("SET SESSION sql_mode = 'STRICT_ALL_TABLES,ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'")

    def close(self):
        self.connection.close()

    def run(self, statement):
        """Rows that were changed, or None when the source refused."""
        try:
            return self.cursor.execute(statement)
        except pymysql.err.MySQLError as error:
            if error.args[0] in (2006, 2013, 1064, 0):
                raise AssertionError(f"{error}: {statement[:2000]}") from error
            self.refused[error.args[0]] += 1
            return None

    # Rows.

    def note(self, columns, event, count):
        for column in columns:
            self.count[column.kind.cell, event] += count or 0

    def insert(self, table, event="insert", verb="INSERT", key=None):
        columns = table.written()
        rows = self.r.choice((1, 1, 2, 6)) if not key else 1
        lists = []
        for _ in range(rows):
            values = [key[c.name] if key and c.name in key else c.value(self.r) for c in columns]
            lists.append(f"({', '.join(values)})")
        if verb == "INSERT" and rows > 1:
            verb = "INSERT IGNORE"
        done = self.run(f"{verb} INTO {q(table.name)} ({', '.join(q(c.name) for c in columns)}) VALUES {', '.join(lists)}")
        self.note(columns, event, done)
        return done

    def picked(self, limit):
        return f"ORDER BY RAND({self.r.randrange(1 << 30)}) LIMIT {limit}"

    def update(self, table):
        columns = [c for c in table.written() if c.name not in table.key]
        if not columns:
            return
        columns = self.r.sample(columns, self.r.randint(1, min(len(columns), 12)))
        assign = ", ".join(f"{q(c.name)} = {c.value(self.r)}" for c in columns)
        done = self.run(f"UPDATE {q(table.name)} SET {assign} {self.picked(self.r.choice((1, 1, 3)))}")
        self.note(columns, "update", done)

    def remove(self, table):
        self.note(table.written(), "delete", self.run(f"DELETE FROM {q(table.name)} {self.picked(self.r.choice((1, 1, 4)))}"))

    def rekey(self, table):
        columns = [table.column(n) for n in table.key]
        columns = self.r.sample(columns, self.r.randint(1, len(columns)))
        assign = ", ".join(f"{q(c.name)} = {c.value(self.r)}" for c in columns)
        self.note(columns, "key", self.run(f"UPDATE {q(table.name)} SET {assign} {self.picked(1)}"))

    def again(self, table):
        """Delete and insert the same key."""
        key = {n: self.r.choice(table.column(n).pool) for n in table.key if table.column(n).pool}
        if len(key) < len(table.key):
            return
        where = " AND ".join(f"{q(n)} = {v}" for n, v in key.items())
        self.run(f"DELETE FROM {q(table.name)} WHERE {where}")
        self.insert(table, key=key)

    def swap(self, table):
        """Two rows exchange a column's values, unique or of the key, by way of a third value, in one transaction."""
        names = [u[0] for u in table.uniques] + (table.key if len(table.key) == 1 and table.column(table.key[0]).pool else [])
        names = [n for n in names if table.column(n).kind.cell in ("int", "bigint", "smallint", "varchar", "varbinary", "decimal")]
        if not names:
            return
        name = self.r.choice(names)
        self.cursor.execute(f"SELECT HEX(CONCAT({q(name)})) FROM {q(table.name)} WHERE {q(name)} IS NOT NULL {self.picked(2)}")
        found = [v for v, in self.cursor.fetchall()]
        column = table.column(name)
        if len(found) < 2 or found[0] == found[1]:
            return
        charset = "_utf8mb4 " if column.kind.charset else ""
        if column.kind.charset and column.kind.charset != "utf8mb4":
            return
        values = [f"{charset}X'{v}'" if column.kind.cell in ("varchar", "varbinary") else bytes.fromhex(v).decode() for v in found]
        free = column.value(self.r)
        for to, at in ((free, values[0]), (values[0], values[1]), (values[1], free)):
            done = self.run(f"UPDATE {q(table.name)} SET {q(name)} = {to} WHERE {q(name)} = {at} LIMIT 1")
            self.note([column], "key" if name in table.key else "update", done)

    def change(self):
        table = self.r.choice(self.tables)
        act = self.r.choices((self.insert, self.update, self.remove, self.rekey, self.again, self.swap), (10, 8, 2, 2, 2, 2))[0]
        if act == self.insert and self.r.random() < 0.15:
            self.insert(table, verb="REPLACE")
        else:
            act(table)

    def transaction(self):
        self.run("BEGIN")
        for _ in range(self.r.choice((1, 1, 2, 4, 10))):
            self.change()
            if self.r.random() < 0.1:
                self.run("SAVEPOINT s")
                before = self.count.copy()
                self.change()
                if self.r.random() < 0.7:
                    self.run("ROLLBACK TO s")
                    self.count = before
        if self.r.random() < 0.08:
            self.run("ROLLBACK")
        else:
            self.run("COMMIT")

    def load(self, statements):
        for _ in range(statements):
            self.insert(self.r.choice(self.tables), event="load")

    def step(self):
        if self.r.random() < self.ddl:
            from lib import generator_ddl
            generator_ddl.one(self)
        else:
            self.transaction()


# Comparison.


def differences(source, target, database, to_database, world):
    """Rows of all tables, as the servers print them. Policies, by name: JSON is compared as a document (MariaDB's is text and
    MySQL's a tree; a DECIMAL inside a document arrives as a number); uuid, inet4 and inet6 are text at MySQL."""
    found = []
    with rows.raw_connection(source) as left, rows.raw_connection(target) as right:
        here, there = rows.schema(left, database), rows.schema(right, to_database)
        for table, columns in here.items():
            if table not in there:
                found.append(rows.Difference(f"{table!r}: no such table at the target", missing=[table]))
                continue
            names = {c.name for c in there[table]}
            columns = [c for c in columns if c.name in names or not c.generated]
            wanted = columns_at(columns, there[table])
            if wanted is None:
                found.append(rows.Difference(f"{table!r}: columns {[c.name for c in columns]} at the target {sorted(names)}", missing=[table]))
                continue
            mine = [rows.Column(c.name, w.type if w.type == "document" else c.type, c.key) for c, w in zip(columns, wanted)]
            found.append(compare(left, database, table, mine, right, to_database, wanted))
            extra = names - {c.name for c in here[table]}
            if extra:
                found.append(rows.Difference(f"{table!r}: the target has columns {extra}", extra=sorted(extra)))
        for table in set(there) - set(here) - world.dropped:
            found.append(rows.Difference(f"{table!r} is only at the target", extra=[table]))
    return [d for d in found if d]


def columns_at(columns, there):
    kinds = {c.name: c for c in there}
    if any(c.name not in kinds for c in columns):
        return None
    return [rows.Column(c.name, "document" if "json" in (c.type, kinds[c.name].type) else kinds[c.name].type, c.key)
            for c in columns]


def compare(left, database, table, mine, right, to_database, theirs):
    def read(connection, database, columns):
        plain = [rows.Column(c.name, "json" if c.type == "document" else c.type, c.key) for c in columns]
        return rows.read_table(connection, database, table, plain)
    return rows.compare(read(left, database, mine), read(right, to_database, theirs), repr(table))
