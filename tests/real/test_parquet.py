"""Files of our Parquet writer, read by PyArrow and DuckDB: every cell is what the case means, and what the writer says of a
file for its manifest is what Python computes from the values. Each seed is a case."""

import decimal
import math
import os
import random
import uuid
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lib.parquet_cases import Case, Driver, decimal_text

ROOT = Path(__file__).resolve().parents[2]
QUICK, LARGE, MANY = 100, 2, 10000
WIDE = decimal.Context(prec=100)
ARROW = {"boolean": pa.bool_(), "int": pa.int32(), "long": pa.int64(), "float": pa.float32(), "double": pa.float64(),
         "date": pa.date32(), "time": pa.time64("us"), "timestamp": pa.timestamp("us"),
         "timestamptz": pa.timestamp("us", tz="UTC"), "string": pa.string(), "binary": pa.binary()}
AS_INTEGER = {"date": pa.int32(), "time": pa.int64(), "timestamp": pa.int64(), "timestamptz": pa.int64()}
DUCKDB = {"date": "{0} - DATE '1970-01-01'", "time": "epoch_us({0})", "timestamp": "epoch_us({0})", "timestamptz": "epoch_us({0})",
          "decimal": "CAST({0} AS VARCHAR)", "uuid": "CAST({0} AS VARCHAR)"}

LITERALS = {"float": "?::float", "double": "?::double", "date": "DATE '1970-01-01' + ?::int", "uuid": "?::uuid", "int": "?::int",
            "time": "TIME '00:00:00' + to_microseconds(?::bigint)", "timestamp": "make_timestamp(?::bigint)", "long": "?::bigint",
            "timestamptz": "make_timestamptz(?::bigint)"}


@pytest.fixture(scope="module")
def driver():
    folder = Path(os.environ.get("MILLRACE_BUILD", ROOT / "build" / "faults" / "bin")).resolve()
    path = folder.parent / "bench" / "lake_rows"
    if not os.access(path, os.X_OK):
        pytest.fail(f"not built: {path}")
    process = Driver(path)
    yield process
    process.close()


@pytest.fixture(scope="module")
def duck():
    connection = duckdb.connect(config={"threads": 1})
    yield connection
    connection.close()


def same(meant, got):
    if isinstance(meant, float) and isinstance(got, float):
        return math.isnan(meant) and math.isnan(got) or meant == got and math.copysign(1, meant) == math.copysign(1, got)
    return meant == got and type(meant) is type(got)


def compare(case, who, columns):
    for field, meant, got in zip(case.fields, case.columns, columns, strict=True):
        assert len(got) == len(meant), f"{who}: {len(got)} rows, {len(meant)} were written"
        wrong = [k for k, (m, g) in enumerate(zip(meant, got)) if not same(m, g)]
        assert not wrong, f"{who}: {field.name} {field.type}: row {wrong[0]}: {meant[wrong[0]]!r} became {got[wrong[0]]!r}"


def unscaled(value, scale):
    return None if value is None else int(decimal.Decimal(value).scaleb(scale, WIDE))


def arrow_type(field):
    if field.kind == "decimal":
        return pa.decimal128(field.precision, field.scale)
    return ARROW.get(field.kind) or pa.binary(16 if field.kind == "uuid" else field.length)


def arrow_column(field, column):
    kind = field.kind
    if isinstance(column.type, pa.BaseExtensionType):
        assert kind == "uuid" and "uuid" in column.type.extension_name
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], pa.binary(16))
    assert column.type == arrow_type(field), f"{field.name}: {column.type}"
    if kind in AS_INTEGER:
        column = column.cast(AS_INTEGER[kind])
    values = column.to_pylist()
    return [unscaled(v, field.scale) for v in values] if kind == "decimal" else values


def read_arrow(case):
    with pq.ParquetFile(case.path, page_checksum_verification=True) as file:
        table = file.read()
        check_file(case, file)
    for field, found in zip(case.fields, table.schema, strict=True):
        assert found.name == field.name and found.nullable == (not field.required)
        assert found.metadata[b"PARQUET:field_id"] == str(field.id).encode()
    return [arrow_column(f, table.column(k)) for k, f in enumerate(case.fields)]


def check_file(case, file):
    """Row groups, null counts, and no bound within the file that hides a value of its row group."""
    meta, at = file.metadata, 0
    assert meta.num_rows == case.rows
    for g in range(meta.num_row_groups):
        group = meta.row_group(g)
        for k, field in enumerate(case.fields):
            chunk = group.column(k)
            values = case.columns[k][at:at + group.num_rows]
            if field.metrics == "none":
                assert not chunk.is_stats_set
            else:
                assert chunk.statistics.null_count == values.count(None)
            check_statistics(field, chunk.statistics, values)
        at += group.num_rows
    assert at == case.rows


def check_statistics(field, statistics, values):
    there = [v for v in values if v is not None and v == v]
    if statistics is None or not statistics.has_min_max:
        nan = any(v is not None and v != v for v in values)
        assert field.metrics in ("counts", "none") or not there or nan or field.kind in ("string", "binary")
        return
    assert field.metrics not in ("counts", "none") and there
    if field.kind in ("int", "long", "float", "double", "boolean"):
        assert (statistics.min, statistics.max) == (min(there), max(there))
    elif field.kind in ("string", "binary"):
        low, high = (v.encode() if isinstance(v, str) else v for v in (statistics.min, statistics.max))
        assert low <= min(field.single(v) for v in there) and high >= max(field.single(v) for v in there)


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def duck_column(field, values):
    if field.kind == "decimal":
        return [unscaled(v, field.scale) for v in values]
    if field.kind == "uuid":
        return [None if v is None else uuid.UUID(v).bytes for v in values]
    return list(values)


def read_duck(case, duck):
    what = ", ".join(DUCKDB.get(f.kind, "{0}").format(quoted(f.name)) for f in case.fields)
    rows = duck.execute(f"select {what} from read_parquet('{case.path}')").fetchall()
    return [duck_column(f, [row[k] for row in rows]) for k, f in enumerate(case.fields)]


def check_filters(case, duck, rng):
    """A reader that skips row groups by statistics and bloom filters finds each value as often as it is there."""
    for field, values in zip(case.fields, case.columns):
        there = [v for v in values if v is not None and v == v]
        for value in [*rng.sample(there, min(1, len(there))), field.value(rng)]:
            if value != value:
                continue
            what = LITERALS.get(field.kind, "?")
            parameter = str(uuid.UUID(bytes=value)) if field.kind == "uuid" else value
            if field.kind == "decimal":
                what, parameter = f"?::decimal({field.precision}, {field.scale})", decimal_text(value, field.scale)
            found = duck.execute(f"select count(*) from read_parquet('{case.path}') where {quoted(field.name)} = {what}",
                                 [parameter])
            assert found.fetchone()[0] == there.count(value), f"{field.name} {field.type} = {value!r}"


def check_own_reader(case, driver, rng):
    """Our reader: all columns, some of them in another order, and where a value is."""
    some = rng.sample(range(len(case.fields)), rng.randrange(1, len(case.fields) + 1))
    rows, said = driver.read(case.path, [case.fields[k] for k in some])
    assert said == {"rows": case.rows}, said
    for k, got in zip(some, zip(*rows)):
        field = case.fields[k]
        meant = [field.native(v) for v in case.columns[k]]
        wrong = [r for r, (m, g) in enumerate(zip(meant, got)) if m != g and "nan" not in str(case.columns[k][r])]
        assert not wrong, f"our reader: {field.name} {field.type}: row {wrong[0]}: {meant[wrong[0]]} became {got[wrong[0]]}"
    field, values = case.fields[some[0]], case.columns[some[0]]
    there = [v for v in values if v is not None and v == v]
    for value in [*rng.sample(there, min(1, len(there))), field.value(rng)]:
        if value == value:
            found, _ = driver.find(case, some[0], value)
            assert found == [r for r, v in enumerate(values) if v is not None and field.native(v) == field.native(value)]


def check_manifest(case, said):
    assert said["rows"] == case.rows and said["bytes"] == case.path.stat().st_size and said["zeros"] == case.zeros
    file = pq.ParquetFile(case.path)
    groups = [file.metadata.row_group(g) for g in range(file.metadata.num_row_groups)]
    file.close()
    begins = [g.column(0).dictionary_page_offset or g.column(0).data_page_offset for g in groups]
    assert said["splits"] == begins
    for k, (field, values, column) in enumerate(zip(case.fields, case.columns, said["columns"], strict=True)):
        lower, upper = (None if b is None else b.hex() for b in field.bounds(values))
        assert column["id"] == field.id
        assert column["bytes"] == sum(g.column(k).total_compressed_size for g in groups)
        assert column["values"] == case.rows and column["nulls"] == values.count(None)
        assert column["counts"] == (field.metrics != "none")
        assert column["nans"] == sum(v is not None and v != v for v in values)
        assert (column["lower"], column["upper"]) == (lower, upper), f"{field.name} {field.type}"


def run(case, driver, duck, rng, **more):
    said = driver.write(case, **more)
    assert "error" not in said, said
    compare(case, "PyArrow", read_arrow(case))
    compare(case, "DuckDB", read_duck(case, duck))
    check_filters(case, duck, rng)
    check_manifest(case, said)
    check_own_reader(case, driver, rng)


def run_seed(seed, driver, duck, folder, rows=None):
    rng = random.Random(seed)
    case = Case(rng, folder / f"{seed}.parquet", rows)  # a name of its own: DuckDB remembers footers
    try:
        run(case, driver, duck, rng)
    except Exception as e:
        raise AssertionError(f"seed {seed} ({case.head}): {e}") from e
    case.path.unlink()


def test_random_files_are_read_cell_by_cell(driver, duck, tmp_path):
    for seed in range(QUICK):
        run_seed(seed, driver, duck, tmp_path)


def test_files_of_more_than_65536_rows(driver, duck, tmp_path):
    for seed in range(LARGE):
        run_seed(f"large {seed}", driver, duck, tmp_path, 70000)


@pytest.mark.slow
def test_ten_thousand_random_files(driver, duck, tmp_path):
    begin = int(os.environ.get("SEED", str(QUICK)))
    for seed in range(begin, begin + MANY):
        run_seed(seed, driver, duck, tmp_path)


def arrow_array(field, values):
    if field.kind == "decimal":
        values = [None if v is None else decimal.Decimal(v).scaleb(-field.scale, WIDE) for v in values]
    if field.kind == "uuid":
        return pa.ExtensionArray.from_storage(pa.uuid(), pa.array(values, pa.binary(16)))
    if field.kind in AS_INTEGER:
        return pa.array(values, AS_INTEGER[field.kind]).cast(arrow_type(field))
    return pa.array(values, arrow_type(field))


def write_arrow(case, rng):
    arrays = [arrow_array(f, values) for f, values in zip(case.fields, case.columns)]
    fields = [pa.field(f.name, a.type, not f.required, {"PARQUET:field_id": str(f.id)}) for f, a in zip(case.fields, arrays)]
    pq.write_table(pa.table(arrays, schema=pa.schema(fields)), case.path, store_decimal_as_integer=True,
                   compression=rng.choice(["none", "snappy", "zstd", "lz4", "gzip"]), use_dictionary=rng.random() < 0.7,
                   data_page_size=rng.choice([100, 5000, None]), row_group_size=rng.choice([90, None]),
                   dictionary_pagesize_limit=rng.choice([100, 2000, None]), write_page_checksum=rng.random() < 0.5)


def test_our_reader_reads_files_of_pyarrow(driver, tmp_path):
    for seed in range(60):
        rng = random.Random(f"foreign {seed}")
        case = Case(rng, tmp_path / f"{seed}.parquet")
        write_arrow(case, rng)
        check_own_reader(case, driver, rng)


def test_one_altered_cell_is_seen(driver, duck, tmp_path):
    """The comparison itself: a writer that errs in one cell does not pass."""
    seen = 0
    for seed in range(60):
        rng = random.Random(f"mutant {seed}")
        case = Case(rng, tmp_path / f"{seed}.parquet")
        cells = [(r, c) for r in range(case.rows) for c, f in enumerate(case.fields)
                 if case.columns[c][r] not in (None, "", b"") and f.kind in ("int", "long", "double", "date", "string", "binary")]
        if not cells:
            continue
        said = driver.write(case, alter=rng.choice(cells))
        if "error" in said:
            continue
        for who, columns in (("PyArrow", read_arrow_only(case)), ("DuckDB", read_duck(case, duck))):
            with pytest.raises(AssertionError):
                compare(case, who, columns)
        seen += 1
    assert seen > 20


def read_arrow_only(case):
    table = pq.read_table(case.path)
    return [arrow_column(f, table.column(k)) for k, f in enumerate(case.fields)]
