"""Iceberg tables written by lake/ (tests/bench/lake_driver.c), the truth about them, and independent readers.

    with Driver(binary, uri) as d:
        d.run(op="create", table=["ns", "t"], version=3, schema=SCHEMA)
        t = Truth(SCHEMA); t.append("f1", rows); d.run(op="commit", files=[...])

Cells are in the driver's form everywhere: Iceberg's units, decimals and floats as text, bytes as hex, null None.
"""

import datetime
import decimal
import glob
import json
import os
import re
import subprocess
import uuid
from collections import Counter
from pathlib import Path

EPOCH = datetime.datetime(1970, 1, 1)


class Refused(Exception):
    def __init__(self, answer):
        super().__init__(f"{answer['code']}: {answer['text']}")
        self.code = answer["code"]


class Died(Exception):
    """The driver was killed (by a failpoint)."""


class Driver:
    def __init__(self, program, *arguments, **environment):
        self.process = subprocess.Popen([str(program), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        stderr=None, env={**os.environ, **environment})

    def send(self, **command):
        try:
            self.process.stdin.write(json.dumps(command) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Died from None

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise Died
        answer = json.loads(line)
        if not answer["ok"]:
            raise Refused(answer)
        return answer

    def run(self, **command):
        self.send(**command)
        return self.answer()

    def close(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.wait(timeout=60)
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Warehouse:
    """A folder with the SQLite catalog and the tables."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.database = self.folder / "catalog.db"
        self.location = f"file://{self.folder}/lake"
        self.uri = f"iceberg+sql://{self.database}?warehouse={self.location}"
        self.properties = {}

    def catalog(self):
        """PyIceberg's client of the catalog."""
        from pyiceberg.catalog.sql import SqlCatalog
        return SqlCatalog("millrace", uri=f"sqlite:///{self.database}", warehouse=self.location,
                          **self.properties)

    def pyiceberg(self, table):
        return self.catalog().load_table(table)


class Truth:
    """Live rows of a table: {file: [row or None]}, rows {field id: cell}."""

    def __init__(self, schema):
        self.fields = [dict(f) for f in schema["fields"]]
        self.last_id = max(f["id"] for f in self.fields)
        self.files = {}

    def append(self, name, rows):
        self.files[name] = [{f["id"]: cell for f, cell in zip(self.fields, row)} for row in rows]

    def delete(self, name, positions):
        for position in positions:
            self.files[name][position] = None

    def drop(self, name):
        del self.files[name]

    def change(self, kind, id=None, name=None, type=None, after=None):
        field = next((f for f in self.fields if f["id"] == id), None)
        if kind == "add":
            self.last_id += 1
            self.fields.append({"id": self.last_id, "name": name, "type": type, "required": False})
        elif kind == "drop":
            self.fields.remove(field)
        elif kind == "rename":
            field["name"] = name
        elif kind == "widen":
            field["type"] = type
        elif kind == "move":
            self.fields.remove(field)
            at = next((i + 1 for i, f in enumerate(self.fields) if f["id"] == after), 0)
            self.fields.insert(at, field)

    def names(self):
        return [f["name"] for f in self.fields]

    def rows(self):
        ids = [f["id"] for f in self.fields]
        return [tuple(row.get(i) for i in ids) for rows in self.files.values() for row in rows if row is not None]


UUID_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def cell(value):
    """A reader's value in the driver's form. No text of the tests looks like a UUID."""
    if value is None:
        return None
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, uuid.UUID):
        return value.bytes.hex()
    if isinstance(value, str) and UUID_TEXT.fullmatch(value):
        return value.replace("-", "")
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    if isinstance(value, datetime.datetime):
        if value.tzinfo:
            value = value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
        return (value - EPOCH) // datetime.timedelta(microseconds=1)
    if isinstance(value, datetime.date):
        return (value - EPOCH.date()).days
    if isinstance(value, datetime.time):
        return ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond
    return value


def normal(arrow):
    """(names, rows) of an Arrow table."""
    columns = [[cell(v) for v in arrow.column(i).to_pylist()] for i in range(arrow.num_columns)]
    return arrow.column_names, list(zip(*columns)) if columns else []


class Expected:
    """What a snapshot must read as."""

    def __init__(self, truth):
        self.names, self.rows = truth.names(), Counter(truth.rows())

    def check(self, names, rows, what):
        assert names == self.names, what
        got = Counter(rows)
        lost, more = self.rows - got, got - self.rows
        assert not lost and not more, f"{what}: {sum(lost.values())} rows missing, {sum(more.values())} too many, " \
            f"such as {next(iter(lost), None)} and {next(iter(more), None)}"


def read_pyiceberg(table, snapshot):
    return normal(table.scan(snapshot_id=snapshot).to_arrow())


class Duck:
    """DuckDB with its iceberg extension, from the wheels: no network."""

    def __init__(self, **s3):
        """s3: options of a secret of DuckDB's, if the tables are in S3."""
        import duckdb
        self.connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
        self.connection.execute("SET autoinstall_known_extensions=false; SET autoload_known_extensions=false; "
                                "SET TimeZone='UTC'")
        site = Path(duckdb.__file__).parents[1]
        for name in ("avro", "iceberg", *(["httpfs"] if s3 else [])):
            file, = glob.glob(f"{site}/duckdb_extension_{name}/extensions/*/{name}.duckdb_extension")
            self.connection.execute(f"LOAD '{file}'")
        if s3:
            self.connection.execute("CREATE SECRET (TYPE s3, " + ", ".join(f"{k} '{v}'" for k, v in s3.items()) + ")")

    def read(self, metadata, snapshot):
        return normal(self.connection.execute(
            f"SELECT * FROM iceberg_scan('{metadata}', snapshot_from_id={snapshot}::UBIGINT)").to_arrow_table())

    def count(self, source, *parameters):
        return self.connection.execute(f"SELECT count(*) FROM {source}", list(parameters)).fetchone()[0]
