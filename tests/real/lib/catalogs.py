"""Lakehouses behind other catalogs than a SQLite file; PyIceberg reads through the same catalog."""

from contextlib import contextmanager

from sqlalchemy.exc import ProgrammingError

from lib import s3
from lib.forward import Forward
from lib.lakehouse import Lakehouse, S3Lakehouse
from lib.rest_catalog import RestCatalog


class RestLake(Lakehouse):
    """Behind a REST catalog: RestCatalog (lib.rest_catalog) or the stack's IcebergRest."""

    def __init__(self, folder, server, parameters=""):
        super().__init__(folder)
        self.server, self.client, self.location = server, server.pyiceberg(), server.warehouse
        self.uri = server.uri + parameters
        self.removes_metadata = not isinstance(server, RestCatalog)

    def catalog(self):
        return self.client


class SqlLake(Lakehouse):
    """In a database of a PostgreSQL or MySQL server. port: where Millrace finds it. theirs: PyIceberg makes the tables
    of the catalog, not Millrace."""

    def __init__(self, folder, server, database, port=None, theirs=False, parameters=""):
        from pyiceberg.catalog.sql import SqlCatalog

        super().__init__(folder)
        postgres = server.script.startswith("pg")
        server.execute(f"DROP DATABASE IF EXISTS {database}" + (" WITH (FORCE)" if postgres else ""))
        server.execute(f"CREATE DATABASE {database}")
        where = f"test:test@127.0.0.1:{server.port}/{database}"
        self.uri = (f"iceberg+sql://test:test@127.0.0.1:{port or server.port}/{database}"
                    f"?driver={'postgresql' if postgres else 'mysql'}&warehouse={self.location}{parameters}")
        self.client = SqlCatalog("millrace", uri=f"{'postgresql+psycopg' if postgres else 'mysql+pymysql'}://{where}",
                                 warehouse=self.location, init_catalog_tables=str(theirs).lower())

    def catalog(self):
        return self.client

    def load(self, table):
        try:
            return super().load(table)
        except ProgrammingError:  # the catalog has no tables yet
            return None


@contextmanager
def lake_at(kind, folder, request, name):
    """A lakehouse with local files and a catalog that is a file ("file"), our REST server ("rest"), or one of the stack's
    servers; or in S3 ("s3")."""
    if kind == "rest":
        with RestCatalog(folder / "rest", idempotent=True) as catalog:
            yield RestLake(folder / "lake", catalog)
    elif kind == "file":
        yield Lakehouse(folder / "lake")
    elif kind == "s3":
        server = request.getfixturevalue("versitygw")
        yield S3Lakehouse(folder / "lake", server, s3.make_bucket(server, name.replace("_", "-")))
    elif kind == "icebergrest":
        yield RestLake(folder / "lake", request.getfixturevalue(kind))
    else:
        yield SqlLake(folder / "lake", request.getfixturevalue(kind), f"c_{name}")


class Thief(Forward):
    """In front of a database server; does `what` to the next COMMITs: "before" (the server never sees it), "after" (it is
    done, the answer is lost). The connection ends in both cases."""

    def __init__(self, port):
        self.what = []
        self.stolen = 0
        super().__init__(port)

    def steal(self, *what):
        self.what += what

    def pump(self, client, server):
        client_pump = Watched(self, client, server)
        Forward.pump(client_pump, server)


class Watched:
    """A client's socket that looks at what comes from it."""

    def __init__(self, thief, client, server):
        self.thief, self.client, self.server = thief, client, server

    def fileno(self):
        return self.client.fileno()

    def recv(self, size):
        data = self.client.recv(size)
        if data.endswith((b"COMMIT\0", b"\x03COMMIT")) and self.thief.what:
            self.thief.stolen += 1
            if self.thief.what.pop(0) == "after":
                self.server.sendall(data)
                self.server.recv(65536)
            return b""
        return data

    def __getattr__(self, name):
        return getattr(self.client, name)
