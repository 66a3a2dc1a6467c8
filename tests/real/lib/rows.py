"""Tables of a database as raw bytes, and their comparison. PyMySQL only; nothing of the product.

Every value is the server's own text (or the blob's bytes) in utf8mb4, session time zone UTC; FLOAT and DOUBLE as
doubles, so that no display rounding hides a difference; JSON parsed, because MariaDB keeps text and MySQL a tree.
"""

import json
from dataclasses import dataclass, field

import pymysql
from pymysql.cursors import SSCursor

SAMPLE = 5


def quote(name):
    return "`" + name.replace("`", "``") + "`"


def raw_connection(server, **options):
    connection = pymysql.connect(host=server.host, port=server.port, user="test", password="test", charset="utf8mb4",
                                 use_unicode=False, conv={}, autocommit=True, **options)
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION time_zone = '+00:00'")
        cursor.execute("SET SESSION sql_mode = 'NO_ENGINE_SUBSTITUTION'")
    return connection


@dataclass
class Column:
    name: str
    type: str
    key: bool
    generated: bool = False

    @property
    def expression(self):
        if self.type in ("float", "double"):
            return f"{quote(self.name)} + 0e0"
        return quote(self.name)


def schema(connection, database):
    """table -> its Columns. The key: the primary key, else the first unique index of NOT NULL columns."""
    with connection.cursor() as cursor:
        def ask(text):
            cursor.execute(text, (database,))
            return [[v.decode() if v is not None else None for v in row] for row in cursor.fetchall()]

        keys = first_keys(ask(
            "SELECT TABLE_NAME, INDEX_NAME, COLUMN_NAME, NULLABLE FROM information_schema.STATISTICS WHERE "
            "TABLE_SCHEMA = %s AND NON_UNIQUE = 0 ORDER BY TABLE_NAME, INDEX_NAME <> 'PRIMARY', INDEX_NAME, SEQ_IN_INDEX"))
        try:  # MariaDB's JSON is a longtext with a json_valid() check
            checks = ask("SELECT TABLE_NAME, CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS "
                         "WHERE CONSTRAINT_SCHEMA = %s")
        except pymysql.err.OperationalError:
            checks = []
        json_columns = {(table, clause.split("`")[1]) for table, clause in checks if clause.startswith("json_valid(`")}
        found = {}
        for table, name, kind, extra in ask(
                "SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, EXTRA FROM information_schema.COLUMNS "
                "WHERE TABLE_SCHEMA = %s ORDER BY TABLE_NAME, ORDINAL_POSITION"):
            kind = "json" if (table, name) in json_columns else kind
            found.setdefault(table, []).append(Column(
                name, kind, name in keys.get(table, ()), extra in ("VIRTUAL GENERATED", "STORED GENERATED")))
        return found


def first_keys(statistics):
    indexes, nullable = {}, set()
    for table, index, column, null in statistics:
        indexes.setdefault((table, index), []).append(column)
        if null == "YES":
            nullable.add((table, index))
    keys = {}
    for (table, index), names in indexes.items():
        if (table, index) not in nullable:
            keys.setdefault(table, names)
    return keys


def canonical(column, value):
    if value is None:
        return None
    if column.type == "json":
        try:
            return json.dumps(json.loads(value), sort_keys=True).encode()
        except ValueError:  # text, while the other side is a document yet or already
            return value
    return value


@dataclass
class Table:
    names: list
    rows: dict  # key bytes -> all columns

    def __len__(self):
        return len(self.rows)


def read_table(connection, database, table, wanted):
    """All rows of the wanted Columns, keyed."""
    key = [i for i, column in enumerate(wanted) if column.key] or range(len(wanted))
    rows = {}
    with connection.cursor(SSCursor) as cursor:
        cursor.execute(f"SELECT {', '.join(c.expression for c in wanted)} FROM {quote(database)}.{quote(table)}")
        for row in cursor:
            row = tuple(canonical(column, value) for column, value in zip(wanted, row))
            rows[tuple(row[i] for i in key)] = row
    return Table([column.name for column in wanted], rows)


def other_side(table, left, right):
    """The left side's columns as the right side has them. (Generated ones need not be there.)"""
    kinds = {column.name: column.type for column in right}
    missing = [column.name for column in left if column.name not in kinds]
    if missing:
        raise AssertionError(f"{table} lacks columns {missing}")
    return [Column(c.name, "json" if "json" in (c.type, kinds[c.name]) else kinds[c.name], c.key) for c in left]


@dataclass
class Difference:
    """What the right side lacks, has too much, and has otherwise."""

    what: str
    missing: list = field(default_factory=list)
    extra: list = field(default_factory=list)
    altered: list = field(default_factory=list)  # (key, column, left, right)

    def __bool__(self):
        return bool(self.missing or self.extra or self.altered)

    def __str__(self):
        lines = [f"{self.what}: {len(self.missing)} missing, {len(self.extra)} extra, {len(self.altered)} altered"]
        lines += [f"  missing {key!r}" for key in self.missing[:SAMPLE]]
        lines += [f"  extra {key!r}" for key in self.extra[:SAMPLE]]
        lines += [f"  altered {key!r} column {name}: {str(a)[:120]} -> {str(b)[:120]}"
                  for key, name, a, b in self.altered[:SAMPLE]]
        return "\n".join(lines)


def compare(left, right, what="tables"):
    result = Difference(what)
    result.missing = [key for key in left.rows if key not in right.rows]
    result.extra = [key for key in right.rows if key not in left.rows]
    for key, row in left.rows.items():
        other = right.rows.get(key)
        if other is not None and other != row:
            result.altered += [(key, name, a, b) for name, a, b in zip(left.names, row, other) if a != b]
    return result


def compare_tables(source, target, pairs):
    """pairs: [(database, table, database, table)]. The differences, one per pair that differs."""
    found = []
    with raw_connection(source) as left, raw_connection(target) as right:
        left_schemas = {name: schema(left, name) for name in {pair[0] for pair in pairs}}
        right_schemas = {name: schema(right, name) for name in {pair[2] for pair in pairs}}
        for database, table, to_database, to_table in pairs:
            what = f"{database}.{table} -> {to_database}.{to_table}"
            if to_table not in right_schemas[to_database]:
                found.append(Difference(f"{what}: no such table at the target", missing=[to_table]))
                continue
            names = {column.name for column in right_schemas[to_database][to_table]}
            wanted = [c for c in left_schemas[database][table] if c.name in names or not c.generated]
            there = other_side(what, wanted, right_schemas[to_database][to_table])
            both = [Column(c.name, "json" if d.type == "json" else c.type, c.key) for c, d in zip(wanted, there)]
            found.append(compare(read_table(left, database, table, both),
                                 read_table(right, to_database, to_table, there), what))
    return [difference for difference in found if difference]


def compare_table(source, target, database, table, to_database=None, to_table=None):
    found = compare_tables(source, target, [(database, table, to_database or database, to_table or table)])
    return found[0] if found else Difference(table)


def tables(server, database):
    with raw_connection(server) as connection:
        return sorted(schema(connection, database))


def compare_database(source, target, database, to_database=None, skip=()):
    """The differences of all tables of the source database, and tables that only the target has."""
    to_database = to_database or database
    names = [name for name in tables(source, database) if name not in skip]
    found = compare_tables(source, target, [(database, name, to_database, name) for name in names])
    for name in tables(target, to_database):
        if name not in names and name not in skip:
            found.append(Difference(f"{to_database}.{name} is not at the source", extra=[name]))
    return found


def checksum(server, database, table):
    """(rows, sum of row hashes) computed by the server: for tables too large to fetch."""
    with raw_connection(server) as connection:
        names = ", ".join(f"COALESCE(HEX({quote(c.name)}), '-')" for c in schema(connection, database)[table])
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT COUNT(*), COALESCE(SUM(CAST(CONV(LEFT(SHA2(CONCAT_WS('#', {names}), 256), 15), 16, 10) "
                           f"AS UNSIGNED)), 0) FROM {quote(database)}.{quote(table)}")
            count, total = cursor.fetchone()
            return int(count), int(total)
