#!/usr/bin/env python3
"""The demonstration: a shop in MySQL with a live writer, copied through Kafka into an Iceberg lakehouse, or MariaDB.

Starts its own servers on loopback, creates one task with the product's own command, shows the first load and then the
live lag, kills both workers with SIGKILL once, and compares source and target row by row with an independent client.

    demo.py [--sink iceberg|mysql] [--rows N] [--seconds N] [--keep]
                                               MILLRACE_BUILD: folder of the programs (build/release/bin)

The lakehouse is a local folder with a SQLite catalog; DuckDB reads it.
"""

import argparse
import concurrent.futures
import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "stack"), str(ROOT / "tests" / "real")]

from lib.lakehouse import Lakehouse, difference, read_source  # noqa: E402
from stack import Kafka, Mariadb, Mysql97, Ports, StackError, wait_until  # noqa: E402

BIN = Path(os.environ.get("MILLRACE_BUILD", ROOT / "build" / "release" / "bin")).resolve()
BEGIN = time.monotonic()

SCHEMA = """
CREATE TABLE customers (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, email VARCHAR(120) NOT NULL UNIQUE,
    name VARCHAR(80), born DATE, note TEXT, joined DATETIME(6) NOT NULL);
CREATE TABLE products (sku CHAR(12) PRIMARY KEY, title VARCHAR(200) NOT NULL, price DECIMAL(10,2) NOT NULL,
    stock INT NOT NULL, picture VARBINARY(64));
CREATE TABLE orders (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, customer BIGINT UNSIGNED NOT NULL,
    state ENUM('new','paid','sent','back') NOT NULL, total DECIMAL(12,2), placed TIMESTAMP(6) NOT NULL, KEY (customer));
CREATE TABLE order_items (order_id BIGINT UNSIGNED, line SMALLINT, sku CHAR(12) NOT NULL, amount INT NOT NULL,
    price DECIMAL(10,2) NOT NULL, PRIMARY KEY (order_id, line));
CREATE TABLE pulse (id INT PRIMARY KEY, beat BIGINT NOT NULL, at DOUBLE NOT NULL)
"""
KEYS = {"customers": "id", "products": "sku", "orders": "id", "order_items": "order_id, line", "pulse": "id"}
PRODUCTS = 2000


def say(text):
    print(f"{time.monotonic() - BEGIN:6.1f} s  {text}", flush=True)


def insert(cursor, table, rows):
    rows = list(rows)
    marks = "(" + ",".join(["%s"] * len(rows[0])) + ")"
    for first in range(0, len(rows), 5000):
        part = rows[first:first + 5000]
        cursor.execute(f"INSERT INTO {table} VALUES " + ",".join([marks] * len(part)), list(itertools.chain(*part)))


def create_shop(source, rows):
    rng = random.Random(1)
    source.execute("CREATE DATABASE shop CHARACTER SET utf8mb4")
    source.execute(*SCHEMA.strip().split(";"), database="shop")
    with source.connect(database="shop", autocommit=False) as connection, connection.cursor() as cursor:
        now = "2026-01-01 12:00:00.123456"
        insert(cursor, "customers", ((n, f"c{n}@example.org", rng.choice((None, "Zoë", "李雷", "O'Neil", "")),
                                      None if n % 7 == 0 else "1980-02-29", "x" * rng.randrange(200), now)
                                     for n in range(1, rows // 4 + 1)))
        insert(cursor, "products", ((f"SKU{n:08d}", f"Thing {n}", f"{rng.randrange(1, 10**6) / 100:.2f}", 1000,
                                     rng.randbytes(rng.randrange(64))) for n in range(PRODUCTS)))
        insert(cursor, "orders", ((n, rng.randrange(1, rows // 4 + 1), "paid", "10.50", now)
                                  for n in range(1, rows // 4 + 1)))
        insert(cursor, "order_items", ((n // 2 + 1, n % 2, f"SKU{rng.randrange(PRODUCTS):08d}", rng.randrange(1, 9),
                                        "5.25") for n in range(rows // 2)))
        cursor.execute("INSERT INTO pulse VALUES (1, 0, 0)")
        connection.commit()


class Writer(threading.Thread):
    """Customers order, pay, send things back; every transaction leaves its number and time in `pulse`."""

    def __init__(self, source, rows):
        super().__init__(daemon=True)
        self.source, self.rows = source, rows
        self.halt = threading.Event()
        self.transactions = 0
        self.error = None

    def run(self):
        try:
            with self.source.connect(database="shop", autocommit=False) as connection, connection.cursor() as cursor:
                rng = random.Random(2)
                while not self.halt.wait(0.002):
                    self.step(cursor, rng)
                    connection.commit()
        except Exception as error:
            self.error = error

    def step(self, cursor, rng):
        self.transactions += 1
        kind = rng.random()
        if kind < 0.6:
            self.order(cursor, rng)
        elif kind < 0.8:
            cursor.execute("UPDATE orders SET state = 'sent' WHERE id = %s", (rng.randrange(1, self.rows // 4),))
        elif kind < 0.9:
            old = rng.randrange(1, self.rows // 4)
            cursor.execute("DELETE FROM order_items WHERE order_id = %s", (old,))
            cursor.execute("DELETE FROM orders WHERE id = %s", (old,))
        else:
            cursor.execute("UPDATE customers SET email = %s, note = NULL WHERE id = %s",
                           (f"new{self.transactions}@example.org", rng.randrange(1, self.rows // 4)))
        cursor.execute("UPDATE pulse SET beat = %s, at = %s", (self.transactions, time.time()))

    def order(self, cursor, rng):
        cursor.execute("INSERT INTO orders VALUES (NULL, %s, 'new', NULL, NOW(6))", (rng.randrange(1, self.rows // 4),))
        order = cursor.lastrowid
        for line in range(rng.randrange(1, 5)):
            sku = f"SKU{rng.randrange(PRODUCTS):08d}"
            cursor.execute("INSERT INTO order_items VALUES (%s, %s, %s, %s, '9.99')", (order, line, sku, 1))
            cursor.execute("UPDATE products SET stock = stock - 1 WHERE sku = %s", (sku,))

    def stop(self):
        self.halt.set()
        self.join(30)
        if self.error:
            raise self.error


class Lake(Lakehouse):
    """The target that is no server."""

    def get(self):
        pass

    def start(self):
        pass

    def stop(self):
        pass

    def rows(self):
        found = {table: self.read(f"shop.{table}", duck=True) for table in KEYS}
        return {table: len(read[1]) if read else 0 for table, read in found.items()}

    def pulse(self):
        found = self.read("shop.pulse", duck=True)
        if not found or not found[1]:
            return (-1, 0.0)
        row = dict(zip(found[0], found[1][0]))
        return row["beat"], float(row["at"])


class Worker:
    def __init__(self, program, kafka, work):
        self.program, self.work = program, work
        self.command = [str(BIN / program), "--kafka", kafka.bootstrap, "--listen", f"127.0.0.1:{Ports.take()}",
                        "--data", str(work / program), "--name", f"demo-{program}"]
        self.process = None

    def start(self):
        (self.work / self.program).mkdir(exist_ok=True)
        with open(self.work / f"{self.program}.log", "a") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def signal(self, number, seconds=30):
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(seconds)

    def check(self):
        if self.process.poll() is not None:
            lines = (self.work / f"{self.program}.log").read_text().splitlines()[-15:]
            raise StackError(f"{self.program} ended with {self.process.returncode}:\n" + "\n".join(lines))


def millrace(kafka, *arguments):
    done = subprocess.run([str(BIN / "millrace"), "--kafka", kafka.bootstrap, *arguments], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise StackError(f"millrace {arguments[0]} {arguments[1]}: {done.stdout}{done.stderr}")
    return done.stdout


def show(kafka):
    return json.loads(millrace(kafka, "task", "show", "--task-name", "shop", "-o", "json"))[0]


def rows_of(server):
    """Table -> rows; a table that is not there yet has none."""
    if isinstance(server, Lake):
        return server.rows()
    counts = {}
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'shop'")
        names = {name for (name,) in cursor.fetchall()}
        for table in KEYS:
            counts[table] = 0
            if table in names:
                cursor.execute(f"SELECT COUNT(*) FROM shop.{table}")
                counts[table] = cursor.fetchone()[0]
    return counts


def pulse_of(server):
    """(number, time) of the last transaction seen there."""
    if isinstance(server, Lake):
        return server.pulse()
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM information_schema.tables "
                       "WHERE table_schema = 'shop' AND table_name = 'pulse'")
        if not cursor.fetchone()[0]:
            return (-1, 0.0)
        cursor.execute("SELECT beat, at FROM shop.pulse")
        return cursor.fetchone() or (-1, 0.0)


def show_load(kafka, source, target, workers):
    end = time.monotonic() + 120
    while True:
        for worker in workers:
            worker.check()
        state = show(kafka)
        have, want = sum(rows_of(target).values()), sum(rows_of(source).values())
        phase = state.get("phase", state["state"])
        say(f"{phase:18s} {have:>8,} of {want:,} rows at the target ({100 * have // max(want, 1)} %)")
        if state["err-msg"] and "MR4012" not in state["err-msg"]:  # workers that have not said so yet
            raise StackError(state["err-msg"])
        if phase == "Incremental Sync" and have and pulse_of(target)[0] >= 0:
            return
        if time.monotonic() > end:
            raise StackError("the first load did not end in 120 s")
        time.sleep(0.5)


def show_lag(target, writer, workers, seconds):
    """Lag as a reader of the target sees it: how old its newest transaction is."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(1)
        for worker in workers:
            worker.check()
        beat, at = pulse_of(target)
        late = max(writer.transactions - beat, 0)
        say(f"live: {writer.transactions:,} transactions, target {late} behind, "
            f"its newest is {max(time.time() - at, 0) * 1000:.0f} ms old")


def kill_workers(target, workers):
    say("SIGKILL to both workers")
    for worker in workers:
        worker.signal(signal.SIGKILL)
    seen = pulse_of(target)[0]
    begin = time.monotonic()
    for worker in workers:
        worker.start()
    wait_until(lambda: pulse_of(target)[0] > seen, 60, "the first change after the kill")
    say(f"first change after the restart applied in {time.monotonic() - begin:.1f} s")


def table_rows(server, table, key):
    with server.connect(database="shop") as connection, connection.cursor() as cursor:
        cursor.execute("SET time_zone = '+00:00'")
        cursor.execute(f"SELECT * FROM {table}")
        width = len(key.split(","))
        return {row[:width]: row for row in cursor.fetchall()}


def compare_lake(source, lake):
    """Every column of every row, as DuckDB reads it. Gives back (rows, tables that differ)."""
    total = wrong = 0
    for table in KEYS:
        want = read_source(source, "shop", table)
        found = difference(want, lake.read(f"shop.{table}", duck=True), table)
        say(f"  {table:12s} {len(want[1]):>8,} rows, {found or 'equal'}")
        total, wrong = total + len(want[1]), wrong + bool(found)
    return total, wrong


def compare(source, target):
    """Every column of every row, both ways. Gives back (rows, differences)."""
    total = wrong = 0
    for table, key in KEYS.items():
        ours, theirs = table_rows(source, table, key), table_rows(target, table, key)
        keys = ours.keys() | theirs.keys()
        different = [k for k in keys if ours.get(k) != theirs.get(k)]
        for k in different[:3]:
            say(f"  {table}: source {ours.get(k)}, target {theirs.get(k)}")
        say(f"  {table:12s} {len(ours):>8,} rows, {len(different)} missing, extra or different")
        total, wrong = total + len(keys), wrong + len(different)
    return total, wrong


def scenario(options, kafka, source, target, workers):
    create_shop(source, options.rows)
    say(f"shop created: {sum(rows_of(source).values()):,} rows in {len(KEYS)} tables; the writer starts")
    writer = Writer(source, options.rows)
    writer.start()
    for worker in workers:
        worker.start()
    sink = ["--sink-type", "iceberg", "--sink-uri", target.uri, "--set", "iceberg.commit.ms=1000"]
    if options.sink == "mysql":
        sink = ["--sink-type", "mysql", "--sink-uri", target.uri()]
    print(millrace(kafka, "task", "create", "--task-name", "shop", "--source-uri", source.uri("repl"), *sink, "--level",
                   "database", "--databases", "shop:shop").strip())
    show_load(kafka, source, target, workers)
    show_lag(target, writer, workers, options.seconds / 2)
    kill_workers(target, workers)
    show_lag(target, writer, workers, options.seconds / 2)
    writer.stop()
    begin = time.monotonic()
    wait_until(lambda: pulse_of(target)[0] == pulse_of(source)[0], 60, "the target has the writer's last transaction")
    say(f"writer stopped after {writer.transactions:,} transactions; drained in {time.monotonic() - begin:.1f} s; "
        "comparing row by row")
    rows, wrong = compare_lake(source, target) if options.sink == "iceberg" else compare(source, target)
    reader = "DuckDB reads the lake's tables: " if options.sink == "iceberg" else ""
    say(f"{'EQUAL' if not wrong else 'DIFFERENT'}: {reader}{rows:,} rows compared, {wrong} different")
    return 1 if wrong else 0


def start_servers(servers):
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(lambda server: server.get(), servers))
        if time.monotonic() - begin > 2:
            say(f"servers downloaded and prepared in {time.monotonic() - begin:.0f} s")
        list(pool.map(lambda server: server.start(), servers))
    lake = next((s for s in servers if isinstance(s, Lake)), None)
    say("Kafka and MySQL 9.7 (source) are up; the target is " + (lake.uri if lake else "MariaDB 10.11"))


def main():
    parser = argparse.ArgumentParser(description="the demonstration")
    parser.add_argument("--sink", choices=("iceberg", "mysql"), default="iceberg", help="kind of the target")
    parser.add_argument("--rows", type=int, default=200_000, help="rows of the shop")
    parser.add_argument("--seconds", type=float, default=12, help="of live lag to show")
    parser.add_argument("--keep", action="store_true", help="keep the folder of data and logs")
    options = parser.parse_args()
    missing = [name for name in ("millrace", "millrace-capture", "millrace-apply") if not (BIN / name).exists()]
    if missing:
        sys.exit(f"demo: not built in {BIN}: {', '.join(missing)}")
    work = Path(tempfile.mkdtemp(prefix="millrace-demo-"))
    os.environ.setdefault("MILLRACE_KEY_FILE", str(work / "key"))
    kafka, source = Kafka(work), Mysql97(work, "source")
    target = Lake(work / "lakehouse") if options.sink == "iceberg" else Mariadb(work, "target")
    workers = [Worker("millrace-capture", kafka, work), Worker("millrace-apply", kafka, work)]
    status = 1
    try:
        start_servers([kafka, source, target])
        status = scenario(options, kafka, source, target, workers)
    except (StackError, subprocess.TimeoutExpired) as error:
        say(f"FAILED: {error}")
    finally:
        for worker in workers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.signal(signal.SIGTERM)
        for server in (kafka, source, target):
            server.stop()
        if status or options.keep:
            say(f"data and logs: {work}")
        else:
            shutil.rmtree(work)
    return status


if __name__ == "__main__":
    sys.exit(main())
