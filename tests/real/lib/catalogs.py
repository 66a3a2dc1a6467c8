"""Lakehouses behind other catalogs than a SQLite file; PyIceberg reads through the same catalog."""

from sqlalchemy.exc import ProgrammingError

from lib.forward import Forward
from lib.lakehouse import Lakehouse


class RestLake(Lakehouse):
    """Behind a REST catalog: RestCatalog (lib.rest_catalog) or the stack's IcebergRest."""

    def __init__(self, folder, server, parameters=""):
        super().__init__(folder)
        self.client = server.pyiceberg()
        self.uri = server.uri + parameters

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
