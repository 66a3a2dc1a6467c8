"""Names of databases, tables, columns and labels that are hard to write: topics, subjects, SQL, checkpoints, logs, metrics."""

import re
import time

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient

from lib.deploy import Deployment
from lib.generator import World, differences, q
from lib.generator_types import Place, quoted
from lib.workload import Marker

NAMES = ["it's", 'q"q', "back`tick", "with space", "a.b", "a-b", "a_b", "100%s", "%d", "new\nline", "tab\tx", "Ünïcødé", "日本語", "select", "Order",
         "x" * 64, "日" * 64, "semi;colon", "#hash", "back\\slash", "-- dash", "/*c*/", "{brace}", "$dollar", "1digit", "null", "a,b", "(x)", "@at", "=",
         "?", "*", "<&>", "..", "'; DROP TABLE x; --"]
# The file system has no place for these in a database's name.
DATABASES = ["it's db", "Ünï-cødé.db", "order", "back`tick", "100%s", "日本", "a.b"]


def usable(names, server, make):
    """Those the server itself takes."""
    found = []
    for name in names:
        try:
            server.execute(make(name))
            found.append(name)
        except Exception as error:
            print(f"refused by the server: {name!r}: {error}")
    return found


def follow(d, source, target, pairs, seconds=60):
    markers = []
    for database, copy in pairs:
        marker = Marker(source, database.replace("`", "``")).create()
        marker.n = time.time_ns()
        marker.put()
        markers.append((marker, copy))
    for marker, copy in markers:
        d.wait(lambda: marker.arrived(target, copy.replace("`", "``")), f"marker of {copy!r}", seconds)


def check(d, source, target, database, copy):
    world = World.__new__(World)
    world.place, world.dropped = Place(source), set()
    end = time.monotonic() + 15
    while found := differences(source, target, database, copy, world):
        stopped = [line[:500] for w in d.workers for line in w.log.splitlines() if "event=table_stopped" in line]
        assert time.monotonic() < end and not stopped, "\n".join(map(str, found + stopped))
        time.sleep(0.2)


@pytest.mark.parametrize("source, target", [("mysql97", "mariadb"), pytest.param("mariadb", "mysql97", marks=pytest.mark.slow)])
def test_strange_tables_columns_and_labels_arrive(request, binaries, kafka, tmp_path, source, target):
    source, target = request.getfixturevalue(source), request.getfixturevalue(target)
    db, copy = f"names_{source.script}", f"names_{source.script}_to"
    for server, name in ((source, db), (target, copy)):
        server.execute(f"DROP DATABASE IF EXISTS {name}")
    source.execute(f"CREATE DATABASE {db} DEFAULT CHARACTER SET utf8mb4")
    names = usable(NAMES, source, lambda n: f"CREATE TABLE {db}.{q(n)} (`k``e.y` INT PRIMARY KEY, v VARCHAR(9))")
    assert len(names) > 25
    columns = ", ".join(f"{q(n)} INT" for n in NAMES if not n.endswith(" "))
    labels = ", ".join(quoted(n) for n in NAMES if "," not in n)
    source.execute(f"CREATE TABLE {db}.columns ({columns}, id INT PRIMARY KEY)",
                   f"CREATE TABLE {db}.labels (id INT PRIMARY KEY, e ENUM({labels}), s SET({', '.join(labels.split(', ')[:20])}))",
                   f"INSERT INTO {db}.columns (id, {q(NAMES[0])}) VALUES (1, 5), (2, NULL)",
                   f"INSERT INTO {db}.labels VALUES (1, 1, 1), (2, {len(NAMES) - 1}, 1048575)")
    for n in names:
        source.execute(f"INSERT INTO {db}.{q(n)} VALUES (1, 'load')")
    with Deployment(binaries, kafka, tmp_path) as d:
        capture, apply = d.start_both()
        task = d.create(db, source, target, databases=f"{db}:{copy}")
        follow(d, source, target, [(db, copy)])
        for n in names:
            source.execute(f"INSERT INTO {db}.{q(n)} VALUES (2, 'stream')", f"UPDATE {db}.{q(n)} SET v = 'new' WHERE `k``e.y` = 1")
        sets = ", ".join(f"{q(n)} = {i}" for i, n in enumerate(NAMES))
        source.execute(f"UPDATE {db}.columns SET {sets}", f"UPDATE {db}.labels SET e = e + 1 WHERE id = 1",
                       f"ALTER TABLE {db}.columns ADD COLUMN `late ``r` INT DEFAULT 3, RENAME COLUMN {q(NAMES[1])} TO `now 'q`")
        follow(d, source, target, [(db, copy)])
        check(d, source, target, db, copy)
        # One topic a table, each of Kafka's characters; one line a log event; metrics that parse.
        topics = [t for t in kafka.topics() if t.startswith(f"{db}.")]
        assert len(topics) == len(names) + 3, topics  # and columns, labels, marker
        assert all(re.fullmatch(r"[A-Za-z0-9._-]{1,249}", t) for t in topics)
        registry = SchemaRegistryClient({"url": f"http://127.0.0.1:{capture.port}"})
        subjects = set(registry.get_subjects())
        assert all(f"{t}-key" in subjects and f"{t}-value" in subjects for t in topics)
        for worker in (capture, apply):
            assert all(line.startswith("ts=") for line in worker.log.splitlines())
            assert worker.metrics()
        for worker in (capture, apply):
            worker.kill()
            worker.start()
        source.execute(*(f"DELETE FROM {db}.{q(n)} WHERE `k``e.y` = 1" for n in names))
        follow(d, source, target, [(db, copy)])
        check(d, source, target, db, copy)
        assert d.show(task)["state"] == "running"


@pytest.mark.slow
def test_strange_databases_and_names_that_differ_by_case_arrive(binaries, kafka, tmp_path, mysql97, mariadb):
    for server in (mysql97, mariadb):
        for name in DATABASES:
            server.execute(f"DROP DATABASE IF EXISTS {q(name)}")
    for name in DATABASES:
        mysql97.execute(f"CREATE DATABASE {q(name)}", f"CREATE TABLE {q(name)}.t (k INT PRIMARY KEY)", f"INSERT INTO {q(name)}.t VALUES (1)",
                        f"CREATE TABLE {q(name)}.T (k INT PRIMARY KEY)", f"INSERT INTO {q(name)}.T VALUES (2)")
    with Deployment(binaries, kafka, tmp_path) as d:
        d.start_both()
        tasks = [d.create(f"db{i}", mysql97, mariadb, None, f"{q(name)}.`t`,{q(name)}.`T`") for i, name in enumerate(DATABASES)]
        for name in DATABASES:
            mysql97.execute(f"INSERT INTO {q(name)}.t VALUES (3)", f"INSERT INTO {q(name)}.T VALUES (4)")
        for name in DATABASES:
            def rows(table):
                try:
                    return mariadb.execute(f"SELECT k FROM {q(name)}.{table} ORDER BY k")
                except Exception:
                    return None
            d.wait(lambda: rows("t") == ((1,), (3,)) and rows("T") == ((2,), (4,)), f"both tables of {name!r}")
        assert all(d.show(task)["state"] == "running" for task in tasks)
