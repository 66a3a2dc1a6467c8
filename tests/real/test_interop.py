"""Other people's readers: Confluent's AvroDeserializer over the worker's registry, kcat, a foreign schema registry."""

import decimal
import json
import subprocess
import urllib.request

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from lib import topics
from lib.deploy import Deployment
from stack import Apicurio

TABLE = """CREATE TABLE {db}.t (k BIGINT UNSIGNED, part VARCHAR(10), price DECIMAL(12,4), at DATETIME(6), flag BIT(1),
           doc JSON, kind ENUM('a','b'), raw VARBINARY(10), PRIMARY KEY (k, part))"""


def shop(source, target, name):
    for server in (source, target):
        server.execute(f"DROP DATABASE IF EXISTS {name}")
    source.execute(f"CREATE DATABASE {name}", TABLE.format(db=name),
                   f"INSERT INTO {name}.t VALUES (18446744073709551615, 'ä', -1.5, '2026-01-02 03:04:05.678901', 1, "
                   "'{\"x\": [1, null]}', 'b', x'00ff')", f"INSERT INTO {name}.t (k, part) VALUES (1, '')")


def change(source, name):
    source.execute(f"UPDATE {name}.t SET price = 2, kind = 'a' WHERE k = 1", f"DELETE FROM {name}.t WHERE k > 5")


def read_avro(kafka, topic, url):
    client = SchemaRegistryClient({"url": url})
    decode = AvroDeserializer(client)
    found = []
    for message in topics.records(kafka.bootstrap, [topic]):
        key = decode(message.key(), SerializationContext(topic, MessageField.KEY))
        value = message.value() and decode(message.value(), SerializationContext(topic, MessageField.VALUE))
        found.append((key, value))
    return client, found


def check_story(found):
    """The two rows loaded, one updated, one deleted, its tombstone; each key in its own order."""
    big = [(key, value) for key, value in found if key["part"] == "ä"]
    small = [(key, value) for key, value in found if key["part"] == ""]
    assert [v and v["op"] for _, v in big] == ["r", "d", None] and [v["op"] for _, v in small] == ["r", "u"]
    first = big[0][1]
    assert first["after"]["k"] == decimal.Decimal(18446744073709551615) and first["before"] is None
    assert first["after"]["price"] == decimal.Decimal("-1.5000") and first["after"]["raw"] == b"\x00\xff"
    assert first["after"]["kind"] == "b" and json.loads(first["after"]["doc"]) == {"x": [1, None]}
    assert first["after"]["flag"] is True and first["source"]["snapshot"] == "incremental"
    update = small[1][1]
    assert update["before"]["kind"] is None and update["after"]["kind"] == "a"
    source = update["source"]
    assert source["connector"] == "mysql" and source["table"] == "t" and source["millrace_seq"] > 0
    assert source["ts_ms"] > 1_600_000_000_000 and source["gtid"] and source["file"].startswith("binlog.")


def test_avro_topics_are_read_by_confluent_through_the_workers_registry(binaries, kafka, tmp_path, mysql97, mariadb):
    shop(mysql97, mariadb, "interop")
    with Deployment(binaries, kafka, tmp_path) as d:
        workers = d.start_both()
        task = d.create("interop", mysql97, mariadb, databases="interop")
        d.caught_up(task, mysql97, mariadb, ["interop"])
        change(mysql97, "interop")
        d.caught_up(task, mysql97, mariadb, ["interop"])
        for worker in workers:
            client, found = read_avro(kafka, "interop.interop.t", f"http://127.0.0.1:{worker.port}")
            check_story(found)
            assert "interop.interop.t-value" in client.get_subjects()
            latest = client.get_latest_version("interop.interop.t-key")
            assert latest.version == 1 and '"part"' in latest.schema.schema_str
            metrics = worker.metrics()
            assert metrics and all(isinstance(v, float) for v in metrics.values())


def test_json_topics_are_read_by_kcat(binaries, kafka, tmp_path, mysql97, mariadb):
    shop(mysql97, mariadb, "interop_json")
    with Deployment(binaries, kafka, tmp_path) as d:
        d.start_both()
        task = d.create("interop_json", mysql97, mariadb, databases="interop_json", format="json")
        d.caught_up(task, mysql97, mariadb, ["interop_json"])
        change(mysql97, "interop_json")
        d.caught_up(task, mysql97, mariadb, ["interop_json"])
        out = subprocess.run(["kcat", "-C", "-b", kafka.bootstrap, "-t", "interop_json.interop_json.t", "-o", "beginning", "-e",
                              "-q", "-X", "isolation.level=read_committed", "-f", r"%k\t%S\t%s\n"], capture_output=True,
                             text=True, timeout=60, check=True).stdout
        found = []
        for line in out.splitlines():
            key, size, value = line.split("\t", 2)
            found.append((json.loads(key), None if size == "-1" else json.loads(value)))
        ops = {part: [v and v["op"] for k, v in found if k["part"] == part] for part in ("ä", "")}
        assert ops == {"ä": ["r", "d", None], "": ["r", "u"]}
        assert next(v for k, v in found if k["part"] == "" and v["op"] == "u")["after"]["kind"] == "a"


@pytest.mark.slow
def test_a_foreign_registry_serves_by_one_setting(binaries, kafka, tmp_path, mysql97, mariadb):
    shop(mysql97, mariadb, "interop_foreign")
    with Apicurio(tmp_path) as registry:
        settings = {"schema.registry.url": registry.url}
        with Deployment(binaries, kafka, tmp_path, settings) as d:
            d.start_both()
            task = d.create("interop_foreign", mysql97, mariadb, databases="interop_foreign")
            d.caught_up(task, mysql97, mariadb, ["interop_foreign"])
            change(mysql97, "interop_foreign")
            d.caught_up(task, mysql97, mariadb, ["interop_foreign"])
            client, found = read_avro(kafka, "interop_foreign.interop_foreign.t", registry.url)
            check_story(found)
            with urllib.request.urlopen(f"{registry.url}/subjects") as answer:
                assert "interop_foreign.interop_foreign.t-value" in json.load(answer)
            # without it known schemas go on; a new table waits and says so
            registry.stop()
            mysql97.execute("INSERT INTO interop_foreign.t (k, part) VALUES (2, 'b')",
                            "CREATE TABLE interop_foreign.later (k INT PRIMARY KEY)", "INSERT INTO interop_foreign.later VALUES (1)")
            d.wait(lambda: "MR2013" in d.show(task)["err-msg"], "MR2013 in task show")
            registry.start()
            d.caught_up(task, mysql97, mariadb, ["interop_foreign"], 120)
