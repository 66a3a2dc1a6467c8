"""MySQL to Kafka to Iceberg tables in S3: PyIceberg and DuckDB read the source's rows from the bucket, whatever the service does."""

import os
import random
import re
import signal
import subprocess
import time

import pytest
from lib import s3
from lib.deploy import CommandFailed, Deployment
from lib.lakehouse import S3Lakehouse, check_ranges, equal, read_source
from lib.workload import Writers, new_seed, run_steps
from test_iceberg import QUICK, fill_types, prepare, tables_of
from test_iceberg_faults import Work, died

ROOT = __file__.rsplit("/tests/", 1)[0]
PARTS = "&s3.multipart.part-size-bytes=5MiB"


def bucket_of(server, name):
    return s3.make_bucket(server, name.replace("_", "-"))


def large_rows(source, name, rows):
    """Rows of 1 MiB that no codec makes smaller."""
    source.execute(f"CREATE TABLE IF NOT EXISTS {name}.large (k INT PRIMARY KEY, v LONGBLOB)")
    with source.connect(autocommit=True) as connection, connection.cursor() as cursor:
        for k in rows:
            cursor.execute(f"REPLACE INTO {name}.large VALUES (%s, %s)", (k, os.urandom(1 << 20)))


class S3Work(Work):
    def check(self):
        tables = tables_of(self.name)
        equal(self.d, self.task, self.lake, self.source, tables, 120)
        for table in tables:
            check_ranges(self.lake, table, self.task)
        shown = self.d.show(self.task)
        assert shown["state"] == "running" and shown["err-msg"] == ""


def test_a_live_database_arrives_in_the_bucket_large_files_in_parts(binaries, kafka, tmp_path, mysql97, versitygw):
    name = "s3_live"
    ladder, bank = prepare(mysql97, name, 500)
    fill_types(mysql97, name)
    bucket = bucket_of(versitygw, name)
    with s3.Proxy(versitygw.endpoint) as proxy, Deployment(binaries, kafka, tmp_path, QUICK) as d:
        lake = S3Lakehouse(tmp_path / "lake", versitygw, bucket, proxy.endpoint, PARTS)
        large_rows(mysql97, name, range(9))
        d.start_both()
        with Writers(mysql97, ladder, bank, pause=0.005):
            task = d.create(name, mysql97, lake, databases=name)
            d.wait_state(task, phase="Incremental Sync")
            at = ladder.steps
            d.wait(lambda: ladder.steps > at + 50, "50 transactions while streaming")
        mysql97.execute(f"UPDATE {name}.types SET b = 'moved', d = 0.5 WHERE b = 'k'", f"DELETE FROM {name}.types WHERE b = ''",
                        f"DELETE FROM {name}.large WHERE k = 3")
        equal(d, task, lake, mysql97, tables_of(name, "types", "large"), 90)
        assert check_ranges(lake, f"{name}.ladder", task) > 1
        assert any(m == "PUT" and "partNumber=" in p for m, p in proxy.requests), "nothing went in parts"
        assert s3.uploads(versitygw, bucket) == []
        listed = d.command("iceberg", "files", f"{name}.large", "--sink-uri", lake.uri).stdout
        assert f"s3://{bucket}/lake/{name}/large/data/" in listed
        record = d.command("task", "show", "--task-name", name).stdout + d.workers[1].log
        assert versitygw.secret not in record.replace(f"{versitygw.key}:******", "")


def test_keys_may_be_references_to_files_and_never_stand_in_the_clear(binaries, kafka, tmp_path, mysql97, versitygw):
    name = "s3_refs"
    mysql97.execute(f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}", f"CREATE TABLE {name}.t (k INT PRIMARY KEY)",
                    f"INSERT INTO {name}.t VALUES (1), (2)")
    lake = S3Lakehouse(tmp_path / "lake", versitygw, bucket_of(versitygw, name))
    bare = lake.uri.replace(f"{versitygw.key}:{versitygw.secret}@", "")
    (tmp_path / "secret").write_text(versitygw.secret + "\n")
    with Deployment(binaries, kafka, tmp_path, QUICK) as d:
        d.start_both()
        lake.uri = f"{bare}&s3.access-key-id={versitygw.key}&s3.secret-access-key={versitygw.secret}"
        with pytest.raises(CommandFailed, match="MR4003.*s3.secret-access-key"):
            d.create(name, mysql97, lake, databases=name)
        lake.uri = f"{bare}&s3.access-key-id={versitygw.key}&s3.secret-access-key=${{file:{tmp_path}/secret}}"
        task = d.create(name, mysql97, lake, databases=name)
        equal(d, task, lake, mysql97, [f"{name}.t"], duck=False)


@pytest.mark.parametrize("change, code", [
    (lambda uri: uri.replace("test:testtest@", "test:wrong@"), "MR3021"),
    (lambda uri: uri.replace("test:testtest@", "nobody:testtest@"), "MR3021"),
    (lambda uri: uri.replace("test:testtest@", ""), "MR3091"),
    (lambda uri: uri.replace("s3://s3-bad/", "s3://s3-none/"), "MR3090"),
    (lambda uri: uri.replace("s3://s3-bad/", "s3://?/"), "MR3045"),
    (lambda uri: uri.replace("s3.endpoint=http://", "s3.endpoint=ftp://"), "MR4003"),
    (lambda uri: uri + "&s3.regoin=x", "MR4003"),
])
def test_a_wrong_place_is_told_at_create(binaries, kafka, tmp_path, mysql97, versitygw, change, code):
    mysql97.execute("DROP DATABASE IF EXISTS s3_bad", "CREATE DATABASE s3_bad", "CREATE TABLE s3_bad.t (k INT PRIMARY KEY)")
    if "s3-bad" not in [b["Name"] for b in s3.client(versitygw.endpoint).list_buckets()["Buckets"]]:
        s3.make_bucket(versitygw, "s3-bad")
    lake = S3Lakehouse(tmp_path / "lake", versitygw, "s3-bad")
    lake.uri = change(lake.uri)
    with Deployment(binaries, kafka, tmp_path) as d:
        with pytest.raises(CommandFailed) as failed:
            d.create("s3_bad", mysql97, lake, databases="s3_bad")
        assert code in failed.value.err and "Remedy" in failed.value.err
        assert "testtest" not in failed.value.err


@pytest.mark.slow
def test_a_service_that_fails_loses_and_doubles_nothing(binaries, kafka, tmp_path, mysql97, versitygw):
    """Lost answers, bursts, cut connections: all at once, and then the content."""
    r, name = random.Random(new_seed("s3 faults")), "s3_faults"
    bucket = bucket_of(versitygw, name)
    with s3.Proxy(versitygw.endpoint) as proxy, Deployment(binaries, kafka, tmp_path, QUICK) as d:
        work = S3Work(d, name, mysql97, S3Lakehouse(tmp_path / "lake", versitygw, bucket, proxy.endpoint, PARTS), 300)
        with Writers(mysql97, work.ladder, work.bank, pause=0.01):
            end = time.monotonic() + 90
            while proxy.hit < 30 and time.monotonic() < end:
                kind = r.choice([(503, "SlowDown"), (500, "InternalError"), "lost", "refused", "half", "cut", ("slow", 50000)])
                proxy.fail(r.choice(["PUT", "GET", "POST", "DELETE"]), kind, times=r.randrange(1, 4), skip=r.randrange(3))
                time.sleep(0.1)
            proxy.heal()
            work.goes_on("apply goes on")
        assert proxy.hit >= 30, "too few requests failed"
        work.check()


@pytest.mark.slow
def test_a_service_that_stays_away_is_told_and_goes_on_when_it_is_back(binaries, kafka, tmp_path, mysql97, versitygw):
    name = "s3_away"
    bucket = bucket_of(versitygw, name)
    with s3.Proxy(versitygw.endpoint) as proxy, Deployment(binaries, kafka, tmp_path, QUICK) as d:
        work = S3Work(d, name, mysql97, S3Lakehouse(tmp_path / "lake", versitygw, bucket, proxy.endpoint), 100)
        for kind, code in ((503, "SlowDown"), "MR3020"), ((403, "RequestTimeTooSkewed"), "MR3092"):
            proxy.fail(None, kind, times=None)
            run_steps(work.ladder, mysql97, 1)
            d.wait(lambda: code in str(d.show(work.task)) or code in work.apply.log, f"{code} is told")
            assert d.show(work.task)["state"] == "running"
            proxy.heal()
        proxy.fail(None, (403, "AccessDenied"), times=None)
        run_steps(work.ladder, mysql97, 1)
        d.wait(lambda: "MR3021" in str(d.show(work.task)), "MR3021 is told")
        proxy.heal()
        d.verb("resume", work.task)
        work.check()


def failpoints():
    found = subprocess.run(["git", "grep", "-hoE", r'FAULT\("[^"]+"\)', "--", "lake/storage_s3.c"], cwd=ROOT,
                           capture_output=True, text=True, check=True).stdout
    return sorted(set(re.findall(r'"([^"]+)"', found)))


@pytest.mark.parametrize("name", [n if n == "lake.storage.before_complete" else pytest.param(n, marks=pytest.mark.slow)
                                  for n in failpoints()])
def test_death_within_an_object_leaves_nothing_that_a_reader_sees(binaries, kafka, tmp_path, mysql97, versitygw, name):
    database = "s3_dies"
    bucket = bucket_of(versitygw, name.replace(".", "-"))
    mysql97.execute(f"DROP DATABASE IF EXISTS {database}", f"CREATE DATABASE {database}")
    large_rows(mysql97, database, [0])
    lake = S3Lakehouse(tmp_path / "lake", versitygw, bucket, parameters=PARTS)
    with Deployment(binaries, kafka, tmp_path, QUICK) as d:
        _, worker = d.start_both()
        task = d.create(database, mysql97, lake, databases=database)
        equal(d, task, lake, mysql97, [f"{database}.large"], duck=False)
        worker.kill()
        large_rows(mysql97, database, range(1, 13))
        worker.start(fault=name)
        d.wait(lambda: died(worker, 1), f"the death at {name}")
        assert worker.process.poll() == -signal.SIGKILL and f"name={name}" in worker.log
        names, rows = lake.read(f"{database}.large")
        assert names == ["k", "v"] and set(rows) <= set(read_source(mysql97, database, "large")[1])
        if "part" in name or "before_complete" in name:
            key, = s3.uploads(versitygw, bucket)
            assert key not in s3.keys(versitygw, bucket)
        worker.start()
        equal(d, task, lake, mysql97, [f"{database}.large"], 90, duck=False)
        check_ranges(lake, f"{database}.large", task)
