"""Tables without a key: a writer whose rows come in equal ones, and their comparison as multisets. PyMySQL only."""

import random
import threading
import time
from collections import Counter

from lib import rows
from lib.rows import quote

LOG = ("_op", "_seq", "_commit_ts")


def contents(server, database, table, columns=None):
    """Counter of all rows, as the server's own text of the columns a plain SELECT * shows; None: no such table."""
    with rows.raw_connection(server) as connection:
        found = rows.schema(connection, database).get(table)
        if found is None:
            return None
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {quote(database)}.{quote(table)} LIMIT 0")
            shown = [c[0] if isinstance(c[0], str) else c[0].decode() for c in cursor.description]
        by_name = {c.name: c for c in found}
        wanted = [by_name[name] for name in columns or shown]
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {', '.join(c.expression for c in wanted)} FROM {quote(database)}.{quote(table)}")
            return Counter(tuple(rows.canonical(c, v) for c, v in zip(wanted, row)) for row in cursor.fetchall())


def names(server, database, table):
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {quote(database)}.{quote(table)} LIMIT 0")
        return [c[0] for c in cursor.description]


def difference(want, got):
    if want is None or got is None:
        return None if want is got else f"a table is missing: {'source' if want is None else 'target'}"
    lost, more = want - got, got - want
    if not lost and not more:
        return None
    return (f"{sum(lost.values())} rows missing, {sum(more.values())} too many of {sum(want.values())}: "
            f"{list(lost.items())[:3]} {list(more.items())[:3]}")


def equal(d, task, source, target, database, tables, seconds=60):
    end = time.monotonic() + seconds
    left = list(tables)
    while left:
        found = difference(contents(source, database, left[0]), contents(target, database, left[0]))
        if found is None:
            left.pop(0)
            continue
        if time.monotonic() > end:
            raise AssertionError(f"{database}.{left[0]}: {found}\n{d.show(task)}")
        d.check_alive()
        time.sleep(0.2)


def signed(server, database, table, columns):
    """What a log of changes amounts to: rows that came less rows that went."""
    total = Counter()
    with rows.raw_connection(server) as connection:
        by_name = {c.name: c for c in rows.schema(connection, database)[table]}
        wanted = [by_name[name] for name in columns]
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT _op, {', '.join(c.expression for c in wanted)} FROM {quote(database)}.{quote(table)}")
            for op, *row in cursor.fetchall():
                total[tuple(rows.canonical(c, v) for c, v in zip(wanted, row))] += -1 if op == b"D" else 1
    assert not any(n < 0 for n in total.values()), "more rows went than came"
    return +total


class Stirrer:
    """Inserts, updates and deletes of rows that are often equal, until it is left. Rolls some of it back."""

    def __init__(self, server, database, table="t", seed=None, pause=0.002):
        self.server, self.table, self.pause = server, f"{quote(database)}.{quote(table)}", pause
        self.random = random.Random(seed)
        self.transactions = 0
        self.stop = threading.Event()
        self.failed = None
        self.thread = threading.Thread(target=self.run, daemon=True)

    @staticmethod
    def create(server, database, table="t", rows=2000, more=""):
        server.execute(f"CREATE DATABASE IF NOT EXISTS {quote(database)}",
                       f"CREATE TABLE {quote(database)}.{quote(table)} (a INT, b VARCHAR(30), f FLOAT, d DOUBLE, j JSON, "
                       f"t TIMESTAMP(3) NULL, n DECIMAL(12,3), e ENUM('x','y') NULL{more})")
        Stirrer.fill(server, database, table, rows)

    @staticmethod
    def fill(server, database, table="t", rows=2000):
        r = random.Random(rows)
        with server.connect(autocommit=False) as connection, connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {quote(database)}.{quote(table)} (a, b, f, d, j, t, n, e) VALUES "
                               "(%s, %s, %s, %s, %s, %s, %s, %s)", [Stirrer.row(r) for _ in range(rows)])
            connection.commit()

    @staticmethod
    def row(r):
        a = r.choice([None, *range(40)])
        return (a, r.choice([None, "", "Abc", "abc", "abc ", f"row {a}"]), r.choice([None, 1.5, -0.0, 0.0]),
                r.choice([None, 0.1, 1e300]), r.choice([None, '{"a": [1, 2.5]}']),
                r.choice([None, "2020-01-01 00:00:00.123"]), r.choice([None, "1.500"]), r.choice([None, "x", "y"]))

    def step(self, cursor):
        r, kind = self.random, self.random.random()
        for _ in range(r.randint(1, 8)):
            if kind < 0.45:
                cursor.execute(f"INSERT INTO {self.table} (a, b, f, d, j, t, n, e) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                               self.row(r))
            elif kind < 0.75:
                cursor.execute(f"DELETE FROM {self.table} WHERE a = %s LIMIT %s", (r.randint(0, 39), r.randint(1, 3)))
            else:
                cursor.execute(f"UPDATE {self.table} SET b = %s, a = a + %s WHERE a = %s LIMIT 2",
                               (r.choice(["Abc", "abc", None]), r.randint(0, 1), r.randint(0, 38)))

    def run(self):
        try:
            with self.server.connect(autocommit=False) as connection, connection.cursor() as cursor:
                while not self.stop.is_set():
                    self.step(cursor)
                    connection.rollback() if self.random.random() < 0.1 else connection.commit()
                    self.transactions += 1
                    self.stop.wait(self.pause)
        except Exception as error:  # shown when it is left
            self.failed = error

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join(30)
        assert self.failed is None, self.failed
