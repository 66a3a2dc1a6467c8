"""Random tables of lake/, at random snapshots read by PyIceberg and DuckDB, cell by cell; their data files against their
manifests by PyArrow; filters that skip files by bounds find every row. Each seed is a case.

The ten thousand cases come in parts: `./run faults --sw tests/real/test_lake_fuzz.py` goes on at the part that failed."""

import os

import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.conversions import from_bytes
from pyiceberg.expressions import EqualTo, IsNaN, IsNull

from lib import lake_cases
from lib.lake import Driver, Duck, Warehouse, read_pyiceberg

QUICK, LARGE, MANY, PART = 200, 2, 10_000, 500


class Readers:
    """One process of the driver, one catalog and one DuckDB for all cases."""

    def __init__(self, program, folder):
        self.warehouse, self.duck = Warehouse(folder), Duck()
        self.driver = Driver(program, self.warehouse.uri)
        self.catalog = None

    def load(self, name):
        if self.catalog is None:
            self.catalog = SqlCatalog("millrace", uri=f"sqlite:///{self.warehouse.database}", warehouse=self.warehouse.location)
        return self.catalog.load_table(name)


@pytest.fixture(scope="module")
def readers(binaries, tmp_path_factory):
    path = binaries.folder.parent / "bench" / "lake_driver"
    assert os.access(path, os.X_OK), f"{path} is not built"
    both = Readers(path, tmp_path_factory.mktemp("fuzz"))
    yield both
    both.driver.close()


def check_snapshots(table, case, readers):
    """The last one and one of those before."""
    chosen = {len(case.snapshots) - 1, case.rng.randrange(len(case.snapshots))}
    for snapshot, expected in (case.snapshots[k] for k in sorted(chosen)):
        expected.check(*read_pyiceberg(table, snapshot), f"PyIceberg at {snapshot}")
        expected.check(*readers.duck.read(table.metadata_location, snapshot), f"DuckDB at {snapshot}")


def check_summary(table, case):
    live, summary = sum(case.snapshots[-1][1].rows.values()), table.current_snapshot().summary
    assert int(summary["total-records"]) - int(summary["total-position-deletes"]) == live
    assert int(summary["total-data-files"]) == len(case.truth.files)
    assert [s.snapshot_id for s in table.snapshots()] == [s for s, _ in case.snapshots]


def check_files(table):
    """What the manifests say of the data files is what PyArrow finds in them."""
    schema = table.schema()
    for task in table.scan().plan_files():
        path = task.file.file_path.removeprefix("file://")
        with pq.ParquetFile(path) as file:
            assert task.file.record_count == file.metadata.num_rows
            assert task.file.file_size_in_bytes == os.path.getsize(path)
            assert len(task.file.split_offsets) == file.metadata.num_row_groups
            ids = {int(f.metadata[b"PARQUET:field_id"]): k for k, f in enumerate(file.schema_arrow)}
            columns = file.read()
            for field in schema.fields:
                if field.field_id in ids:
                    check_column(task.file, field, columns.column(ids[field.field_id]))


def check_column(file, field, column):
    values = column.to_pylist()
    nulls = (file.null_value_counts or {}).get(field.field_id)
    assert nulls in (None, values.count(None))
    kind = str(field.field_type)
    there = [v.encode() if isinstance(v, str) else v for v in values if v is not None and v == v]
    if kind not in ("string", "binary", "int", "long", "double", "float") or not there:
        return
    for bounds, holds in ((file.lower_bounds, lambda b: b <= min(there)), (file.upper_bounds, lambda b: b >= max(there))):
        if field.field_id in (bounds or {}):
            bound = from_bytes(field.field_type, bounds[field.field_id]) if kind != "binary" else bounds[field.field_id]
            assert holds(bound.encode() if isinstance(bound, str) else bound), f"{kind}: bound {bound!r}"


def check_filters(table, case, readers):
    """By a value of one column: a reader that skips files by their bounds finds every row."""
    at = case.rng.randrange(len(case.truth.fields))
    field = case.truth.fields[at]
    found = lake_cases.count_cells(case.snapshots[-1][1].rows, at)
    column = table.schema().find_field(field["id"])
    quoted = '"' + field["name"] + '"'
    source = f"iceberg_scan('{table.metadata_location}')"
    nulls = table.scan(row_filter=IsNull(field["name"])).to_arrow().num_rows
    assert nulls == found[None] == readers.duck.count(f"{source} WHERE {quoted} IS NULL")
    kind = str(column.field_type)
    if kind in ("float", "double"):
        assert table.scan(row_filter=IsNaN(field["name"])).to_arrow().num_rows == found["nan"]
    values = [v for v in found if v is not None]
    if kind not in ("int", "long", "string") or not values:
        return
    value = case.rng.choice(sorted(values))
    assert table.scan(row_filter=EqualTo(field["name"], value)).to_arrow().num_rows == found[value]
    assert readers.duck.count(f"{source} WHERE {quoted} = ?", value) == found[value]


def check_lineage(table, case, readers):
    rows = sum(case.snapshots[-1][1].rows.values())
    if case.version == 3:
        distinct = f"(SELECT DISTINCT _row_id FROM iceberg_scan('{table.metadata_location}'))"
        assert readers.duck.count(distinct) == rows


def run_seed(seed, readers, large=False):
    try:
        case = lake_cases.make(seed, readers.driver, f"s{seed}".replace(" ", "_"), large)
        table = readers.load(case.name)
        check_snapshots(table, case, readers)
        check_summary(table, case)
        check_files(table)
        check_filters(table, case, readers)
        check_lineage(table, case, readers)
    except Exception as error:
        raise AssertionError(f"seed {seed}: {error}") from error


def test_random_tables_are_read_cell_by_cell(readers):
    for seed in range(QUICK):
        run_seed(seed, readers)


def test_tables_with_positions_above_65536(readers):
    for seed in range(LARGE):
        run_seed(f"large {seed}", readers, large=True)


@pytest.mark.slow
@pytest.mark.parametrize("begin", range(QUICK, QUICK + MANY, PART))
def test_ten_thousand_random_tables(readers, begin):
    for seed in range(begin, begin + PART):
        run_seed(seed, readers)


def test_one_lost_or_altered_row_is_seen(readers):
    """The comparison itself."""
    seen = 0
    for seed in range(12):
        case = lake_cases.make(f"doctored {seed}", readers.driver, f"doctored{seed}")
        snapshot, expected = case.snapshots[-1]
        if not expected.rows:
            continue
        table, row = readers.load(case.name), case.rng.choice(sorted(expected.rows, key=repr))
        for doctor in (lambda: expected.rows.update([row]), lambda: expected.rows.subtract([row]),
                       lambda: expected.rows.update([(*row[:-1], "another")])):
            before = expected.rows.copy()
            doctor()
            for read in (read_pyiceberg(table, snapshot), readers.duck.read(table.metadata_location, snapshot)):
                with pytest.raises(AssertionError):
                    expected.check(*read, "doctored")
            expected.rows = before
        seen += 1
    assert seen > 6
