"""Many tables: discovering them holds up neither the stream nor a stop; what is quiet costs nothing."""

import os
import time
from pathlib import Path

import pytest

from lib import rows, topics
from lib.deploy import Deployment
from stack import wait_until

TABLES = 40
MOST_TABLES = 2000
COMMITS = 300
COMMIT_MS = 1.5  # of apply's own CPU, a transaction of one row
TICK = os.sysconf("SC_CLK_TCK")


def fill(source, name, tables):
    source.execute(f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}")
    source.execute(*(f"CREATE TABLE {name}.t{i} (k INT PRIMARY KEY, v INT)" for i in range(tables)))
    source.execute(f"CREATE TABLE {name}.zz (k INT PRIMARY KEY, v INT)")


def found(worker):
    return worker.log.count("event=load_begin")


def test_a_stop_is_heard_while_tables_are_discovered_and_the_stream_goes_on(binaries, kafka, tmp_path, mysql97):
    name = f"many{os.getpid()}"
    fill(mysql97, name, TABLES)
    with Deployment(binaries, kafka, tmp_path) as d:
        # most definitions take 300 ms longer
        capture = d.start("capture", fault=",".join(f"definition.read:{i}:sleep:300" for i in range(1, 31)))
        task = d.create(name, mysql97, None, databases=name, partitions=1)
        d.wait(lambda: found(capture) > 0, "discovery has begun")
        mysql97.execute(f"INSERT INTO {name}.zz VALUES (1, 1)")
        d.wait(lambda: f"{name}.{name}.zz" in kafka.topics() and list(topics.scan(kafka.bootstrap, [f"{name}.{name}.zz"])),
               "the stream is read meanwhile")
        assert found(capture) < TABLES, "the table that was written to came last"
        began = time.monotonic()
        capture.stop()
        assert time.monotonic() - began < 5
        assert found(capture) < TABLES, "everything was discovered before the stop"
        capture.start()
        d.wait_state(task, 120, phase="Incremental Sync")
        assert len(topics.topics_of(kafka, name)) == TABLES + 1
        assert "event=tables_discovered" in capture.log


def cpu_ms(worker):
    """Of our threads: each Fetch of librdkafka's names every open partition."""
    ticks = 0
    for thread in Path(f"/proc/{worker.pid}/task").iterdir():
        name, fields = (thread / "stat").read_text().split("(", 1)[1].rsplit(")", 1)
        if not name.startswith("rdk:"):
            ticks += sum(map(int, fields.split()[11:13]))
    return ticks * 1000 / TICK


def commits(target, table):
    """As the target counts them."""
    return target.execute(f"SELECT commits FROM millrace.millrace_checkpoint WHERE target = '{table}'")[0][0]


@pytest.mark.slow
def test_with_one_commit_for_all_tables_a_commit_costs_what_its_own_tables_cost(binaries, kafka, tmp_path, mysql97, mariadb):
    name = f"most{os.getpid()}"
    fill(mysql97, name, MOST_TABLES)
    with Deployment(binaries, kafka, tmp_path) as d:
        capture, apply = d.start_both()
        task = d.create(name, mysql97, mariadb, databases=name, partitions=1, consistency="task")
        d.wait_state(task, 900, phase="Incremental Sync")
        began, quiet = time.monotonic(), cpu_ms(apply)
        time.sleep(5)  # what passing time costs
        quiet = (cpu_ms(apply) - quiet) / (time.monotonic() - began)
        began, cpu, stored = time.monotonic(), cpu_ms(apply), commits(mariadb, f"{name}.t7")
        for number in range(COMMITS):
            mysql97.execute(f"REPLACE INTO {name}.t7 VALUES ({number % 10}, {number})")
            wait_until(lambda: mariadb.execute(f"SELECT 1 FROM {name}.t7 WHERE v = {number}"), 30, "the row", 0.002)
        stored = commits(mariadb, f"{name}.t7") - stored
        spent = cpu_ms(apply) - cpu - quiet * (time.monotonic() - began)
        print(f"{stored} commits, {spent / stored:.2f} ms of CPU each; {quiet:.1f} ms a second when quiet")
        assert stored >= COMMITS
        assert spent / stored < COMMIT_MS
        assert rows.compare_database(mysql97, mariadb, name, name) == []
