"""Many tables: discovering them holds up neither the stream nor a stop; what is quiet costs nothing."""

import os
import time

from lib import topics
from lib.deploy import Deployment

TABLES = 40


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
