"""Spark with Iceberg's Java library (the reference implementation), in an environment of its own in the cache folder.

As a program: reads snapshots of tables in a SQLite catalog, or asks a timed question, a line of JSON each.
"""

import fcntl
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

SPARK, ICEBERG, SQLITE = "4.1.4", "1.12.0", "3.54.1.0"
JARS = [f"org.apache.iceberg:iceberg-spark-runtime-4.1_2.13:{ICEBERG}", f"org.xerial:sqlite-jdbc:{SQLITE}"]


def prepare():
    """(its Python, its jars), made when first asked for."""
    cache = Path(os.environ.get("MILLRACE_CACHE") or Path.home() / ".cache" / "millrace")
    home = cache / f"spark-{SPARK}-{ICEBERG}"
    home.mkdir(parents=True, exist_ok=True)
    with open(home / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / ".done").exists():
            subprocess.run([sys.executable, "-m", "venv", home / "venv"], check=True)
            subprocess.run([home / "venv/bin/pip", "install", "--quiet", f"pyspark=={SPARK}"], check=True)
            for jar in JARS:
                subprocess.run(["mvn", "-q", "-B", "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy",
                                f"-Dartifact={jar}", f"-DoutputDirectory={home}/jars"], check=True)
            (home / ".done").touch()
    return home / "venv/bin/python", sorted((home / "jars").glob("*.jar"))


def answers_of(database, warehouse, **work):
    """What the program says."""
    python, jars = prepare()
    work |= {"jars": ",".join(map(str, jars)), "database": str(database), "warehouse": warehouse}
    done = subprocess.run([python, __file__, json.dumps(work)], stdout=subprocess.PIPE, text=True, check=True, timeout=900,
                          env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])})
    return iter([json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")])


def timed(database, warehouse, question, warm, times):
    """(answer, seconds) of a question (SQL) by one thread: the median of those behind the warm ones."""
    said = next(answers_of(database, warehouse, question=question, warm=warm, times=times))
    return tuple(said["answer"]), said["seconds"]


def read_tables(database, warehouse, tables, statements=(), tries=1):
    """{table: [(names, rows)]} of the snapshots in `tables` {table: snapshots}, cells as in lib.lake, by one start of Spark.
    The statements (SQL) run first, each as often as `tries` while it fails (another writer's commit came first); "main"
    among the snapshots is the table's present state."""
    answers = answers_of(database, warehouse, statements=list(statements), tries=tries, tables=tables)
    found = {table: [next(answers) for _ in snapshots] for table, snapshots in tables.items()}
    return {table: [(a["names"], [tuple(row) for row in a["rows"]]) for a in of] for table, of in found.items()}


def read(database, warehouse, table, snapshots, statements=(), tries=1):
    """[(names, rows)] of one table's snapshots; {t} in the statements is the table."""
    statements = [statement.format(t=f"millrace.{table}") for statement in statements]
    return read_tables(database, warehouse, {table: list(snapshots)}, statements, tries)[table]


def run(spark, statement, tries):
    begin = time.monotonic()
    for n in range(1, tries + 1):
        try:
            spark.sql(statement).collect()
            print(f"done at try {n}, {time.monotonic() - begin:.1f} s: {statement}", file=sys.stderr)
            return
        except Exception as error:
            if n == tries:
                raise
            why = next((line for line in str(error).splitlines() if "Exception" in line), str(error))
            print(f"again: {why[:300]}", file=sys.stderr)


def session(work):
    from pyspark.sql import SparkSession

    catalog = "spark.sql.catalog.millrace"
    settings = {"spark.jars": work["jars"], "spark.ui.enabled": "false", "spark.driver.bindAddress": "127.0.0.1",
                "spark.driver.host": "127.0.0.1", "spark.sql.session.timeZone": "UTC",
                "spark.sql.shuffle.partitions": "1", "spark.ui.showConsoleProgress": "false",
                "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
                catalog: "org.apache.iceberg.spark.SparkCatalog", f"{catalog}.type": "jdbc",
                f"{catalog}.uri": f"jdbc:sqlite:file:{work['database']}", f"{catalog}.warehouse": work["warehouse"],
                f"{catalog}.jdbc.schema-version": "V1", f"{catalog}.cache-enabled": "false"}
    spark = SparkSession.builder.master("local[1]")
    for key, value in settings.items():
        spark = spark.config(key, value)
    spark = spark.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def ask(spark, work):
    times = []
    for _ in range(work["warm"] + work["times"]):
        begin = time.monotonic()
        answer = list(spark.sql(work["question"]).collect()[0])
        times.append(time.monotonic() - begin)
    print(json.dumps({"answer": answer, "seconds": statistics.median(times[work["warm"]:])}))


def read_all(spark, work):
    from lib.lake import cell

    for statement in work["statements"]:
        run(spark, statement, work["tries"])
    for table, snapshots in work["tables"].items():
        for snapshot in snapshots:
            version = "" if snapshot == "main" else f" VERSION AS OF {snapshot}"
            frame = spark.sql(f"SELECT * FROM millrace.{table}{version}")
            print(json.dumps({"names": frame.columns, "rows": [[cell(v) for v in row] for row in frame.collect()]}))


def main(work):
    spark = session(work)
    (ask if "question" in work else read_all)(spark, work)
    spark.stop()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
