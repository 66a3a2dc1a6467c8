"""Upkeep of Iceberg tables by apply itself: small and holed files are written together, snapshots expire, files of nobody
go, while the tables are written; what PyIceberg and DuckDB read is what the source has."""

import json
import os
import random
import re
import signal
import threading
import time
import uuid
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest
from pyiceberg.exceptions import CommitFailedException

from lib import spark
from lib.catalogs import lake_at
from lib.deploy import Deployment
from lib.lakehouse import Lakehouse, check_ranges, difference, equal, path_of, reached, read_source, replaced
from lib.workload import Writers, new_seed
from test_iceberg import prepare, tables_of
from test_iceberg_faults import ROOT, Work, died

VERSIONS = 20
OFF = {"iceberg.commit.ms": 200, "iceberg.maintain.ms": 0, "load.file.max.size": "1MiB", "iceberg.compact.files": 3,
       "iceberg.metadata.versions": VERSIONS, "apply.batch.rows": 500}
ON = {**OFF, "iceberg.maintain.ms": 200}
EXPIRING = {**ON, "iceberg.snapshots.age.ms": 1500, "iceberg.snapshots.min": 3}


def total(worker, name):
    return sum(v for series, v in worker.metrics().items() if series.startswith(f"millrace_iceberg_{name}_total"))


def look(lake, loaded):
    """(files that snapshots reach, metadata.json that the table remembers, those that are not there or not whole)"""
    try:
        files, log = reached(loaded)
    except FileNotFoundError as error:
        return set(), set(), [str(error)]
    there = lake.stored("")
    wrong = [path for path, size in files.items() if path not in there or size not in (None, there[path])]
    return set(files), set(log), wrong + [path for path in log if path not in there]


def check_files(lake, table):
    """What snapshots reach is there, whole; looked at again when the table changed meanwhile."""
    while True:
        loaded = lake.load(table)
        files, log, wrong = look(lake, loaded)
        if loaded.metadata_location == lake.load(table).metadata_location:
            assert not wrong, wrong
            return loaded, files, log


def nobodys(lake, table):
    """Files that nothing reaches; None: the table changed meanwhile."""
    loaded, files, log = check_files(lake, table)
    there = lake.stored(path_of(loaded.location()) + "/").keys() - files - log
    if not lake.removes_metadata:
        there = {path for path in there if not path.endswith(".metadata.json")}
    return there if loaded.metadata_location == lake.load(table).metadata_location else None


def nothing_else_lies_there(lake, table):
    return nobodys(lake, table) == set()


def old_ones_go(lake, table):
    """Files of commits whose outcome nobody told stay until they are old: they are made so, for the search for orphans."""
    found = nobodys(lake, table)
    for path in found or ():
        with suppress(FileNotFoundError):  # it goes right now
            os.utime(path, (time.time() - 2 * 86_400,) * 2)
    return found == set()


def few(d, lake, table):
    """It has few files, and the operator's command sees them; None: the table changed meanwhile."""
    loaded, _, log = check_files(lake, table)
    sizes = [task.file.file_size_in_bytes for task in loaded.scan().plan_files()]
    shown = json.loads(d.command("iceberg", "show", table, "--sink-uri", lake.uri).stdout)
    if loaded.metadata_location != lake.load(table).metadata_location:
        return None
    assert shown["files"]["count"] == len(sizes) and shown["files"]["bytes"] == sum(sizes)
    return len(sizes) < 12 and len(log) <= VERSIONS + 1 and len(loaded.snapshots()) < 40


def everywhere(*more):
    """The first in `./run test`; the others where catalog or files are a server's."""
    return pytest.mark.parametrize("kind, version", [("file", 3), *(
        pytest.param(kind, version, marks=pytest.mark.slow) for kind, version in (("icebergrest", 2), ("s3", 3), *more))])


@everywhere(("file", 2), ("rest", 3))
def test_files_snapshots_and_metadata_stay_few_while_rows_stream(binaries, kafka, tmp_path, mysql97, request, kind, version):
    """kind "rest": replies are lost and requests fail meanwhile."""
    name = f"lake_tidy_{kind}{version}"
    ladder, bank = prepare(mysql97, name)
    settings = {**EXPIRING, "iceberg.format.version": version, "iceberg.orphans.ms": 1000, "iceberg.orphans.age.ms": 86_400_000}
    with lake_at(kind, tmp_path, request, name) as lake, Deployment(binaries, kafka, tmp_path, settings) as d:
        _, apply = d.start_both()
        trouble = lake.server.trouble(random.Random(new_seed(name))) if kind == "rest" else nullcontext()
        with Writers(mysql97, ladder, bank, pause=0.002), trouble:
            task = d.create(name, mysql97, lake, databases=name)
            files, snapshots = (10, 20) if kind == "rest" else (30, 60)  # every third commit starts the task again there
            d.wait(lambda: total(apply, "compacted_files") > files and total(apply, "expired_snapshots") > snapshots,
                   lambda: f"compactions and expiry: {apply.metrics()}", 90 if kind == "file" else 240)
            for table in tables_of(name):  # while rows are written
                lake.read(table)
        equal(d, task, lake, mysql97, tables_of(name))
        for table in tables_of(name):
            if kind == "rest":
                made_at(lake, table, 1)
                d.wait(lambda: old_ones_go(lake, table), f"{table}: old files of nobody are gone")
            else:
                d.wait(lambda: nothing_else_lies_there(lake, table), f"{table}: files of nobody are gone")
            d.wait(lambda: few(d, lake, table), f"{table}: few files")
            check_ranges(lake, table, task)
        shown = d.show(task)
        assert shown["state"] == "running" and shown["err-msg"] == ""
        assert kind == "rest" or "lake_maintenance_failed" not in apply.log


class Rows:
    """A table of n rows in the lake in some files, its task streaming, nothing tidied yet."""

    def __init__(self, d, name, source, lake, n=60_000):
        self.d, self.name, self.source, self.lake, self.n = d, name, source, lake, n
        self.table = f"{name}.t"
        source.execute(f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}",
                       f"CREATE TABLE {self.table} (k INT PRIMARY KEY, v INT, pad VARCHAR(64))")
        with source.connect(autocommit=True) as connection, connection.cursor() as cursor:
            for at in range(0, n, 5000):
                cursor.executemany(f"INSERT INTO {self.table} VALUES (%s, %s, %s)",
                                   [(k, k % 7, uuid.uuid4().hex) for k in range(at, at + 5000)])
        self.capture, self.apply = d.start_both()
        self.task = d.create(name, source, lake, databases=name)
        d.wait_state(self.task, phase="Incremental Sync")
        for k in range(4):  # small files
            source.execute(f"UPDATE {self.table} SET v = -1 WHERE k = {k}")
            d.wait(lambda: (k, -1) in {(r[0], r[1]) for r in self.rows()}, f"row {k}")

    def rows(self):
        return self.lake.read(self.table)[1]

    def again(self, settings, fault=None):
        self.apply.kill()
        self.apply.settings.update(settings)
        self.apply.start(fault=fault)

    def check(self):
        equal(self.d, self.task, self.lake, self.source, [self.table])
        check_files(self.lake, self.table)
        check_ranges(self.lake, self.table, self.task)


@everywhere(("file", 2))
def test_deletes_that_come_while_their_files_are_rewritten_are_translated(binaries, kafka, tmp_path, mysql97, request, kind,
                                                                          version):
    name, settings = f"lake_translate_{kind}{version}", {**OFF, "iceberg.format.version": version}
    with lake_at(kind, tmp_path, request, name) as lake, Deployment(binaries, kafka, tmp_path, settings) as d:
        t = Rows(d, name, mysql97, lake)
        mysql97.execute(f"DELETE FROM {t.table} WHERE k % 4 = 3")  # every file is worth a rewrite now
        equal(d, t.task, lake, mysql97, [t.table], duck=False)
        t.again(ON, fault="lake.compact.written:1:sleep:8000")
        d.wait(lambda: "name=lake.compact.written" in t.apply.log, "a rewrite that takes its time")
        begin, k = time.monotonic(), 10
        while time.monotonic() < begin + 3:
            mysql97.execute(f"DELETE FROM {t.table} WHERE k >= {k} AND k < {k + 4000}")
            k += 4000
            time.sleep(0.5)
        assert (k - 10) * 3 / 4 / (time.monotonic() - begin) > 1000, "too slow to show anything"
        d.wait(lambda: "event=lake_compacted" in t.apply.log, "the compaction")
        translated = int(re.search(r"event=lake_compacted.* translated=(\d+)", t.apply.log)[1])
        told = replaced(lake.load(t.table))[0]
        assert translated > 1000 and int(told["added-position-deletes"]) == translated == int(told["millrace.translated"])
        t.check()
        assert total(t.apply, "translated_deletes") >= translated


def made_at(lake, table, ms):
    """Another program's commit."""
    while True:
        try:
            with lake.load(table).transaction() as change:
                change.set_properties({"millrace.created": str(ms)})
            return
        except CommitFailedException:  # apply commits too
            pass


@pytest.mark.parametrize("kind", ["file", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("icebergrest", "s3"))])
def test_only_old_files_of_our_names_and_of_the_tables_time_are_orphans(binaries, kafka, tmp_path, mysql97, request, kind):
    """Format 2: PyIceberg, which moves the table's time here, does not write format 3."""
    name = f"lake_orphans_{kind}"
    settings = {**ON, "iceberg.orphans.ms": 1000, "iceberg.orphans.age.ms": 86_400_000, "iceberg.format.version": 2}
    with lake_at(kind, tmp_path, request, name) as lake, Deployment(binaries, kafka, tmp_path, settings) as d:
        t = Rows(d, name, mysql97, lake, 100)
        loaded = lake.load(t.table)
        created = int(loaded.properties["millrace.created"])
        assert abs(created - time.time() * 1000) < 120_000
        home, now, day = path_of(loaded.location()), time.time() * 1000, 86_400_000

        def litter(age, *paths):
            for path in paths:
                lake.litter(f"{home}/{path}", now - age * day)
            return {f"{home}/{path}" for path in paths}
        kept = (litter(2, "data/part-0.parquet", "metadata/snap-1.avro", f"metadata/00001-{uuid.uuid4()}.metadata.json") |
                litter(0.5, "data/millrace-young.parquet") | litter(9, "data/millrace-before.parquet"))
        gone = litter(2, "data/millrace-a.parquet", "data/millrace-b.parquet.Xyz123", "metadata/millrace-c-list-1.avro",
                      "metadata/00002-6d696c6c-7261-8abc-9def-0123456789ab.metadata.json")
        time.sleep(2.5)  # it looks, and nothing is the table's time
        assert kept | gone <= lake.stored(home).keys()
        made_at(lake, t.table, int(now - 8 * day))
        d.wait(lambda: not gone & lake.stored(home).keys(), "the orphans are gone")
        assert kept <= lake.stored(home).keys()
        mysql97.execute(f"UPDATE {t.table} SET v = 5 WHERE k < 50")
        t.check()


@pytest.mark.slow
def test_another_programs_rewrite_while_ours_runs_is_recognised(binaries, kafka, tmp_path, mysql97):
    lake = Lakehouse(tmp_path / "lake")
    with Deployment(binaries, kafka, tmp_path, {**OFF, "iceberg.format.version": 2}) as d:
        t = Rows(d, "lake_foreign", mysql97, lake, 2000)
        t.again(ON, fault="lake.compact.written:1:sleep:8000")
        d.wait(lambda: "name=lake.compact.written" in t.apply.log, "a rewrite that takes its time")
        loaded = lake.load(t.table)
        rows = loaded.scan().to_arrow()
        loaded.overwrite(rows)  # the same rows in a file of its own
        theirs = {task.file.file_path for task in lake.load(t.table).scan().plan_files()}
        d.wait(lambda: "event=lake_maintenance_overtaken" in t.apply.log, "ours gives way")
        assert {task.file.file_path for task in lake.load(t.table).scan().plan_files()} == theirs
        mysql97.execute(f"UPDATE {t.table} SET v = v + 100 WHERE k < 1500", f"DELETE FROM {t.table} WHERE k % 3 = 0")
        t.check()
        assert "lake_maintenance_failed" not in t.apply.log


@pytest.mark.slow
def test_a_stop_ends_a_rewrite_and_leaves_nothing_of_it(binaries, kafka, tmp_path, mysql97):
    lake = Lakehouse(tmp_path / "lake")
    with Deployment(binaries, kafka, tmp_path, OFF) as d:
        t = Rows(d, "lake_stop", mysql97, lake)
        t.again(ON, fault="lake.compact.written:1:sleep:1500")
        d.wait(lambda: "name=lake.compact.written" in t.apply.log, "a rewrite")
        begin = time.monotonic()
        assert t.apply.stop() == 0 and time.monotonic() - begin < 20
        assert nothing_else_lies_there(lake, t.table)
        t.apply.start()
        d.wait(lambda: "event=lake_compacted" in t.apply.log, "the next run does it")
        t.check()


DELETED = range(10200, 10300)


def spark_at_work(binaries, kafka, tmp_path, source, name, settings, statements):
    """Spark's statements on a table that streams. What it deletes (DELETED) stays away until the key changes again; nothing
    else differs. {t} is the table in Spark's catalog, {table} without the catalog's name."""
    ladder, bank = prepare(source, name)
    table, lake = f"{name}.ladder", Lakehouse(tmp_path / "lake")
    source.execute(f"INSERT INTO {table} (k, v, pad) VALUES " + ",".join(f"({k}, {k}, 'still')" for k in range(10000, 10300)))
    # What it reads stays as long as it reads.
    settings = {**ON, "iceberg.compact.files": 5, "iceberg.snapshots.age.ms": 1_800_000, **settings}
    with Deployment(binaries, kafka, tmp_path, settings) as d:
        _, apply = d.start_both()
        task = d.create(name, source, lake, databases=name)
        equal(d, task, lake, source, [table], duck=False)
        with Writers(source, ladder, bank, pause=0.05):
            before = total(apply, "compacted_files")
            spark.read(lake.database, lake.location, table, [], [s.replace("{table}", table) for s in statements], tries=25)
            d.wait(lambda: total(apply, "compacted_files") > before, "ours goes on", 180)
        source.execute(f"UPDATE {table} SET v = -1 WHERE k = 10250")  # comes back
        gone = set(DELETED) - {10250}

        def left():
            want, got = read_source(source, name, "ladder"), lake.read(table)
            want[1][:] = [row for row in want[1] if row[0] not in gone]
            return difference(want, got, table)
        d.wait(lambda: left() is None, left, 120)
        shown = d.show(task)
        assert shown["state"] == "running" and shown["err-msg"] == ""
        check_files(lake, table)
        check_ranges(lake, table, task)


@pytest.mark.slow
@pytest.mark.parametrize("version", [3, 2])
def test_spark_rewrites_expires_merges_and_deletes_while_rows_stream_and_ours_is_tidied(binaries, kafka, tmp_path, mysql97, version):
    """With commits as slow as by default, so that Spark has time for one."""
    now = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    spark_at_work(binaries, kafka, tmp_path, mysql97, f"lake_spark{version}",
                  {"iceberg.commit.ms": 10_000, "iceberg.format.version": version},
                  ["CALL millrace.system.rewrite_data_files(table => '{table}', options => map('rewrite-all', 'true'))",
                   "CALL millrace.system.rewrite_manifests(table => '{table}')",
                   "MERGE INTO {t} t USING (SELECT * FROM {t} WHERE k >= 10100 AND k < 10200) s ON t.k = s.k "
                   "WHEN MATCHED THEN UPDATE SET *",
                   f"CALL millrace.system.expire_snapshots(table => '{{table}}', older_than => TIMESTAMP '{now}', retain_last => 5)",
                   "DELETE FROM {t} WHERE k >= 10200"])


@pytest.mark.slow
def test_a_delete_of_sparks_that_rewrites_no_file_gets_through_a_commit_every_second(binaries, kafka, tmp_path, mysql97):
    """Its default rewrites files, and loses to every commit that deletes a row of one. What it deletes in must not be
    compacted meanwhile."""
    settings = {"iceberg.commit.ms": 1000, "iceberg.maintain.ms": 10_000, "iceberg.format.version": 2}
    spark_at_work(binaries, kafka, tmp_path, mysql97, "lake_spark_delete", settings,
                  ["ALTER TABLE {t} SET TBLPROPERTIES ('write.delete.mode' = 'merge-on-read')",
                   "DELETE FROM {t} WHERE k >= 10200"])


def points_of_upkeep():
    text = "".join((Path(ROOT) / f).read_text() for f in ("lake/compact.c", "lake/expire.c", "lake/catalog.c"))
    return sorted(set(re.findall(r'FAULT\("([^"]+)"\)', text)))


# Last, because their workers run until the end of the module.


@pytest.fixture(scope="module")
def points(binaries, kafka, mysql97, tmp_path_factory):
    folder = tmp_path_factory.mktemp("upkeep")
    settings = {**ON, "iceberg.orphans.ms": 500, "iceberg.orphans.age.ms": 86_400_000, "iceberg.format.version": 2}
    with Deployment(binaries, kafka, folder, settings) as d:
        work = Work(d, "lake_upkeep", mysql97, Lakehouse(folder / "lake"))
        stop = threading.Event()

        def litter():  # something for the search for orphans
            n = 0
            while not stop.wait(0.5):
                loaded = work.lake.load(f"{work.name}.ladder")
                n += 1
                work.lake.litter(f"{path_of(loaded.location())}/data/millrace-litter{n}.parquet", time.time() * 1000 - 2 * 86_400_000)
        made_at(work.lake, f"{work.name}.ladder", 1)
        thread = threading.Thread(target=litter, daemon=True)
        thread.start()
        with work.writers(pause=0.01):
            yield work
        stop.set()
        thread.join()
        work.check()
        for table in tables_of(work.name):
            check_files(work.lake, table)


@pytest.mark.slow
@pytest.mark.parametrize("nth", [1, 3])
@pytest.mark.parametrize("name", points_of_upkeep())
def test_death_at(points, name, nth):
    """Expiry only where it is what dies: elsewhere every snapshot stays, so that at the end every range is seen once."""
    worker, expiring = points.apply, "expire" in name
    worker.kill()
    worker.settings["iceberg.snapshots.age.ms"] = 1500 if expiring else 3_600_000
    worker.start(fault=f"{name}:{nth}")
    assert died(worker, 60), f"{name} was not passed {nth} times"
    assert worker.process.poll() == -signal.SIGKILL and f"name={name}" in worker.log
    worker.settings["iceberg.snapshots.age.ms"] = 3_600_000
    worker.start()
    points.goes_on(f"apply goes on after {name}:{nth}", 120)
