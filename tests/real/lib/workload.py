"""Writers: what the tests do to a source. Each prints its seed; each knows what must be there at the end.

Ladder      keys that carry a version: every change of a key is its last version + 1
Bank        transfers between accounts of two tables, the sum constant
Generated   tables of many shapes (lib/shapes.py) under random inserts, updates, deletes, swaps, rollbacks
Marker      a row whose arrival says that all before it was read

`with Writers(server, ladder, bank):` runs each in a thread of its own until the end of the block.
"""

import os
import random
import threading
import time

import pymysql

LOST = (2006, 2013, 2003, 1053, 0)  # the server went away: the fate of the transaction is unknown


def new_seed(what):
    seed = int(os.environ.get("MILLRACE_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"{what}: seed {seed}")
    return seed


class Workload:
    """step(cursor) is one transaction, begun and ended by the caller; it raises Rollback to undo itself."""

    database = None

    def __init__(self, seed=None):
        self.seed = new_seed(f"{type(self).__name__} {self.database}") if seed is None else seed
        self.random = random.Random(self.seed)
        self.steps = 0
        self.rows = 0

    def create(self, server):
        raise NotImplementedError

    def step(self, cursor):
        raise NotImplementedError

    def committed(self):
        """The last step's transaction is in."""

    def undone(self):
        """It is not."""

    def resync(self, cursor):
        """The server was away: learn from the tables what is in."""


class Rollback(Exception):
    pass


def run_step(workload, connection):
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        try:
            rows = workload.step(cursor)
        except Rollback:
            cursor.execute("ROLLBACK")
            workload.undone()
            return
        except pymysql.err.OperationalError as error:
            if error.args[0] not in (1205, 1213):  # a lock was waited for too long, or a deadlock
                raise
            cursor.execute("ROLLBACK")
            workload.undone()
            return
        cursor.execute("COMMIT")
    workload.committed()
    workload.steps += 1
    workload.rows += rows or 0


def run_steps(workload, server, steps):
    connection = server.connect(autocommit=False)
    try:
        for _ in range(steps):
            run_step(workload, connection)
    finally:
        connection.close()


class Ladder(Workload):
    """Keys 0..keys-1 of one table. Versions are kept here, deleted keys too; some transactions are rolled back.

    A second table, `<table>_tick`, counts the committed transactions: how far another place is behind."""

    def __init__(self, database, table="ladder", keys=2000, rows_per_step=8, seed=None, rollbacks=0.03):
        self.database, self.table, self.keys, self.rows_per_step = database, table, keys, rows_per_step
        self.rollbacks = rollbacks
        self.version = [0] * keys
        self.present = [False] * keys
        self.pending = {}
        self.tick = 0
        super().__init__(seed)

    @property
    def name(self):
        return f"`{self.database}`.`{self.table}`"

    @property
    def ticks(self):
        return f"`{self.database}`.`{self.table}_tick`"

    def create(self, server):
        server.execute(f"CREATE DATABASE IF NOT EXISTS `{self.database}`",
                       f"CREATE TABLE {self.name} (k INT PRIMARY KEY, v BIGINT NOT NULL, pad VARCHAR(200) NOT NULL, "
                       f"at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6))",
                       f"CREATE TABLE {self.ticks} (id INT PRIMARY KEY, n BIGINT NOT NULL)",
                       f"INSERT INTO {self.ticks} VALUES (1, 0)")
        return self

    def fill(self, server):
        """Every key once, in large transactions: rows for a full load."""
        rows = [(k, 1, self.pad()) for k in range(self.keys)]
        connection = server.connect(autocommit=False)
        with connection.cursor() as cursor:
            for i in range(0, len(rows), 5000):
                cursor.executemany(f"INSERT INTO {self.name} (k, v, pad) VALUES (%s, %s, %s)", rows[i:i + 5000])
                connection.commit()
        connection.close()
        self.version = [1] * self.keys
        self.present = [True] * self.keys
        return self

    def pad(self):
        return "x" * self.random.randrange(10, 120)

    def get(self, k):
        return self.pending.get(k, (self.version[k], self.present[k]))

    def step(self, cursor):
        self.pending = {}
        count = self.random.randrange(1, self.rows_per_step + 1)
        if self.random.random() < 0.02:
            count *= 20
        for _ in range(count):
            self.change(cursor, self.random.randrange(self.keys))
        cursor.execute(f"UPDATE {self.ticks} SET n = {self.tick + 1} WHERE id = 1")
        if self.random.random() < self.rollbacks:
            raise Rollback
        return count + 1

    def change(self, cursor, k):
        v, present = self.get(k)
        if not present:
            cursor.execute(f"INSERT INTO {self.name} (k, v, pad) VALUES ({k}, {v + 1}, '{self.pad()}')")
            self.pending[k] = v + 1, True
            return
        choice = self.random.random()
        if choice < 0.75:
            cursor.execute(f"UPDATE {self.name} SET v = {v + 1}, pad = '{self.pad()}' WHERE k = {k}")
            self.pending[k] = v + 1, True
        elif choice < 0.92:
            cursor.execute(f"DELETE FROM {self.name} WHERE k = {k}")
            self.pending[k] = v, False
        else:
            self.move(cursor, k)

    def move(self, cursor, k):
        """A key change: the one key ends, the other one begins."""
        to = self.random.randrange(self.keys)
        v, present = self.get(to)
        if present:
            return
        cursor.execute(f"UPDATE {self.name} SET k = {to}, v = {v + 1} WHERE k = {k}")
        self.pending[k] = self.get(k)[0], False
        self.pending[to] = v + 1, True

    def committed(self):
        for k, (version, present) in self.pending.items():
            self.version[k], self.present[k] = version, present
        self.pending = {}
        self.tick += 1

    def undone(self):
        self.pending = {}

    def resync(self, cursor):
        """A commit of unknown outcome: the tick tells."""
        cursor.execute(f"SELECT n FROM {self.ticks}")
        self.committed() if cursor.fetchone()[0] == self.tick + 1 else self.undone()

    def rows_now(self):
        return {k: self.version[k] for k in range(self.keys) if self.present[k]}


class Bank(Workload):
    """Accounts in two tables, or those named; each transaction moves money between any two, or three."""

    def __init__(self, database, accounts=200, seed=None, tables=("bank_a", "bank_b")):
        self.database, self.accounts, self.tables = database, accounts, tables
        super().__init__(seed)

    total = property(lambda self: self.accounts * len(self.tables) * 1000)

    def create(self, server):
        server.execute(f"CREATE DATABASE IF NOT EXISTS `{self.database}`")
        for table in self.tables:
            server.execute(f"CREATE TABLE `{self.database}`.{table} (id INT PRIMARY KEY, balance BIGINT NOT NULL)")
            values = ",".join(f"({i},1000)" for i in range(self.accounts))
            server.execute(f"INSERT INTO `{self.database}`.{table} VALUES {values}")
        return self

    def step(self, cursor):
        count = self.random.choice((2, 2, 2, 3, 8))
        places = [(self.random.choice(self.tables), self.random.randrange(self.accounts)) for _ in range(count)]
        left = 0
        for table, account in places[1:]:
            amount = self.random.randrange(-50, 50)
            left -= amount
            self.add(cursor, table, account, amount)
        self.add(cursor, *places[0], left)
        if self.random.random() < 0.05:
            raise Rollback
        return count

    def add(self, cursor, table, account, amount):
        cursor.execute(f"UPDATE `{self.database}`.{table} SET balance = balance + {amount} WHERE id = {account}")


class BankChecker:
    """Reads the sum at a target in consistent snapshots, all the time; every other sum is a finding."""

    def __init__(self, server, database, total):
        self.server, self.database, self.total = server, database, total
        self.checks = 0
        self.sums = set()
        self.wrong = []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def look(self, cursor):
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        cursor.execute(f"SELECT (SELECT SUM(balance) FROM `{self.database}`.bank_a), "
                       f"(SELECT SUM(balance) FROM `{self.database}`.bank_b)")
        a, b = cursor.fetchone()
        cursor.execute("COMMIT")
        self.checks += 1
        self.sums.add((a, b))
        if a is None or b is None or a + b != self.total:
            self.wrong.append((a, b))

    def run(self):
        connection = None
        while not self.stop.is_set():
            try:
                connection = connection or self.server.connect()
                with connection.cursor() as cursor:
                    self.look(cursor)
            except (pymysql.err.OperationalError, pymysql.err.InterfaceError):
                connection = None
            self.stop.wait(0.002)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.stop.set()
        self.thread.join()
        if kind is None:
            self.check()

    def check(self):
        assert not self.wrong, f"{len(self.wrong)} of {self.checks} sums are not {self.total}: {self.wrong[:5]}"


class Marker:
    """One row per database; put() gives it a new number, and arrived() says whether a target has it."""

    def __init__(self, server, database):
        self.server, self.database = server, database
        self.n = 0

    def create(self):
        self.server.execute(f"CREATE DATABASE IF NOT EXISTS `{self.database}`",
                            f"CREATE TABLE IF NOT EXISTS `{self.database}`.marker (id INT PRIMARY KEY, n BIGINT)",
                            f"REPLACE INTO `{self.database}`.marker VALUES (1, 0)")
        return self

    def put(self):
        self.n += 1
        self.server.execute(f"UPDATE `{self.database}`.marker SET n = {self.n} WHERE id = 1")
        return self.n

    def arrived(self, target, database=None):
        try:
            rows = target.execute(f"SELECT n FROM `{database or self.database}`.marker WHERE id = 1")
        except (pymysql.err.ProgrammingError, pymysql.err.OperationalError, pymysql.err.InterfaceError):
            return False
        return bool(rows) and rows[0][0] == self.n


class Writers:
    """Runs each workload in a thread until the block ends; a server that is away is waited for."""

    def __init__(self, server, *workloads, pause=0.0):
        self.server, self.workloads, self.pause = server, workloads, pause
        self.stopping = threading.Event()
        self.failures = []
        self.threads = [threading.Thread(target=self.run, args=(w,), daemon=True) for w in workloads]

    def connect(self):
        while True:
            try:
                return self.server.connect(autocommit=False)
            except pymysql.err.OperationalError:
                if self.stopping.is_set():
                    raise
                time.sleep(0.1)

    def run(self, workload):
        try:
            self.write(workload)
        except Exception as error:  # told by __exit__
            self.failures.append(error)

    def write(self, workload):
        connection = self.connect()
        while not self.stopping.is_set():
            try:
                run_step(workload, connection)
            except (pymysql.err.OperationalError, pymysql.err.InterfaceError) as error:
                if error.args[0] not in LOST:
                    raise
                connection = self.connect()
                with connection.cursor() as cursor:
                    workload.resync(cursor)
                connection.commit()
            if self.pause:
                self.stopping.wait(self.pause)
        connection.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)
        if self.failures:
            raise self.failures[0]

    def __exit__(self, kind, *_):
        try:
            self.stop()
        except Exception:
            if kind is None:
                raise
