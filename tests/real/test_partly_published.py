"""A transaction that is partly published when capture dies comes again whole: what of it is counted then must be what was
counted before, whatever became of the tables it touches."""

import os

from lib import topics
from lib.deploy import Deployment

ROWS = 20_000


def fill(source, name):
    source.execute(f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}",
                   f"CREATE TABLE {name}.n (d INT PRIMARY KEY)", f"INSERT INTO {name}.n VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)",
                   f"CREATE TABLE {name}.a (k INT PRIMARY KEY, s VARCHAR(300))",
                   f"CREATE TABLE {name}.stops (k INT PRIMARY KEY, s LONGTEXT)")


def large_transaction(source, name):
    """`stops` ends within it, after two rows that were counted; `a` goes on."""
    with source.connect() as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(f"INSERT INTO {name}.stops VALUES (1, 'small'), (2, 'small')")
        cursor.execute(f"INSERT INTO {name}.stops VALUES (3, REPEAT('x', 2000000))")
        cursor.execute(f"INSERT INTO {name}.a SELECT p.d + 10 * q.d + 100 * r.d + 1000 * s.d + 10000 * t.d, REPEAT('y', 300) "
                       f"FROM {name}.n p, {name}.n q, {name}.n r, {name}.n s, {name}.n t WHERE t.d < {ROWS // 10000}")
        cursor.execute("COMMIT")


def keys_of(kafka, name, table):
    return {e.key["k"] for e in topics.scan(kafka.bootstrap, [f"{name}.{name}.{table}"])}


def test_a_table_taken_up_again_within_a_partly_published_transaction_doubles_no_row_of_others(binaries, kafka, tmp_path,
                                                                                               mysql97):
    name = f"partly{os.getpid()}"
    fill(mysql97, name)
    with Deployment(binaries, kafka, tmp_path, {"commit.bytes.max": "64KiB", "kafka.message.max.bytes": "1MiB"}) as d:
        capture = d.start("capture", fault="publish.before_produce:80")  # within the large transaction
        task = d.create(name, mysql97, None, name, None, "--set", "kafka.message.max.bytes=1MiB", partitions=1)
        d.wait_state(task, phase="Incremental Sync")
        large_transaction(mysql97, name)
        d.wait(lambda: not capture.running, "capture dies")
        assert 0 < len(keys_of(kafka, name, "a")) < ROWS, "not in the midst of it"
        loads = capture.log.count("load_begin")
        d.command("task", "pause", "--task-name", name, "--timeout", "1s", check=False)
        capture.start()
        d.wait_state(task, state="stopped")
        d.verb("resume", task)
        d.wait(lambda: len(keys_of(kafka, name, "a")) == ROWS, "all rows are published", 120)
        keys = [e.key["k"] for e in topics.scan(kafka.bootstrap, [f"{name}.{name}.a"])]
        assert len(keys) == ROWS, f"{len(keys) - ROWS} rows twice"
        d.wait(lambda: capture.log.count("load_begin") > loads, "the other table is taken up by a load")
