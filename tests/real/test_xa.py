"""XA transactions: their rows are in the log when prepared and count when committed, whatever dies in between."""

import time

import pytest

from lib import topics, xa
from lib.deploy import Deployment
from lib.faults import target_tick
from lib.workload import Ladder
from test_kills import TARGET_OF

POINTS = ("xa.prepare", "xa.prepared", "xa.commit", "xa.event", "xa.handed", "xa.settled")
SMALL_UNITS = {"commit.bytes.max": "64KiB"}  # so that transactions are partly published when death comes
WRITERS = 4


class XaWork:
    """Ladders that XA transactions climb, and a table of transactions that stay prepared."""

    def __init__(self, d, name, source, target, **options):
        self.d, self.name, self.source, self.target = d, name, source, target
        for server in (source, target):
            server.execute(f"DROP DATABASE IF EXISTS {name}")
        self.ladders = [Ladder(name, f"ladder{i}", keys=600).create(source) for i in range(WRITERS)]
        source.execute(f"CREATE TABLE {name}.held (k INT PRIMARY KEY, pad VARCHAR(1000) NOT NULL)")
        self.capture, self.apply = d.start_both()
        self.task = d.create(name, source, target, databases=name, **options)
        d.wait_state(self.task, phase="Incremental Sync")

    def ticks(self):
        return [target_tick(self.target, self.name, f"{ladder.table}_tick") for ladder in self.ladders]

    def goes_on(self, what, seconds=60):
        at = self.ticks()
        self.d.wait(lambda: all(a < b for a, b in zip(at, self.ticks())), what, seconds)

    def hold(self, name, first, count=2000):
        rows = ",".join(f"({k},'{'p' * 200}')" for k in range(first, first + count))
        xa.prepare(self.source, name, f"INSERT INTO {self.name}.held VALUES {rows}")

    def die_at(self, fault, act=lambda: None):
        self.capture.kill()
        self.capture.start(fault=fault)
        act()
        end = time.monotonic() + 20
        while self.capture.running and time.monotonic() < end:
            time.sleep(0.02)
        assert not self.capture.running, f"{fault} was not passed"
        self.capture.start()

    def check(self):
        self.d.caught_up(self.task, self.source, self.target, [self.name])
        void = topics.Void(self.d.kafka.bootstrap, self.task.progress_topic)
        for ladder in self.ladders:
            topics.check_ladder(self.d.kafka.bootstrap, f"{self.task.prefix}.{self.name}.{ladder.table}",
                                ladder.rows_now(), "avro", void, inc=void.inc)
        seen = [e.key["k"] for e in topics.scan(self.d.kafka.bootstrap, [f"{self.task.prefix}.{self.name}.held"])
                if e.op is not None and not void(e)]
        assert sorted(seen) == [k for (k,) in self.source.execute(f"SELECT k FROM {self.name}.held ORDER BY k")]
        assert self.d.show(self.task)["state"] == "running"

    def position(self):
        return topics.Void(self.d.kafka.bootstrap, self.task.progress_topic).cuts[-1]["pos"]


def kills(request, binaries, kafka, folder, source, faults, **options):
    name = f"xa_{source}_{options.get('delivery', 'eo')[:4]}"
    source, target = request.getfixturevalue(source), request.getfixturevalue(TARGET_OF[source])
    with Deployment(binaries, kafka, folder, SMALL_UNITS) as d:
        work = XaWork(d, name, source, target, **options)
        for held, first in (("first", 0), ("second", 10000), ("third", 20000)):
            work.hold(held, first)
        # what is read again, for the rows held, goes over changes of other tables
        source.execute(f"CREATE TABLE {name}.other (k INT PRIMARY KEY)", f"INSERT INTO {name}.other VALUES (1), (2)",
                       f"ALTER TABLE {name}.other ADD x INT DEFAULT 7", f"INSERT INTO {name}.other VALUES (3, 3)",
                       f"CREATE TABLE {name}.emptied (k INT PRIMARY KEY)", f"INSERT INTO {name}.emptied VALUES (1)",
                       f"TRUNCATE TABLE {name}.emptied", f"INSERT INTO {name}.emptied VALUES (2)")
        with xa.XaWriters(source, *work.ladders, pause=0.005) as writers:
            for i, fault in enumerate(faults):
                work.die_at(fault)
                work.goes_on(f"changes after {fault}")
        # a long one, killed among its rows, so that a part of them is published and counted
        work.die_at("xa.event:40", lambda: xa.finish(source, "first"))
        xa.finish(source, "second", "ROLLBACK")
        work.check()
        assert work.position()["xa"] is not None
        xa.finish(source, "third")
        work.check()
        assert work.position()["xa"] is None
        print(writers.counts)
        assert min(writers.counts.values()) > 0


SLOW = pytest.mark.slow


@pytest.mark.parametrize("source", ["mysql97", pytest.param("mariadb", marks=SLOW)])
def test_prepared_transactions_survive_deaths_of_capture(request, binaries, kafka, tmp_path, source):
    kills(request, binaries, kafka, tmp_path, source, ["xa.settled:5"])


@pytest.mark.slow
@pytest.mark.parametrize("delivery", ["exactly-once", "fast"])
@pytest.mark.parametrize("source", ["mysql97", "mysql80", "mariadb"])
def test_death_at_every_step_of_an_xa_transaction(request, binaries, kafka, tmp_path, source, delivery):
    points = [f"{p}:{n}" for p in (*POINTS, "publish.before_progress", "publish.before_commit", "publish.after_commit")
              for n in (1, 4)]
    kills(request, binaries, kafka, tmp_path, source, points, delivery=delivery)


@pytest.mark.slow
@pytest.mark.parametrize("source", ["mysql97", "mysql80", "mariadb"])
def test_a_transaction_prepared_before_the_task_is_loaded_when_it_is_committed(
        request, binaries, kafka, tmp_path, source):
    name = f"xa_before_{source}"
    source, target = request.getfixturevalue(source), request.getfixturevalue(TARGET_OF[source])
    for server in (source, target):
        server.execute(f"DROP DATABASE IF EXISTS {name}")
    source.execute(f"CREATE DATABASE {name}", f"CREATE TABLE {name}.t (k INT PRIMARY KEY, v INT)",
                   f"INSERT INTO {name}.t VALUES (1, 1), (2, 2), (3, 3)")
    xa.prepare(source, "early", f"INSERT INTO {name}.t VALUES (4, 4)", f"DELETE FROM {name}.t WHERE k = 1",
               f"UPDATE {name}.t SET v = 20 WHERE k = 2")
    try:
        with Deployment(binaries, kafka, tmp_path) as d:
            capture, _ = d.start_both()
            source.execute("SET GLOBAL innodb_lock_wait_timeout = 1")
            task = d.create(name, source, target, databases=name)
            d.wait(lambda: "event=load_begin" in capture.log, "the load begins")
            if source.script != "mysql80":  # without GTIDs a load waits for the rows that the transaction has locked
                d.wait_state(task, phase="Incremental Sync")
            source.execute(f"INSERT INTO {name}.t VALUES (5, 5)")
            xa.finish(source, "early")
            d.caught_up(task, source, target, [name])
            assert "event=xa_rows_missed" in capture.log
    finally:
        source.execute("SET GLOBAL innodb_lock_wait_timeout = 50")


@pytest.mark.slow
@pytest.mark.parametrize("source", ["mysql97", "mysql80", "mariadb"])
def test_prepared_transactions_survive_a_restart_of_the_source(request, binaries, kafka, tmp_path, source):
    name = f"xa_restart_{source}"
    source, target = request.getfixturevalue(source), request.getfixturevalue(TARGET_OF[source])
    with Deployment(binaries, kafka, tmp_path, SMALL_UNITS) as d:
        work = XaWork(d, name, source, target)
        work.hold("commits", 0)
        work.hold("goes", 10000)
        source.kill9()
        source.start()
        work.d.caught_up(work.task, source, target, [name])
        xa.finish(source, "commits")
        work.capture.kill()
        xa.finish(source, "goes", "ROLLBACK")
        work.capture.start()
        work.check()


@pytest.mark.slow
def test_a_large_prepared_transaction_is_kept_on_disk(binaries, kafka, tmp_path, mysql97, mariadb):
    with Deployment(binaries, kafka, tmp_path) as d:
        work = XaWork(d, "xa_large", mysql97, mariadb)
        d.caught_up(work.task, mysql97, mariadb, ["xa_large"])
        before = work.capture.peak_rss
        statements = [f"INSERT INTO xa_large.held VALUES "
                      + ",".join(f"({k},'{'p' * 1000}')" for k in range(i, i + 2000)) for i in range(0, 300000, 2000)]
        xa.prepare(mysql97, "large", *statements)
        d.caught_up(work.task, mysql97, mariadb, ["xa_large"])
        xa.finish(mysql97, "large")
        d.caught_up(work.task, mysql97, mariadb, ["xa_large"], 120)
        print(f"300 MB prepared: {(work.capture.peak_rss - before) >> 20} MiB more")
        assert work.capture.peak_rss - before < 64 << 20
