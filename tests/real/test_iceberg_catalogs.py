"""The lakehouse behind REST and SQL servers: what PyIceberg reads through the catalog, and DuckDB from its files, is
what the source has, whatever happens to a commit on its way."""

import json
import random
import time
from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from lib import s3
from lib.catalogs import RestLake, SqlLake, Thief, lake_at
from lib.deploy import CommandFailed, Deployment
from lib.lakehouse import check_ranges, equal
from lib.rest_catalog import SECRET, RestCatalog
from lib.workload import Writers, new_seed
from test_iceberg import QUICK, plain_table, prepare, tables_of


def look_with_the_command(d, lake, task, table):
    """What the operator sees is what PyIceberg sees. Equal rows are not yet the last commit: it looks until none comes between."""
    while True:
        before = lake.load(table)
        shown, files, history = (json.loads(d.command("iceberg", verb, table, "--sink-uri", lake.uri).stdout)
                                 for verb in ("show", "files", "history"))
        loaded = lake.load(table)
        if loaded.metadata_location == before.metadata_location:
            break
    assert shown["task"] == task.id and shown["uuid"] == str(loaded.metadata.table_uuid)
    assert shown["current-snapshot"] == loaded.current_snapshot().snapshot_id
    assert sum(f["rows"] - f["deleted"] for f in files) == len(lake.read(table)[1])
    assert [h["id"] for h in history] == [s.snapshot_id for s in loaded.snapshots()]


@pytest.mark.parametrize("idempotent, version", [(True, 3), pytest.param(False, 2, marks=pytest.mark.slow)])
def test_a_live_database_arrives_through_a_rest_catalog_with_faults(binaries, kafka, tmp_path, mysql97, idempotent, version):
    name = f"rest_v{version}"
    ladder, bank = prepare(mysql97, name, 400)
    with RestCatalog(tmp_path / "rest", idempotent=idempotent, life=4) as catalog:
        lake = RestLake(tmp_path / "lake", catalog)
        settings = {**QUICK, "iceberg.format.version": version, "iceberg.commit.ms": 200}
        with Deployment(binaries, kafka, tmp_path, settings) as d:
            d.start_both()
            with Writers(mysql97, ladder, bank, pause=0.005), catalog.trouble(random.Random(new_seed("faults"))):
                task = d.create(name, mysql97, lake, databases=name)
                d.wait_state(task, phase="Incremental Sync")
                d.wait(lambda: catalog.counts["faults"] > 15, "15 faults", 120)
            equal(d, task, lake, mysql97, tables_of(name), 120)
            for table in tables_of(name):
                assert check_ranges(lake, table, task) > 0
            look_with_the_command(d, lake, task, f"{name}.ladder")
            assert (catalog.counts["replayed"] > 0) == idempotent
            assert catalog.counts["tokens"] > 3 and catalog.counts["not-modified"] > 0


@pytest.mark.parametrize("kind, theirs", [("pg15", True), pytest.param("mysql97", False, marks=pytest.mark.slow)])
def test_a_live_database_arrives_through_a_sql_server_whose_commits_are_lost(binaries, kafka, tmp_path, mysql97, request, kind,
                                                                             theirs):
    name = f"sql_{kind}"
    ladder, bank = prepare(mysql97, name, 400)
    server = request.getfixturevalue(kind)
    thief = Thief(server.port)
    lake = SqlLake(tmp_path / "lake", server, f"catalog_{kind}", port=thief.port, theirs=theirs)
    with Deployment(binaries, kafka, tmp_path, {**QUICK, "iceberg.commit.ms": 200}) as d:
        d.start_both()
        with Writers(mysql97, ladder, bank, pause=0.005):
            task = d.create(name, mysql97, lake, databases=name)
            d.wait_state(task, phase="Incremental Sync")
            for what in ("after", "before") * 3 + ("after after", "before after"):
                stolen = thief.stolen + len(what.split())
                thief.steal(*what.split())
                d.wait(lambda: thief.stolen == stolen, f"the commit is stolen: {what}")
                thief.cut()
        equal(d, task, lake, mysql97, tables_of(name), 120)
        for table in tables_of(name):
            assert check_ranges(lake, table, task) > 0
        look_with_the_command(d, lake, task, f"{name}.ladder")
        thief.close()
        thief.open()  # idle connections ended: that is not an error
        equal(d, task, lake, mysql97, tables_of(name))
    thief.close()


@pytest.fixture
def lake_of(request, tmp_path):
    """A lakehouse behind a catalog of that kind."""
    with ExitStack() as stack:
        yield lambda kind, name: stack.enter_context(lake_at(kind, tmp_path, request, name))


SERVERS = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("rest", "icebergrest", "pg15", "mysql97")]


@pytest.mark.parametrize("kind", SERVERS)
def test_definitions_and_a_restart_keep_field_ids_in_every_catalog(binaries, kafka, tmp_path, mysql97, lake_of, kind):
    name = f"ids_{kind}"
    plain_table(mysql97, name)
    lake = lake_of(kind, name)

    def ids():
        return {f.name: f.field_id for f in lake.load(f"{name}.t").schema().fields}
    with Deployment(binaries, kafka, tmp_path, {**QUICK, "iceberg.format.version": 2}) as d:
        d.start_both()
        task = d.create(name, mysql97, lake, databases=name)
        equal(d, task, lake, mysql97, [f"{name}.t"])
        first = ids()
        mysql97.execute(f"ALTER TABLE {name}.t ADD COLUMN c INT", f"INSERT INTO {name}.t VALUES (100, 1, 'x', 2, 1, 7)",
                        f"ALTER TABLE {name}.t DROP COLUMN c", f"INSERT INTO {name}.t VALUES (101, 1, 'x', 2, 1)")
        equal(d, task, lake, mysql97, [f"{name}.t"])
        loaded = lake.load(f"{name}.t")
        assert ids() == first and loaded.current_snapshot().schema_id in {s.schema_id for s in loaded.metadata.schemas}
        mysql97.execute(f"ALTER TABLE {name}.t DROP COLUMN a", f"INSERT INTO {name}.t VALUES (102, 'x', 2, 1)")
        equal(d, task, lake, mysql97, [f"{name}.t"])
        del first["a"]
        assert ids() == first, "the columns are not numbered anew"
        uuid, last = lake.load(f"{name}.t").metadata.table_uuid, lake.load(f"{name}.t").metadata.last_column_id
        d.verb("pause", task)
        mysql97.execute(f"DELETE FROM {name}.t WHERE k < 10")
        d.verb("restart", task, "-y")
        equal(d, task, lake, mysql97, [f"{name}.t"], 90)
        assert ids() == first and lake.load(f"{name}.t").metadata.table_uuid == uuid
        mysql97.execute(f"ALTER TABLE {name}.t ADD COLUMN later VARCHAR(9)", f"UPDATE {name}.t SET later = 'x' WHERE k = 20")
        equal(d, task, lake, mysql97, [f"{name}.t"])
        assert ids()["later"] > last, "the id of a dropped column is not given again"
        look_with_the_command(d, lake, task, f"{name}.t")


WRONG_REST = [
    (lambda uri: uri.replace("millrace:", "nobody:"), "MR3027"),
    (lambda uri: uri.replace("/api?", "/no/such?"), "MR3081"),
    (lambda uri: uri + "&tls=maybe", "MR4003"),
    (lambda uri: uri + "&token=abc", "MR4003"),
    (lambda uri: uri.replace("file:///", "file:///no/such/"), "MR3023"),
    (lambda uri: "iceberg+rest://127.0.0.1:9/x", "MR3026"),
    (lambda uri: "iceberg+file:///x", "MR4013"),
]


def test_a_wrong_rest_catalog_is_told_at_create(binaries, kafka, tmp_path, mysql97):
    plain_table(mysql97, "rest_bad", 1)
    with RestCatalog(tmp_path / "rest") as catalog, Deployment(binaries, kafka, tmp_path) as d:
        for change, code in WRONG_REST:
            refused(d, "rest_bad", mysql97, change(catalog.uri), code)


def refused(d, name, source, uri, code):
    """One coded error with a remedy, no secret in it, and no task."""
    with pytest.raises(CommandFailed) as failed:
        d.create(name, source, SimpleNamespace(sink_type="iceberg", uri=uri), databases=name)
    assert code in failed.value.err and "Remedy" in failed.value.err, failed.value.err
    assert SECRET not in failed.value.err and "wrong-password" not in failed.value.err
    assert name not in d.command("task", "show").stdout


@pytest.mark.parametrize("kind", ["pg15", "mysql97"])
def test_a_wrong_database_is_told_at_create(binaries, kafka, tmp_path, mysql97, request, kind):
    server, name = request.getfixturevalue(kind), f"db_bad_{kind}"
    plain_table(mysql97, name, 1)
    lake = SqlLake(tmp_path / "lake", server, name + "_catalog")
    with Deployment(binaries, kafka, tmp_path) as d:
        for change, code in [
                (lambda uri: uri.replace("test:test@", "test:wrong-password@"), "MR3027"),
                (lambda uri: uri.replace(f"/{name}_catalog?", "/no_such?"), "MR3081"),
                (lambda uri: uri.replace(f":{server.port}/", ":9/"), "MR3026"),
                (lambda uri: uri.replace("driver=", "driver=x"), "MR4003"),
                (lambda uri: uri.replace("driver=", "x="), "MR4003"),
                (lambda uri: uri.replace("warehouse=", "x="), "MR4003"),
                (lambda uri: uri + "&tls=verify", "MR3027")]:
            refused(d, name, mysql97, change(lake.uri), code)
        server.execute("CREATE TABLE iceberg_tables (id INT)", database=f"{name}_catalog")
        refused(d, name, mysql97, lake.uri, "MR3049")


@pytest.mark.slow
def test_a_catalog_that_makes_no_namespace_and_one_that_is_away_are_told(binaries, kafka, tmp_path, mysql97):
    name = "rest_no_space"
    plain_table(mysql97, name, 3)
    with RestCatalog(tmp_path / "rest") as catalog, Deployment(binaries, kafka, tmp_path, QUICK) as d:
        lake = RestLake(tmp_path / "lake", catalog)
        catalog.closed = True
        d.start_both()
        task = d.create(name, mysql97, lake, databases=name)
        d.wait(lambda: "MR3082" in str(d.show(task)), "the task's error")
        catalog.namespaces |= {name, "millrace"}
        d.verb("resume", task)
        equal(d, task, lake, mysql97, [f"{name}.t"])
        catalog.away = True
        mysql97.execute(f"UPDATE {name}.t SET a = -1")
        d.wait(lambda: "MR3026" in str(d.show(task)) or "MR3041" in str(d.show(task)), "the error")
        catalog.away = False
        equal(d, task, lake, mysql97, [f"{name}.t"])


def test_secrets_by_reference_and_a_bearer_token_are_kept_out_of_the_task(binaries, kafka, tmp_path, mysql97):
    name = "rest_bearer"
    plain_table(mysql97, name, 3)
    (tmp_path / "token").write_text("fixed-token\n")
    with RestCatalog(tmp_path / "rest") as catalog:
        catalog.tokens.add("fixed-token")
        lake = RestLake(tmp_path / "lake", catalog)
        lake.uri = catalog.uri.replace(catalog.credentials, f":${{file:{tmp_path}/token}}")
        with Deployment(binaries, kafka, tmp_path, QUICK) as d:
            d.start_both()
            task = d.create(name, mysql97, lake, databases=name)
            equal(d, task, lake, mysql97, [f"{name}.t"])
            look_with_the_command(d, lake, task, f"{name}.t")
            assert "fixed-token" not in str(d.show(task))


def test_credentials_that_come_with_a_table_reach_its_files_and_are_renewed(binaries, kafka, tmp_path, mysql97, versitygw):
    """Nobody but the catalog knows the keys; they are good for less than a minute."""
    name = "rest_vended"
    plain_table(mysql97, name)
    bucket = s3.make_bucket(versitygw, "rest-vended")
    vended = {**s3.options(versitygw), "s3.session-token-expires-at-ms": lambda: int(time.time() * 1000) + 30_000}
    with RestCatalog(tmp_path / "rest", warehouse=f"s3://{bucket}/lake", vended=vended) as catalog:
        lake = RestLake(tmp_path / "lake", catalog)
        with Deployment(binaries, kafka, tmp_path, QUICK) as d:
            d.start_both()
            task = d.create(name, mysql97, lake, databases=name)
            equal(d, task, lake, mysql97, [f"{name}.t"], duck=False)
            mysql97.execute(f"UPDATE {name}.t SET a = -1 WHERE k < 9", f"DELETE FROM {name}.t WHERE k > 30")
            equal(d, task, lake, mysql97, [f"{name}.t"], duck=False)
            look_with_the_command(d, lake, task, f"{name}.t")
            assert catalog.counts["vended"] > catalog.counts["commits"]
            assert versitygw.secret not in str(d.show(task))
        assert any(key.endswith(".parquet") for key in s3.keys(versitygw, bucket))
