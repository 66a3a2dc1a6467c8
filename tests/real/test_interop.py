"""The topics as other people's programs read them: confluent-kafka's AvroDeserializer through the registry that the
workers serve, kcat, and an external registry (Apicurio, by its Confluent API)."""

import base64
import contextlib
import json
import os
import signal
import subprocess
import tarfile
import time
import urllib.request
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from lib.deploy import Deployment
from stack import Ports, wait_until

APICURIO = "io.apicurio:apicurio-registry-app:2.6.13.Final:tar.gz:all"
RUN = f"i{int(time.time())}"  # topics of a kept broker are of an older run
TEXT = "naïve 日本 🦊"
DAYS = (date(2024, 2, 29) - date(1970, 1, 1)).days  # io.debezium.time.Date


def make(source, database):
    source.execute(f"DROP DATABASE IF EXISTS {database}", f"CREATE DATABASE {database}",
                   f"CREATE TABLE {database}.goods (id BIGINT UNSIGNED, lang CHAR(2), name VARCHAR(60), price DECIMAL(12, 2), "
                   f"made DATE, data VARBINARY(20), PRIMARY KEY (id, lang)) DEFAULT CHARSET utf8mb4",
                   f"INSERT INTO {database}.goods VALUES (1, 'en', '{TEXT}', -1.25, '2024-02-29', x'00ff10'), "
                   f"(2, 'de', NULL, NULL, NULL, NULL)")


def change(source, database):
    source.execute(f"UPDATE {database}.goods SET price = 99999999.99 WHERE id = 1", f"DELETE FROM {database}.goods WHERE id = 2",
                   f"INSERT INTO {database}.goods (id, lang) VALUES (18446744073709551615, 'fr')")


def read_all(kafka, topic, count):
    """The first count committed records."""
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "stranger", "isolation.level": "read_committed",
                         "auto.offset.reset": "earliest", "enable.auto.commit": False})
    try:
        parts = wait_until(lambda: consumer.list_topics(timeout=30).topics.get(topic), 60, f"topic {topic}").partitions
        consumer.assign([TopicPartition(topic, p, 0) for p in parts])
        found = []

        def poll():
            message = consumer.poll(0.2)
            if message is not None:
                assert message.error() is None, message.error()
                found.append(message)
            return len(found) >= count
        wait_until(poll, 60, f"{count} records of {topic}", 0)
        return found
    finally:
        consumer.close()


def avro_events(registry_url, messages):
    client = SchemaRegistryClient({"url": registry_url})
    decode = AvroDeserializer(client)
    found = []
    for m in messages:
        key = decode(m.key(), SerializationContext(m.topic(), MessageField.KEY))
        found.append((key, decode(m.value(), SerializationContext(m.topic(), MessageField.VALUE))))
    for field in ("key", "value"):
        latest = client.get_latest_version(f"{messages[0].topic()}-{field}")
        assert latest.version == 1 and latest.schema.schema_type == "AVRO"
    return found


def check_avro(events):
    values = sorted((v for _, v in events if v is not None), key=lambda v: v["source"]["millrace_seq"])
    assert sorted(v["op"] for v in values[:2]) == ["r", "r"] and [v["op"] for v in values[2:]] == ["u", "d", "c"]
    assert [k for k, v in events if v is None] == [{"id": Decimal(2), "lang": "de"}]
    first = next(v["after"] for v in values if v["op"] == "r" and v["after"]["id"] == 1)
    assert first == {"id": Decimal(1), "lang": "en", "name": TEXT, "price": Decimal("-1.25"), "made": DAYS,
                     "data": b"\x00\xff\x10"}
    update = values[2]
    assert update["before"] == first and update["after"] == {**first, "price": Decimal("99999999.99")}
    assert values[3]["after"] is None and values[3]["before"]["name"] is None
    assert values[4]["after"]["id"] == Decimal(18446744073709551615)
    assert values[4]["source"]["db"].startswith("interop") and values[4]["source"]["table"] == "goods"


def test_avro_is_read_through_the_registry_that_workers_serve(binaries, kafka, tmp_path, mysql97):
    make(mysql97, "interop_avro")
    with Deployment(binaries, kafka, tmp_path) as d:
        capture, apply = d.start_both()
        task = d.create("interop_avro", mysql97, None, databases="interop_avro", prefix=RUN + "a")
        d.wait_state(task, phase="Incremental Sync")
        change(mysql97, "interop_avro")
        messages = read_all(kafka, RUN + "a.interop_avro.goods", 6)
        for worker in (capture, apply):  # both serve it
            check_avro(avro_events(f"http://127.0.0.1:{worker.port}", messages))


def kcat(kafka, topic, count):
    form = r"%p %o %K %S %k\t%s\n"
    out = subprocess.run(["kcat", "-C", "-q", "-e", "-b", kafka.bootstrap, "-t", topic, "-o", "beginning", "-Z",
                          "-X", "isolation.level=read_committed", "-f", form], capture_output=True, timeout=120, check=True)
    lines = out.stdout.decode().splitlines()
    return lines if len(lines) >= count else None


def test_json_is_read_by_kcat(binaries, kafka, tmp_path, mariadb):
    make(mariadb, "interop_json")
    with Deployment(binaries, kafka, tmp_path) as d:
        d.start_both()
        task = d.create("interop_json", mariadb, None, databases="interop_json", format="json", prefix=RUN + "j")
        d.wait_state(task, phase="Incremental Sync")
        change(mariadb, "interop_json")
        lines = wait_until(lambda: kcat(kafka, RUN + "j.interop_json.goods", 6), 60, "6 records", 0.5)
    records = [line.split(" ", 4)[4].split("\t", 1) for line in lines]
    keys = [json.loads(k) for k, _ in records]
    assert all(list(k) == ["id", "lang"] for k in keys)
    values = sorted((json.loads(v) for _, v in records if v != "NULL"), key=lambda v: v["source"]["millrace_seq"])
    assert len(values) == 5 and [v["op"] for v in values[2:]] == ["u", "d", "c"]
    first = values[2]["before"]
    assert first["name"] == TEXT and first["made"] == DAYS
    assert base64.b64decode(first["data"]) == b"\x00\xff\x10"
    assert int.from_bytes(base64.b64decode(first["price"]), "big", signed=True) == -125
    assert int.from_bytes(base64.b64decode(values[4]["after"]["id"]), "big", signed=True) == (1 << 64) - 1
    assert values[2]["source"]["connector"] == "mariadb"


class Apicurio:
    """The registry in memory, from Maven Central, on Java 17."""

    def __init__(self, folder):
        self.cache = Path(os.environ.get("MILLRACE_CACHE", Path.home() / ".cache" / "millrace")) / "apicurio-2.6.13"
        self.folder = folder
        self.port = Ports.take()
        self.process = None

    def get(self):
        if (self.cache / ".done").exists():
            return
        self.cache.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mvn", "-q", "-B", "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy",
                        f"-Dartifact={APICURIO}", f"-DoutputDirectory={self.cache}"], cwd=self.cache, check=True, timeout=1200)
        [archive] = self.cache.glob("*.tar.gz")
        with tarfile.open(archive) as tar:
            tar.extractall(self.cache, filter="data")
        archive.unlink()
        (self.cache / ".done").touch()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/apis/ccompat/v7"

    def ask(self, path):
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return json.load(answer)

    def __enter__(self):
        self.get()
        [jar] = self.cache.glob("*-runner.jar")
        with open(self.folder / "apicurio.log", "ab") as log:
            self.process = subprocess.Popen(
                ["java", "-Xmx300m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dquarkus.http.host=127.0.0.1",
                 f"-Dquarkus.http.port={self.port}", "-jar", jar], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.folder)
        self.wait()
        return self

    def wait(self):
        def answers():
            assert self.process.poll() is None, (self.folder / "apicurio.log").read_text()[-2000:]
            with contextlib.suppress(OSError):
                return self.ask("/subjects") is not None
        wait_until(answers, 180, "Apicurio answers", 0.5)

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


@pytest.mark.slow
def test_an_external_registry_takes_and_gives_the_schemas(binaries, kafka, tmp_path, mysql97, mariadb):
    for database in ("interop_ext", "interop_late"):
        make(mysql97, database)
        mariadb.execute(f"DROP DATABASE IF EXISTS {database}")
    with Apicurio(tmp_path) as registry, \
            Deployment(binaries, kafka, tmp_path, {"schema.registry.url": registry.url}) as d:
        d.start_both()
        task = d.create("interop_ext", mysql97, mariadb, databases="interop_ext", prefix=RUN + "e")
        d.wait_state(task, phase="Incremental Sync")
        change(mysql97, "interop_ext")
        d.caught_up(task, mysql97, mariadb, ["interop_ext"])
        assert {f"{RUN}e.interop_ext.goods-{f}" for f in ("key", "value")} <= set(registry.ask("/subjects"))
        check_avro(avro_events(registry.url, read_all(kafka, RUN + "e.interop_ext.goods", 6)))
        # Evolution: a new version of the subject.
        mysql97.execute("ALTER TABLE interop_ext.goods ADD note TEXT", "UPDATE interop_ext.goods SET note = 'x'")
        d.caught_up(task, mysql97, mariadb, ["interop_ext"])
        assert registry.ask(f"/subjects/{RUN}e.interop_ext.goods-value/versions") == [1, 2]
        # Away: known tables go on, a new task names it and waits.
        os.kill(registry.process.pid, signal.SIGKILL)
        registry.process.wait(30)
        mysql97.execute("UPDATE interop_ext.goods SET name = 'while the registry is away'")
        d.equal(task, mysql97, mariadb, [("interop_ext", "interop_ext")])
        late = d.create("interop_late", mysql97, mariadb, databases="interop_late", prefix=RUN + "l")
        shown = d.wait(lambda: (lambda s: s if "MR2013" in s["err-msg"] else None)(d.show(late)), "MR2013")
        assert shown["state"] == "running"
        registry.__enter__()  # in memory: it has forgotten all and takes them anew
        d.caught_up(late, mysql97, mariadb, ["interop_late"])
