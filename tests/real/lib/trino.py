"""Trino as a reader of Iceberg tables, put together from Maven Central (its server's archive is not there): 540 MB, kept in
the cache. It needs a JDK 25 (MILLRACE_JDK25, or one in /usr/lib/jvm); Debian 12 has none."""

import base64
import datetime
import fcntl
import glob
import json
import os
import shutil
import subprocess
import urllib.request
import uuid
import zipfile
from decimal import Decimal
from pathlib import Path

from lib.lake import cell
from stack import Ports, wait_until

TRINO, SQLITE = "483", "3.54.1.0"
PARTS = {"trino-main": "lib", "trino-iceberg": "plugin/iceberg", "trino-hdfs": "plugin/iceberg/hdfs"}
POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>x</groupId>
<artifactId>x</artifactId><version>1</version><dependencies><dependency><groupId>io.trino</groupId><artifactId>{}</artifactId>
<version>{}</version></dependency></dependencies></project>"""
MAIN = 'public class Main { public static void main(String[] a) { new io.trino.server.Server().start("%s"); } }' % TRINO
CATALOG = """connector.name=iceberg
iceberg.catalog.type=jdbc
iceberg.jdbc-catalog.catalog-name=millrace
iceberg.jdbc-catalog.driver-class=org.sqlite.JDBC
iceberg.jdbc-catalog.connection-url=jdbc:sqlite:file:{database}
iceberg.jdbc-catalog.default-warehouse-dir={warehouse}
iceberg.jdbc-catalog.schema-version=V0
fs.hadoop.enabled=true
"""
START_SECONDS = 600


def jdk():
    """Home of a JDK 25; None: there is none."""
    found = [os.environ.get("MILLRACE_JDK25"), *glob.glob("/usr/lib/jvm/*25*")]
    return next((home for home in found if home and os.access(f"{home}/bin/javac", os.X_OK)), None)


def copy_jars(home, pom, *arguments):
    maven = ["mvn", "-q", "-B", "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:" + arguments[0], *arguments[1:]]
    subprocess.run(maven, check=True, cwd=pom or home, env={**os.environ, "JAVA_HOME": jdk()}, stderr=subprocess.DEVNULL)


def prepare():
    """The folder with its jars, made when first asked for."""
    cache = Path(os.environ.get("MILLRACE_CACHE") or Path.home() / ".cache" / "millrace")
    home = cache / f"trino-{TRINO}"
    home.mkdir(parents=True, exist_ok=True)
    with open(home / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / ".done").exists():
            for part, folder in PARTS.items():
                (home / "pom" / part).mkdir(parents=True, exist_ok=True)
                (home / "pom" / part / "pom.xml").write_text(POM.format(part, TRINO))
                copy_jars(home, home / "pom" / part, "copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={home / folder}")
            copy_jars(home, None, "copy", f"-Dartifact=org.xerial:sqlite-jdbc:{SQLITE}", f"-DoutputDirectory={home}/plugin/iceberg")
            with zipfile.ZipFile(home / "plugin/iceberg/services.jar", "w") as services:  # Central's jar lacks it
                services.writestr("META-INF/services/io.trino.spi.Plugin", "io.trino.plugin.iceberg.IcebergPlugin\n")
            (home / "Main.java").write_text(MAIN)
            (home / ".done").touch()
    return home


class Trino:
    """A server over warehouses by name; `with Trino(folder, lake=warehouse) as t: t.read("lake.ns.t", snapshot)`."""

    def __init__(self, folder, **warehouses):
        self.folder, self.port, self.process = Path(folder), Ports.take(), None
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "catalog").mkdir(parents=True)
        (self.folder / "config.properties").write_text(
            f"coordinator=true\nnode-scheduler.include-coordinator=true\nhttp-server.http.port={self.port}\n"
            f"discovery.uri=http://127.0.0.1:{self.port}\ncatalog.management=static\n")
        (self.folder / "log.properties").write_text("io.trino=WARN\n")
        for name, warehouse in warehouses.items():
            (self.folder / f"catalog/{name}.properties").write_text(
                CATALOG.format(database=warehouse.database, warehouse=warehouse.location))

    def __enter__(self):
        home = prepare()
        settings = {"node.environment": "test", "node.id": "n1", "node.internal-address": "127.0.0.1", "node.bind-ip": "127.0.0.1",
                    "config": self.folder / "config.properties", "log.levels-file": self.folder / "log.properties",
                    "node.data-dir": self.folder / "data", "plugin.dir": home / "plugin",
                    "catalog.config-dir": self.folder / "catalog", "jdk.attach.allowAttachSelf": "true"}
        with open(self.folder / "log", "w") as log:
            self.process = subprocess.Popen(
                [f"{jdk()}/bin/java", "-Xmx1500m", "--add-modules=jdk.incubator.vector", *(f"-D{k}={v}" for k, v in settings.items()),
                 "--sun-misc-unsafe-memory-access=allow", "--enable-native-access=ALL-UNNAMED", "-cp", f"{home}/lib/*",
                 home / "Main.java"], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_until(self.ready, START_SECONDS, f"Trino ({self.folder}/log)")
        except BaseException:
            self.__exit__()
            raise
        return self

    def ready(self):
        assert self.process.poll() is None, f"Trino ended: {self.folder}/log"
        try:
            return self.query("SELECT 1")
        except (OSError, Starting):
            return False

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(30)

    def query(self, sql):
        """(columns [(name, type)], rows) by the plain statement protocol."""
        headers = {"X-Trino-User": "t", "X-Trino-Time-Zone": "UTC",
                   "X-Trino-Client-Capabilities": "PARAMETRIC_DATETIME"}
        ask = urllib.request.Request(f"http://127.0.0.1:{self.port}/v1/statement", sql.encode(), headers)
        columns, rows = [], []
        while ask:
            answer = json.load(urllib.request.urlopen(ask, timeout=300))
            if "error" in answer:
                kind = Starting if answer["error"]["errorName"] == "SERVER_STARTING_UP" else RuntimeError
                raise kind(answer["error"]["message"])
            columns = answer.get("columns") or columns
            rows += answer.get("data") or []
            ask = answer.get("nextUri")
        return [(c["name"], c["type"]) for c in columns], rows

    def read(self, table, snapshot):
        """(names, rows), cells as in lib.lake."""
        columns, rows = self.query(f"SELECT * FROM {table} FOR VERSION AS OF {snapshot}")
        return [name for name, _ in columns], [tuple(value(v, t) for v, (_, t) in zip(row, columns)) for row in rows]


class Starting(Exception):
    pass


def value(v, kind):
    """A value of its JSON as the readers' Python has it."""
    if v is None or isinstance(v, bool):
        return cell(v)
    if kind.startswith("decimal"):
        return cell(Decimal(v))
    if kind == "date":
        return cell(datetime.date.fromisoformat(v))
    if kind.startswith("timestamp"):
        return cell(datetime.datetime.fromisoformat(v.replace(" UTC", "+00:00")))
    if kind.startswith("time"):
        return cell(datetime.time.fromisoformat(v))
    if kind in ("double", "real"):
        return cell(float(v))
    if kind == "uuid":
        return cell(uuid.UUID(v))
    return base64.b64decode(v).hex() if kind == "varbinary" else cell(v)
