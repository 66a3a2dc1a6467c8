"""lake/ on a REST catalog: PyIceberg's client checks the server, then our commits meet its faults."""

import pyarrow
import pytest

from lib.lake import Driver, Duck, Refused, Warehouse, read_pyiceberg
from lib.rest_catalog import RestCatalog
from test_lake import NARROW, driver  # noqa: F401, a fixture

CATALOG_UNREACHABLE, CATALOG_REFUSED, CATALOG_MISSING, CATALOG_EXISTS, BASE_CHANGED = 3026, 3027, 3028, 3029, 3046


@pytest.fixture
def folder(work, request):
    return Warehouse(work / "rest" / request.node.name.replace("[", "-").rstrip("]")).folder


def append(d, number, **more):
    return d.run(op="commit", files=[{"rows": [[number, f"v{number}"]]}], properties={"millrace.t": str(number)},
                 base=["millrace.t", str(number - 1) if number else None], **more)


def check(catalog, rows, duck=True):
    """Rows once each, by two readers; one snapshot a row."""
    table = catalog.pyiceberg().load_table("ns.t")
    wanted = [(n, f"v{n}") for n in range(rows)]
    snapshot = table.current_snapshot().snapshot_id
    assert sorted(read_pyiceberg(table, snapshot)[1]) == wanted
    assert sorted(Duck().read(table.metadata_location, snapshot)[1]) == wanted
    assert [s.summary["millrace.t"] for s in table.snapshots()] == [str(n) for n in range(rows)]


def test_the_server_of_these_tests_serves_pyicebergs_own_client(folder):
    with RestCatalog(folder) as catalog:
        client = catalog.pyiceberg()
        client.create_namespace("ns")
        data = pyarrow.table({"id": pyarrow.array([1, 2], pyarrow.int64())})
        table = client.create_table("ns.t", schema=data.schema)
        table.append(data)
        table.append(data)
        assert client.load_table("ns.t").scan().to_arrow().num_rows == 4


@pytest.mark.parametrize("idempotent", [False, True])
@pytest.mark.parametrize("version", [2, 3])
def test_every_batch_is_there_once_whatever_the_catalog_does_to_a_commit(driver, folder, version, idempotent):  # noqa: F811
    with RestCatalog(folder, idempotent=idempotent) as catalog, Driver(driver, catalog.uri) as d:
        d.run(op="create", table=["ns", "t"], version=version, schema=NARROW)
        number = 0
        for fault in [None, "lost-reply", "error-after", "error-before", "late", "twice", None]:
            if fault:
                catalog.fault(fault)
            append(d, number)
            number += 1
        for faults in (["error-before", "late"], ["late", "lost-reply"], ["error-after", "twice"]):
            catalog.fault(*faults)
            append(d, number)
            catalog.faults.clear()
            number += 1
        check(catalog, number)
        assert catalog.counts["commits"] == number
        assert (catalog.counts["replayed"] > 0) == idempotent


def test_a_token_that_the_catalog_no_longer_takes_is_fetched_anew(driver, folder):  # noqa: F811
    with RestCatalog(folder) as catalog, Driver(driver, catalog.uri) as d:
        d.run(op="create", table=["ns", "t"], version=3, schema=NARROW)
        append(d, 0)
        catalog.expire_tokens()
        append(d, 1)
        assert catalog.counts["tokens"] == 2
        check(catalog, 2)


def test_a_table_that_did_not_change_is_not_sent_again(driver, folder):  # noqa: F811
    with RestCatalog(folder) as catalog, Driver(driver, catalog.uri) as d:
        d.run(op="create", table=["ns", "t"], version=3, schema=NARROW)
        append(d, 0)
        first = d.run(op="show")
        assert d.run(op="show") == first
        assert catalog.counts["not-modified"] >= 1
        append(d, 1)
        assert d.run(op="show")["properties"]["millrace.t"] == "1"


def test_a_lost_race_a_zombie_and_a_table_that_exists_are_told_apart(driver, folder):  # noqa: F811
    with RestCatalog(folder) as catalog, Driver(driver, catalog.uri) as a, Driver(driver, catalog.uri) as b:
        a.run(op="create", table=["ns", "t"], version=3, schema=NARROW)
        with pytest.raises(Refused) as refused:
            b.run(op="create", table=["ns", "t"], version=3, schema=NARROW)
        assert refused.value.code == CATALOG_EXISTS
        with pytest.raises(Refused) as refused:
            b.run(op="open", table=["ns", "u"])
        assert refused.value.code == CATALOG_MISSING
        b.run(op="open", table=["ns", "t"])
        append(a, 0)
        # Built on what it saw before: the catalog refuses, the base property decides.
        with pytest.raises(Refused) as refused:
            append(b, 0, reload=False)
        assert refused.value.code == BASE_CHANGED
        b.run(op="reload")
        append(a, 1)
        b.run(op="commit", claim=True, reload=False, properties={"other": "x"})
        assert catalog.counts["conflicts"] == 2
        assert sorted(r[0] for r in read_pyiceberg(catalog.pyiceberg().load_table("ns.t"), None)[1]) == [0, 1]


def test_a_catalog_is_reached_by_tls_and_known_by_its_certificate(driver, folder):  # noqa: F811
    with RestCatalog(folder, tls=True) as catalog:
        with Driver(driver, f"{catalog.uri}&tls=verify&ca={catalog.ca}") as d:
            d.run(op="create", table=["ns", "t"], version=3, schema=NARROW)
            append(d, 0)
        for wrong in ("", "&tls=on"):
            with Driver(driver, catalog.uri + wrong) as d, pytest.raises(Refused) as refused:
                d.answer()
            assert refused.value.code == CATALOG_UNREACHABLE
        assert catalog.counts["commits"] == 1


def test_column_ids_are_those_we_gave_whatever_the_catalog_would_number(driver, folder):  # noqa: F811
    fields = [{"id": 7, "name": "id", "type": "long", "required": True}, {"id": 3, "name": "v", "type": "string", "required": False}]
    with RestCatalog(folder) as catalog, Driver(driver, catalog.uri) as d:
        d.run(op="create", table=["ns", "t"], version=2, schema={**NARROW, "fields": fields, "identifier-field-ids": [7]})
        append(d, 0)
        assert [f.field_id for f in catalog.pyiceberg().load_table("ns.t").schema().fields] == [7, 3]
        check(catalog, 1)


def test_wrong_credentials_are_named_and_nothing_is_written(driver, folder):  # noqa: F811
    with RestCatalog(folder) as catalog:
        with Driver(driver, catalog.uri.replace("millrace:", "nobody:")) as d:
            with pytest.raises(Refused) as refused:
                d.answer()
        assert refused.value.code == CATALOG_REFUSED
        assert catalog.tables == {}
