"""End to end: full load and live changes of generated tables, a version ladder and a bank, compared as bytes.

The pairs cover GTID on, GTID off and MariaDB as sources, MySQL 9.7 and MariaDB as targets, both formats, both
deliveries and both consistencies. Every topic is read by an independent consumer as well."""

import random

import pytest

from lib import topics
from lib.deploy import Deployment
from lib.shapes import Generated
from lib.workload import Bank, BankChecker, Ladder, Writers, new_seed, run_steps
from stack import wait_until

PAIRS = [
    # source, target, format, delivery, consistency
    ("mysql97", "mariadb", "avro", "exactly-once", "table"),
    ("mysql80", "mysql97", "json", "exactly-once", "task"),
    ("mariadb", "mysql97", "avro", "fast", "table"),
]


@pytest.mark.parametrize("source, target, format, delivery, consistency", PAIRS)
def test_a_live_database_arrives(request, binaries, kafka, tmp_path, source, target, format, delivery, consistency):
    name = f"mirror_{source}"
    source, target = request.getfixturevalue(source), request.getfixturevalue(target)
    for server in (source, target):
        server.execute(f"DROP DATABASE IF EXISTS {name}")
    generated = Generated(name).create(source)
    run_steps(generated, source, 60)
    ladder = Ladder(name, keys=2000).create(source).fill(source)
    bank = Bank(name, accounts=50).create(source)
    with Deployment(binaries, kafka, tmp_path) as d:
        d.start_both()
        with Writers(source, generated, ladder, bank, pause=0.002):
            task = d.create(name, source, target, databases=name, format=format, delivery=delivery,
                            consistency=consistency)
            d.wait_state(task, phase="Incremental Sync")
            if consistency == "task":
                with BankChecker(target, name, bank.total) as checker:
                    at = ladder.steps
                    wait_until(lambda: ladder.steps > at + 150, 60, "150 transactions under the checker")
                assert checker.checks > 20
            at = ladder.steps
            wait_until(lambda: ladder.steps > at + 100, 60, "100 transactions while streaming")
        d.caught_up(task, source, target, [name])
        void = topics.Void(kafka.bootstrap, task.progress_topic) if delivery == "fast" else None
        found = topics.check_ladder(kafka.bootstrap, f"{task.prefix}.{name}.ladder", ladder.rows_now(), format, void)
        assert found.counts["r"] > 1000 and found.counts["u"] > 100
        shown = d.show(task)
        assert shown["state"] == "running" and shown["err-msg"] == ""
        d.wait(lambda: f'"{name}.ladder": 2' in d.show(task)["checkpoint"], "a time to which the target is complete")


def test_names_map_and_selections_hold(binaries, kafka, tmp_path, mysql97):
    """One server as source and target, another database name; what is excluded stays out."""
    for database in ("map_src", "map_dst"):
        mysql97.execute(f"DROP DATABASE IF EXISTS {database}")
    mysql97.execute("CREATE DATABASE map_src", "CREATE TABLE map_src.a (k INT PRIMARY KEY, x INT)",
                    "CREATE TABLE map_src.secret_b (k INT PRIMARY KEY)", "INSERT INTO map_src.a VALUES (1, 1), (2, NULL)",
                    "INSERT INTO map_src.secret_b VALUES (1)")
    with Deployment(binaries, kafka, tmp_path) as d:
        d.start_both()
        task = d.create("map", mysql97, mysql97, databases="map_src:map_dst", exclude="secret_")
        d.caught_up(task, mysql97, mysql97, [("map_src", "map_dst")], skip=("secret_b",))
        mysql97.execute("UPDATE map_src.a SET x = 5", "DELETE FROM map_src.a WHERE k = 1", "INSERT INTO map_src.a VALUES (9, 9)",
                        "INSERT INTO map_src.secret_b VALUES (2)", "CREATE TABLE map_src.later (k INT PRIMARY KEY)",
                        "INSERT INTO map_src.later VALUES (7)")
        d.caught_up(task, mysql97, mysql97, [("map_src", "map_dst")], skip=("secret_b",))
        assert mysql97.execute("SELECT * FROM map_dst.later") == ((7,),)
        found = mysql97.execute("SHOW TABLES FROM map_dst")
        assert ("secret_b",) not in found


def test_without_full_load_only_changes_arrive(binaries, kafka, tmp_path, mariadb, mysql97):
    for server in (mariadb, mysql97):
        server.execute("DROP DATABASE IF EXISTS nofull")
    mariadb.execute("CREATE DATABASE nofull", "CREATE TABLE nofull.t (k INT PRIMARY KEY)", "INSERT INTO nofull.t VALUES (1)")
    with Deployment(binaries, kafka, tmp_path) as d:
        d.start_both()
        task = d.create("nofull", mariadb, mysql97, None, "nofull.t", "--no-full")
        mariadb.execute("INSERT INTO nofull.t VALUES (2), (3)", "DELETE FROM nofull.t WHERE k = 3")

        def rows():
            try:
                return mysql97.execute("SELECT k FROM nofull.t")
            except Exception:
                return None
        d.wait(lambda: rows() == ((2,),), "the changes alone")
        assert d.show(task)["state"] == "running"


@pytest.mark.parametrize("source", ["mysql97", "mysql80", "mariadb"])
def test_a_load_in_small_chunks_takes_every_row_large_or_small(request, binaries, kafka, tmp_path, source, mysql97, mariadb):
    """Rows of 10 to 3000 bytes side by side: a chunk ends by bytes anywhere between them."""
    source, target = request.getfixturevalue(source), mariadb if source != "mariadb" else mysql97
    name = f"sizes_{source.script}"
    for server in (source, target):
        server.execute(f"DROP DATABASE IF EXISTS {name}")
    r = random.Random(new_seed("sizes"))
    source.execute(f"CREATE DATABASE {name}", f"CREATE TABLE {name}.t (a INT, b VARCHAR(20), x TEXT, PRIMARY KEY (a, b))",
                   *(f"INSERT INTO {name}.t VALUES " + ",".join(
                       f"({i // 7}, '{'k' * (i % 7)}', REPEAT('x', {r.choice((10, 50, 1000, 3000))}))" for i in range(n, n + 500))
                     for n in range(0, 3000, 500)))
    with Deployment(binaries, kafka, tmp_path, {"load.chunk.bytes": "64KiB", "load.connections": 3}) as d:
        d.start_both()
        task = d.create(name, source, target, databases=name)
        d.caught_up(task, source, target, [name])
        events = list(topics.scan(kafka.bootstrap, [f"{name}.{name}.t"]))
        assert len(events) == 3000 and len({e.id for e in events}) == 3000
