"""Further readers of Iceberg tables, each with an environment of its own, made when first asked for: polars, and
ClickHouse as chDB (format 2 only: it refuses deletion vectors). This file is also the program that runs in there."""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

PACKAGES = {"polars": ["polars==2.1.0", "pyiceberg[pyarrow]==0.12.0", "pyarrow==26.0.1"],
            "clickhouse": ["chdb==4.4.0", "pyarrow==26.0.1", "pandas==2.3.3"]}


def prepare(reader):
    """Its Python."""
    cache = Path(os.environ.get("MILLRACE_CACHE") or Path.home() / ".cache" / "millrace")
    packages = PACKAGES[reader]
    home = cache / f"{reader}-{hashlib.sha256(' '.join(packages).encode()).hexdigest()[:12]}"
    home.mkdir(parents=True, exist_ok=True)
    with open(home / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / ".done").exists():
            subprocess.run([sys.executable, "-m", "venv", home / "venv"], check=True)
            subprocess.run([home / "venv/bin/pip", "install", "--quiet", "--disable-pip-version-check", *packages], check=True)
            (home / ".done").touch()
    return home / "venv/bin/python"


def read(reader, metadata, snapshots):
    """[(names, rows)] of the snapshots, cells as in lib.lake. metadata: location of the table's metadata.json."""
    done = subprocess.run([prepare(reader), __file__, reader, metadata, *map(str, snapshots)], stdout=subprocess.PIPE, text=True,
                          check=True, timeout=600, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])})
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    return [(a["names"], [tuple(row) for row in a["rows"]]) for a in answers]


def read_polars(metadata, snapshot):
    import polars
    os.environ["POLARS_ICEBERG_PLANNER"] = "pyiceberg"
    frame = polars.scan_iceberg(metadata, snapshot_id=snapshot).collect()
    return frame.columns, frame.rows()


def read_clickhouse(metadata, snapshot):
    import chdb
    os.chdir("/")  # it reads files below there only
    folder = metadata.removeprefix("file://").split("/metadata/")[0]  # it takes the newest metadata.json there
    binary = binary_columns(metadata, snapshot)
    table = chdb.query(f"SELECT * FROM icebergLocal('{folder}') SETTINGS iceberg_snapshot_id = {snapshot}, "
                       "output_format_arrow_string_as_string = 0", "ArrowTable")
    columns = [[v.decode() if isinstance(v, bytes) and name not in binary else v for v in table.column(k).to_pylist()]
               for k, name in enumerate(table.column_names)]
    return table.column_names, list(zip(*columns))


def binary_columns(metadata, snapshot):
    """Names of those that are bytes: ClickHouse has one type for these and for texts."""
    document = json.loads(Path(metadata.removeprefix("file://")).read_text())
    number, = (s["schema-id"] for s in document["snapshots"] if s["snapshot-id"] == snapshot)
    schema, = (s for s in document["schemas"] if s["schema-id"] == number)
    return {f["name"] for f in schema["fields"] if f["type"] == "uuid" or f["type"].startswith(("binary", "fixed"))}


def main(reader, metadata, *snapshots):
    from lib.lake import cell
    for snapshot in snapshots:
        names, rows = {"polars": read_polars, "clickhouse": read_clickhouse}[reader](metadata, int(snapshot))
        print(json.dumps({"names": names, "rows": [[cell(v) for v in row] for row in rows]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
