"""The servers of the tests as Python objects; each calls its script in this folder.

    kafka = Kafka(work)                 # data under work/kafka, ports of its own
    kafka.start(props={"num.partitions": "3"}); kafka.bootstrap; kafka.create_topic("t", 3); kafka.kill9(); kafka.start()
    mysql = Mysql97(work, "source")     # data under work/source
    mysql.start("--gtid-mode=OFF"); mysql.connect(database="shop"); mysql.uri(user="repl"); mysql.stop()

A restart keeps the port, the data and, without new ones, the options. `with Kafka(work) as kafka:` starts and stops.
"""

import fcntl
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


class StackError(Exception):
    pass


class Ports:
    """Free ports below the ephemeral range, so that no outgoing connection takes one while its server is down.

    A lock on a file per port, held as long as this process lives, keeps runs side by side apart."""

    folder = Path(tempfile.gettempdir()) / "millrace-ports"
    held = {}

    @classmethod
    def take(cls):
        cls.folder.mkdir(exist_ok=True)
        for _ in range(2000):
            port = random.SystemRandom().randrange(22000, 32000)
            if port in cls.held:
                continue
            lock = open(cls.folder / str(port), "w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                socket.create_server(("127.0.0.1", port)).close()
            except OSError:
                lock.close()
                continue
            cls.held[port] = lock
            return port
        raise StackError("no free port")


class Server:
    """A script of this folder with a data folder and a port."""

    script = None

    def __init__(self, work, name=None, port=None):
        self.name = name or self.script
        self.data = Path(work).resolve() / self.name
        self.port = port or Ports.take()
        self.options = []
        self.environment = {}

    def run(self, verb, *arguments, environment=None, timeout=300):
        """Output goes through files: a server must not inherit a pipe that its caller waits for."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            result = subprocess.run(
                [str(HERE / self.script), verb, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=out,
                stderr=err, env={**os.environ, **(environment or {})}, timeout=timeout)
            out.seek(0)
            err.seek(0)
            if result.returncode != 0:
                raise StackError(f"{self.script} {verb}: {err.read() or out.read()}")
            return out.read()

    def get(self):
        self.run("get", timeout=1800)

    def start(self, *options):
        if options:
            self.options = list(options)
        self.get()
        self.run("start", self.data, self.port, *self.options, environment=self.environment)
        return self

    def stop(self):
        self.run("stop", self.data)

    def kill9(self):
        self.run("kill9", self.data)

    def restart(self):
        self.stop()
        self.start()

    @property
    def pid(self):
        try:
            return int((self.data / "pid").read_text())
        except (OSError, ValueError):
            return None

    @property
    def running(self):
        try:
            return self.run("status", self.data).startswith("up")
        except StackError:
            return False

    @property
    def log(self):
        return (self.data / "log").read_text(errors="replace")

    def tool(self, program, *arguments, timeout=300):
        return self.run("tool", program, *arguments, timeout=timeout)

    def __enter__(self):
        return self if self.running else self.start()

    def __exit__(self, *_):
        self.stop()


class MysqlFamily(Server):
    """Accounts: test/test (all rights), repl/repl (REPLICATION SLAVE, REPLICATION CLIENT, SELECT)."""

    host = "127.0.0.1"
    scheme = "mysql"

    @property
    def socket(self):
        return str(self.data / "sock")

    def connect(self, user="test", password=None, **options):
        import pymysql

        options = {"autocommit": True, "charset": "utf8mb4", "local_infile": True, **options}
        return pymysql.connect(host=self.host, port=self.port, user=user, password=password or user, **options)

    def execute(self, *statements, database=None):
        """Runs the statements and gives back the rows of the last one."""
        connection = self.connect(database=database)
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                return cursor.fetchall()
        finally:
            connection.close()

    def uri(self, user="test", password=None):
        return f"{self.scheme}://{user}:{password or user}@{self.host}:{self.port}"


class Mysql97(MysqlFamily):
    """MySQL 9.7, GTIDs on."""

    script = "mysql97"


class Mysql80(MysqlFamily):
    """MySQL 8.0, GTIDs off."""

    script = "mysql80"


class Mysql57(MysqlFamily):
    """MySQL 5.7, GTIDs off."""

    script = "mysql57"


class Mariadb(MysqlFamily):
    """MariaDB 10.11."""

    script = "mariadb1011"


class Mariadb118(MysqlFamily):
    """MariaDB 11.8."""

    script = "mariadb118"


class Postgres15(Server):
    """PostgreSQL 15. Account test/test (superuser)."""

    script = "pg15"
    host = "127.0.0.1"

    def connect(self, database="postgres"):
        import psycopg

        return psycopg.connect(host=self.host, port=self.port, user="test", password="test", dbname=database,
                               autocommit=True)

    def execute(self, *statements, database="postgres"):
        """Runs the statements and gives back the rows of the last one."""
        with self.connect(database) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []


class IcebergRest(Server):
    """Apache's reference REST catalog, on SQLite; tables lie in DATADIR/warehouse."""

    script = "icebergrest"

    @property
    def warehouse(self):
        return f"file://{self.data}/warehouse"

    @property
    def uri(self):
        return f"iceberg+rest://127.0.0.1:{self.port}?warehouse={self.warehouse}"

    def pyiceberg(self):
        from pyiceberg.catalog.rest import RestCatalog

        return RestCatalog("t", uri=f"http://127.0.0.1:{self.port}", warehouse=self.warehouse)


class Kafka(Server):
    script = "kafka"

    def __init__(self, work, name=None, port=None, controller=None, tier=1):
        super().__init__(work, name, port)
        self.controller = controller or Ports.take()
        self.advertised = None
        self.props = {}
        self.environment = {"KAFKA_TIER": str(tier)}

    @property
    def bootstrap(self):
        """Where clients connect: the proxy, if one is advertised."""
        return f"127.0.0.1:{self.advertised or self.port}"

    def start(self, props=None, advertised=None):
        """props: broker properties; advertised: the port that clients are told (a fault proxy's)."""
        if props is not None:
            self.props = dict(props)
        if advertised is not None:
            self.advertised = advertised
        options = ["--controller", str(self.controller)]
        if self.advertised:
            options += ["--advertise", f"127.0.0.1:{self.advertised}"]
        return super().start(*options, *(f"{key}={value}" for key, value in self.props.items()))

    def admin(self):
        from confluent_kafka.admin import AdminClient

        return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 3})

    def topics(self, internal=False):
        """Name -> number of partitions."""
        found = self.admin().list_topics(timeout=30).topics
        return {name: len(topic.partitions) for name, topic in found.items()
                if internal or not name.startswith("__")}

    def create_topic(self, name, partitions=1, **config):
        """config: topic settings, with underscores for dots."""
        from confluent_kafka.admin import NewTopic

        settings = {key.replace("_", "."): str(value) for key, value in config.items()}
        topic = NewTopic(name, partitions, 1, config=settings)
        admin = self.admin()
        admin.create_topics([topic])[name].result(30)

    def delete_topic(self, name):
        admin = self.admin()
        admin.delete_topics([name])[name].result(30)

    def tool(self, program, *arguments, timeout=300):
        """A Kafka tool; where the arguments name no server, this broker (kafka-dump-log and -storage take none)."""
        local = program in ("kafka-dump-log", "kafka-storage")
        if not local and "--bootstrap-server" not in arguments:
            arguments = ("--bootstrap-server", f"127.0.0.1:{self.port}", *arguments)
        return super().tool(program, *arguments, timeout=timeout)


class Apicurio(Server):
    """A schema registry of other people, Confluent-compatible."""

    script = "apicurio"

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/apis/ccompat/v7"


class Versitygw(Server):
    """An S3 server over a folder, with the account test/testtest."""

    script = "versitygw"
    key, secret = "test", "testtest"

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"


class KafkaProxy:
    """kproxy.py as a process, in front of a broker:  proxy = KafkaProxy(kafka).start(); kafka.start(advertised=proxy.port)

    The faults are methods: proxy.hold("endtxn", 1, 2.5), proxy.drop("produce", 1), proxy.cut(), ..."""

    def __init__(self, kafka):
        self.kafka = kafka
        self.port = Ports.take()
        self.control = Ports.take()
        self.process = None

    def start(self):
        self.kafka.data.mkdir(parents=True, exist_ok=True)
        with open(self.kafka.data / "proxy.log", "a") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "kproxy.py"), f"127.0.0.1:{self.port}",
                 f"127.0.0.1:{self.kafka.port}", f"127.0.0.1:{self.control}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(lambda: listening(self.control), 30, "the proxy listens")
        return self

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(30)
            self.process = None

    def command(self, *words):
        line = " ".join(map(str, words))
        with socket.create_connection(("127.0.0.1", self.control), timeout=30) as connection:
            connection.sendall(line.encode() + b"\n")
            answer = connection.makefile().readline().strip()
        if answer.startswith("error") or not answer:
            raise StackError(f"proxy: {line}: {answer}")
        return answer

    def hold(self, api, count=1, seconds=2.0):
        self.command("hold", api, count, seconds)

    def drop(self, api, count=1):
        self.command("drop", api, count)

    def lose(self, api, count=1):
        self.command("lose", api, count)

    def latency(self, ms, *api):
        self.command("latency", ms, *api)

    def blackhole(self, on, *api):
        self.command("blackhole", "on" if on else "off", *api)

    def deny(self, on, topic):
        self.command("deny", "on" if on else "off", topic)

    def refuse(self, on):
        self.command("refuse", "on" if on else "off")

    def cut(self):
        self.command("cut")

    def reset(self):
        self.command("reset")

    def events(self, name=None):
        return [event for event in json.loads(self.command("events")) if name in (None, event["event"])]


def listening(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


def wait_until(condition, seconds, what, pause=0.05):
    """Waits until condition() is true and gives back its value; after `seconds` it fails and says what (a text, or a function
    that gives one) was awaited."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise StackError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(pause)
