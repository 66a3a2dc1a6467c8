"""Two million rows at once, in one transaction and in one table's load: each worker stays under 256 MiB."""

import threading
import time

import pytest

from lib import rows
from lib.deploy import Deployment
from stack import wait_until

pytestmark = pytest.mark.slow

ROWS = 2_000_000
LIMIT = 256 << 20
SECONDS = 900


class Peaks(threading.Thread):
    """The peak memory of each worker, as the kernel keeps it (VmHWM)."""

    def __init__(self, workers):
        super().__init__(daemon=True)
        self.workers, self.stopping = workers, threading.Event()
        self.peak = dict.fromkeys(map(str, workers), 0)

    def look(self):
        for worker in self.workers:
            if worker.running:
                self.peak[str(worker)] = max(self.peak[str(worker)], worker.peak_rss)

    def run(self):
        while not self.stopping.wait(0.5):
            self.look()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        self.stopping.set()
        self.join()
        print({name: f"{peak >> 20} MiB" for name, peak in self.peak.items()})
        if kind is None:
            self.look()
            assert max(self.peak.values()) < LIMIT, self.peak


def make(source, target, database):
    for server in (source, target):
        server.execute(f"DROP DATABASE IF EXISTS {database}")
    source.execute(f"CREATE DATABASE {database}", f"CREATE TABLE {database}.big (k INT PRIMARY KEY, n BIGINT NOT NULL, "
                   f"t VARCHAR(120) NOT NULL, d DATETIME(3))")


def fill(server, database, count):
    """One transaction."""
    connection = server.connect(autocommit=False, read_timeout=SECONDS)
    try:
        with connection.cursor() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE " + f"{database}.digits (i INT PRIMARY KEY)")
            cursor.executemany(f"INSERT INTO {database}.digits VALUES (%s)", [(i,) for i in range(2000)])
            connection.commit()
            step = 200
            for i in range(0, count // 1000, step):
                cursor.execute(f"INSERT INTO {database}.big SELECT a.s * 1000 + b.i, (a.s * 1000 + b.i) * 7919, "
                               f"REPEAT(MD5(a.s * 1000 + b.i), 1 + b.i % 3), '2024-01-01' + INTERVAL b.i SECOND "
                               f"FROM (SELECT i + {i} s FROM {database}.digits WHERE i < {step}) a "
                               f"JOIN {database}.digits b ON b.i < 1000")
            connection.commit()
    finally:
        connection.close()


def same(d, task, source, target, database):
    """The last row first, then everything."""
    def count():
        try:
            return target.execute(f"SELECT COUNT(*) FROM {database}.big")[0][0]
        except Exception:
            return -1
    left = source.execute(f"SELECT COUNT(*) FROM {database}.big")[0][0]
    d.wait(lambda: time.sleep(0.5) or count() == left, f"{left} rows of {database}.big", SECONDS)
    d.wait(lambda: rows.checksum(source, database, "big") == rows.checksum(target, database, "big"), "equal content", 120)
    assert d.show(task)["state"] == "running" and d.show(task)["err-msg"] == ""


def test_a_transaction_of_two_million_rows(binaries, kafka, tmp_path, mysql97, mariadb):
    make(mysql97, mariadb, "big_txn")
    with Deployment(binaries, kafka, tmp_path) as d:
        workers = d.start_both()
        task = d.create("big_txn", mysql97, mariadb, databases="big_txn", consistency="task")
        d.wait_state(task, phase="Incremental Sync")
        with Peaks(workers):
            fill(mysql97, "big_txn", ROWS)
            same(d, task, mysql97, mariadb, "big_txn")
            mysql97.execute("UPDATE big_txn.big SET n = n + 1 WHERE k % 4 = 0", "DELETE FROM big_txn.big WHERE k % 16 = 1")
            same(d, task, mysql97, mariadb, "big_txn")


@pytest.mark.parametrize("format", ["avro", "json"])
def test_a_load_of_two_million_rows(binaries, kafka, tmp_path, mysql97, mariadb, format):
    """With changes of the table meanwhile."""
    name = f"big_load_{format}"
    make(mysql97, mariadb, name)
    fill(mysql97, name, ROWS)
    with Deployment(binaries, kafka, tmp_path) as d:
        workers = d.start_both()
        with Peaks(workers):
            task = d.create(name, mysql97, mariadb, databases=name, format=format)
            wait_until(lambda: d.show(task)["phase"] == "Full Load", 60, "the load began")
            for i in range(40):
                mysql97.execute(f"UPDATE {name}.big SET n = -n WHERE k % 1000 = {i}", f"DELETE FROM {name}.big WHERE k = {i * 777}")
            same(d, task, mysql97, mariadb, name)
