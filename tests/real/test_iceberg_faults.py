"""Apply is killed at every line of a commit to the lake and at random, has twins, is frozen and thaws: the tables are
right, and every offset range is in exactly one snapshot."""

import random
import re
import signal
import statistics
import subprocess
import time

import pytest

from lib import lake_ranges, topics
from lib.catalogs import lake_at
from lib.deploy import Deployment
from lib.lakehouse import Lakehouse, check_ranges, equal, tick
from lib.workload import Bank, Writers, new_seed
from test_iceberg import QUICK, hidden_files, lake_tables, plain_table, prepare, tables_of

ROOT = __file__.rsplit("/tests/", 1)[0]


def failpoints():
    text = subprocess.run(["git", "grep", "-hoE", r'FAULT\("[^"]+"\)', "--", "apply/*.c", "apply/iceberg/*.c", "lake/*.c",
                           ":!lake/storage_s3.c"],  # test_s3_sink.py
                          cwd=ROOT, capture_output=True, text=True, check=True).stdout
    mysql = subprocess.run(["git", "grep", "-hoE", r'FAULT\("[^"]+"\)', "--", "apply/mysql/*.c"], cwd=ROOT,
                           capture_output=True, text=True, check=True).stdout
    lake = subprocess.run(["git", "grep", "-hoE", r'FAULT\("[^"]+"\)', "--", "apply/iceberg/*.c"], cwd=ROOT,
                          capture_output=True, text=True, check=True).stdout
    only_mysql = set(re.findall(r'"([^"]+)"', mysql)) - set(re.findall(r'"([^"]+)"', lake))
    # upkeep: test_iceberg_maintain.py; the REST catalog: the tests of lake/ itself
    upkeep = ("lake.compact", "lake.expire", "lake.orphans", "lake.metadata.forget", "lake.commit.merge")
    return sorted(name for name in set(re.findall(r'"([^"]+)"', text)) - only_mysql
                  if not name.startswith((*upkeep, "lake.rest")))


class Work:
    """A task into the lake under load."""

    def __init__(self, d, name, source, lake, keys=800):
        self.d, self.name, self.source, self.lake = d, name, source, lake
        self.ladder, self.bank = prepare(source, name, keys)
        self.purse = Bank(name, accounts=40, tables=("purse",)).create(source)  # in one table: whole at each snapshot
        self.capture, self.apply = d.start_both()
        self.task = d.create(name, source, lake, databases=name)
        self.tables = 0
        d.wait(lambda: self.tick() >= 0 and lake.read(f"{name}.ladder"), "the load")

    def writers(self, pause):
        return Writers(self.source, self.ladder, self.bank, self.purse, pause=pause)

    def tick(self):
        return tick(self.lake, f"{self.name}.ladder_tick")

    def goes_on(self, what, seconds=90):
        at = self.tick()
        self.d.wait(lambda: self.tick() > at, what, seconds)

    def stir(self):
        """Everything that is no row."""
        self.tables += 1
        table = f"{self.name}.extra{self.tables}"
        self.source.execute(f"CREATE TABLE {table} (k INT PRIMARY KEY)", f"INSERT INTO {table} VALUES (1), (2)",
                            f"ALTER TABLE {table} ADD COLUMN x INT", f"INSERT INTO {table} VALUES (3, 3)",
                            f"TRUNCATE TABLE {table}", f"INSERT INTO {table} VALUES (4, 4)")

    def check(self):
        tables = tables_of(self.name, "purse", *(f"extra{i + 1}" for i in range(self.tables)))
        equal(self.d, self.task, self.lake, self.source, tables, 120)
        for table in tables:
            check_ranges(self.lake, table, self.task)
        shown = self.d.show(self.task)
        assert shown["state"] == "running" and shown["err-msg"] == ""

    def check_snapshots(self):
        """The ladder and the accounts at every snapshot; not when a table was loaded again."""
        d, task, name = self.d, self.task, self.name
        topics.check_ladder(d.kafka.bootstrap, f"{task.prefix}.{name}.ladder", self.ladder.rows_now())
        found = lake_ranges.check_table(d, self.lake, task, f"{name}.ladder", "k", ("k", "v", "pad"))
        purse = lake_ranges.check_table(d, self.lake, task, f"{name}.purse", "id", ("id", "balance"))
        assert lake_ranges.check_sum(purse, 40, self.purse.total) > 1
        return len(found)

    def kill_at_random(self, r, kills):
        """Every second time it is waited for that apply goes on, else it may die while it starts. Gives back how many
        kills met changes that were not in the lake, and the seconds from each awaited start to the next commit."""
        flying, waits = 0, []
        for i in range(kills):
            time.sleep(r.random() * 0.7)  # anywhere in its work, if it has any
            self.d.wait(lambda: self.ladder.tick > self.tick(), "changes that are not in the lake")
            made = self.ladder.tick
            self.apply.kill()
            flying += made > self.tick()
            self.apply.start()
            if i % 2:
                begin = time.monotonic()
                self.goes_on(f"apply goes on after kill {i}", 180)
                waits.append(time.monotonic() - begin)
        return flying, waits


def manifests(lake, table):
    loaded = lake.load(table)
    return loaded.current_snapshot().manifests(loaded.io)


def died(worker, seconds):
    end = time.monotonic() + seconds
    while worker.running and time.monotonic() < end:
        time.sleep(0.05)
    return not worker.running


def kill(binaries, kafka, folder, source, name, kills, settings):
    r = random.Random(new_seed(name))
    with Deployment(binaries, kafka, folder, settings) as d:
        work = Work(d, name, source, Lakehouse(folder / "lake"))
        with work.writers(pause=0.002):
            flying, waits = work.kill_at_random(r, kills)
        work.check()
        snapshots = work.check_snapshots()
        print(f"{name}: {kills} kills, {flying} in flight, {snapshots} snapshots of the ladder; "
              f"goes on after {statistics.median(waits):.2f} s (median), {max(waits):.2f} s at most")
    assert flying >= 0.9 * kills


def test_ten_kills_at_random_lose_and_double_nothing(binaries, kafka, tmp_path, mysql97):
    kill(binaries, kafka, tmp_path, mysql97, "lake_kills", 10, QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("version", [3, 2])
def test_a_hundred_kills_at_random_lose_and_double_nothing(binaries, kafka, tmp_path, mysql97, version):
    settings = {**QUICK, "iceberg.format.version": version, "iceberg.commit.ms": 200}
    kill(binaries, kafka, tmp_path, mysql97, f"lake_hundred{version}", 100, settings)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["apply.batch.before_commit", "lake.metadata.after", "iceberg.rows.after"])
def test_a_frozen_apply_that_thaws_behind_a_take_over_commits_nothing(binaries, kafka, tmp_path, mysql97, name):
    """It stops within its commit, its twin takes the tables, then it goes on exactly there."""
    with Deployment(binaries, kafka, tmp_path, QUICK) as d:
        work = Work(d, "lake_frozen", mysql97, Lakehouse(tmp_path / "lake"))
        with work.writers(pause=0.005):
            work.apply.kill()
            work.apply.start(fault=f"{name}:6:sleep:3000")
            d.wait(lambda: f"name={name}" in work.apply.log, "the frozen commit has begun")
            work.apply.freeze()
            twin = d.start("apply", "b")
            d.wait(lambda: "event=target_claimed" in twin.log, "the twin has the tables")
            work.goes_on("the twin goes on")
            work.apply.thaw()
            d.wait(lambda: "event=unit_lost" in work.apply.log, "the zombie knows")
            time.sleep(4)  # its commit is over
            work.goes_on("the twin still goes on")
        work.check()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", "rest", "s3"])
def test_two_appliers_from_the_start_corrupt_nothing(binaries, kafka, tmp_path, mysql97, request, kind):
    name = f"lake_twins_{kind}"
    with lake_at(kind, tmp_path, request, name) as lake, Deployment(binaries, kafka, tmp_path, QUICK) as d:
        twin = d.start("apply", "b")
        work = Work(d, name, mysql97, lake)
        with work.writers(pause=0.005):
            for worker in (work.apply, twin, work.apply):
                worker.kill()
                work.goes_on("the other one goes on")
                worker.start()
        work.check()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["iceberg.create.before", "apply.ddl.after", "iceberg.swap.before_commit", "iceberg.hidden.dropped"])
def test_a_death_within_a_re_sync_leaves_no_hidden_table_and_no_file_of_one(binaries, kafka, tmp_path, mysql97, name):
    database = "lake_hidden"
    plain_table(mysql97, database, 200)
    lake = Lakehouse(tmp_path / "lake")
    with Deployment(binaries, kafka, tmp_path, QUICK) as d:
        _, apply = d.start_both()
        task = d.create(database, mysql97, lake, databases=database)
        equal(d, task, lake, mysql97, [f"{database}.t"])
        d.verb("pause", task)
        apply.kill()
        apply.start(fault=name)
        d.verb("restart", task, "-y")
        d.wait(lambda: not apply.running, f"the death at {name}")
        assert f"name={name}" in apply.log
        apply.start()
        mysql97.execute(f"DELETE FROM {database}.t WHERE k = 3")
        equal(d, task, lake, mysql97, [f"{database}.t"], 90)
        d.wait(lambda: not any("_millrace" in t[1] for t in lake_tables(lake)), lambda: f"{lake_tables(lake)}", 20)
        d.wait(lambda: not hidden_files(lake), lambda: f"{hidden_files(lake)}", 20)


@pytest.mark.slow
def test_a_death_within_a_merge_of_manifests_loses_and_doubles_nothing(binaries, kafka, tmp_path, mysql97):
    """A commit merges them when there are more than 100; rows that only come leave one behind each."""
    database = "lake_merge"
    plain_table(mysql97, database, 200)
    lake, table = Lakehouse(tmp_path / "lake"), f"{database}.t"
    with Deployment(binaries, kafka, tmp_path, {"iceberg.commit.ms": 50, "iceberg.maintain.ms": 0}) as d:
        _, apply = d.start_both()
        task = d.create(database, mysql97, lake, databases=database)
        equal(d, task, lake, mysql97, [table])
        apply.kill()
        apply.start(fault="lake.commit.merge")
        k = 1000
        while not died(apply, 0.1):
            assert k < 2000, "nothing was merged"
            mysql97.execute(f"INSERT INTO {table} VALUES ({k}, 1, 'x', 2, 1)")
            k += 1
        assert apply.process.poll() == -signal.SIGKILL and "name=lake.commit.merge" in apply.log
        assert len(manifests(lake, table)) >= 100
        apply.start()
        mysql97.execute(f"DELETE FROM {table} WHERE k % 3 = 0")
        equal(d, task, lake, mysql97, [table])
        assert len(manifests(lake, table)) < 50
        check_ranges(lake, table, task)


# Last, because their workers run until the end of the module.


@pytest.fixture(scope="module")
def points(binaries, kafka, mysql97, tmp_path_factory):
    """One deployment for all failpoints: each death is followed by a start without a fault."""
    folder = tmp_path_factory.mktemp("lakepoints")
    with Deployment(binaries, kafka, folder, QUICK) as d:
        work = Work(d, "lake_points", mysql97, Lakehouse(folder / "lake"))
        with work.writers(pause=0.01):
            yield work
        work.check()


@pytest.mark.slow
@pytest.mark.parametrize("nth", [1, 3])
@pytest.mark.parametrize("name", failpoints())
def test_death_at(points, name, nth):
    worker = points.apply
    worker.kill()
    worker.start(fault=f"{name}:{nth}")
    if not died(worker, 4):
        points.stir()
        if not died(worker, 5):
            points.d.verb("restart", points.task, "-y")
            if not died(worker, 30):
                assert nth > 1 or name.startswith(("apply.load", "apply.statement")), f"{name} was not passed {nth} times"
                return
    assert worker.process.poll() == -signal.SIGKILL and f"name={name}" in worker.log
    worker.start()
    points.goes_on(f"apply goes on after {name}:{nth}", 120)
