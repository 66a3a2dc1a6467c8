"""The clients of kafka/ against a real broker, driven by bench/kafka_driver and kafka_bench and judged by independent consumers."""

import os
import random
import subprocess
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from stack import Kafka, KafkaProxy, wait_until

ROOT = Path(__file__).resolve().parents[2]


def program(name):
    folder = Path(os.environ.get("MILLRACE_BUILD", ROOT / "build" / "faults" / "bin")).resolve()
    path = folder.parent / "bench" / name
    if not os.access(path, os.X_OK):
        pytest.fail(f"not built: {path}")
    return str(path)


@pytest.fixture(scope="module")
def driver():
    return program("kafka_driver")


@pytest.fixture(scope="module")
def bench():
    return program("kafka_bench")


def run(driver, verb, bootstrap, topic, *arguments, timeout=120):
    done = subprocess.run([driver, verb, bootstrap, topic, *map(str, arguments)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def line(output, start):
    found = [text for text in output.splitlines() if text.startswith(start)]
    assert found, f"no line {start!r} in\n{output}"
    return found[-1]


def field(output, start, name):
    return next(word.split("=", 1)[1] for word in line(output, start).split() if word.startswith(name + "="))


def values(bootstrap, topic, isolation="read_committed", partition=0):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "x", "enable.partition.eof": True,
                         "isolation.level": isolation, "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, partition, 0)])
    found = []
    try:
        while True:
            message = consumer.poll(30)
            assert message is not None, "no end of partition"
            if message.error():
                return found
            found.append(message.value())
    finally:
        consumer.close()


@pytest.fixture
def proxied(tmp_path):
    kafka = Kafka(tmp_path)
    proxy = KafkaProxy(kafka).start()
    try:
        yield kafka.start(advertised=proxy.port), proxy
    finally:
        kafka.stop()
        proxy.stop()


@pytest.mark.parametrize("ending", ["commit", "abort"])
def test_a_late_end_of_a_transaction_is_seen_and_fenced(proxied, driver, ending):
    kafka, proxy = proxied
    process = subprocess.Popen([driver, "endtxn", kafka.bootstrap, "t", ending], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    output = ""
    while "flushed" not in output:
        text = process.stdout.readline()
        assert text, output
        output += text
    proxy.hold("endtxn", 1, 4)
    rest, _ = process.communicate("\n", timeout=60)
    output += rest
    assert process.returncode == 0, output
    assert "code=2008" in line(output, ending + " ")
    assert field(output, "sockets_closed", "sockets_closed") == "1"
    assert float(field(output, "destroyed", "ms")) < 100
    assert line(output, "commit2") == "commit2 ok"
    assert values(kafka.bootstrap, "t") == ([b"a1", b"b1"] if ending == "commit" else [b"b1"])


def check_numbers(found, next_number):
    assert [int(value) for value in found] == list(range(next_number))


@pytest.mark.slow
def test_broken_connections_lose_and_double_nothing(proxied, driver):
    kafka, proxy = proxied
    seed = random.randrange(1 << 32)
    print("seed", seed)
    pick = random.Random(seed)
    process = subprocess.Popen([driver, "loop", kafka.bootstrap, "t", "15000", "1", "20000", "loop"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    wait_until(lambda: "t-control" in kafka.topics(), 20, "the topics are there")
    end = time.monotonic() + 12
    while time.monotonic() < end:
        time.sleep(pick.uniform(0.05, 0.5))
        proxy.cut()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    next_number = int(field(output, "loop", "next"))
    assert next_number > 1000
    check_numbers(values(kafka.bootstrap, "t"), next_number)


@pytest.mark.slow
def test_a_killed_and_a_frozen_broker_lose_and_double_nothing(tmp_path, driver):
    with Kafka(tmp_path) as kafka:
        process = subprocess.Popen([driver, "loop", kafka.bootstrap, "t", "30000", "2", "20000", "loop"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        wait_until(lambda: "t-control" in kafka.topics(), 20, "the topics are there")
        time.sleep(2)
        kafka.kill9()
        kafka.start()
        time.sleep(3)
        os.kill(kafka.pid, 19)
        time.sleep(3)
        os.kill(kafka.pid, 18)
        output, _ = process.communicate(timeout=90)
        assert process.returncode == 0, output
        check_numbers(values(kafka.bootstrap, "t"), int(field(output, "loop", "next")))


@pytest.mark.parametrize("place", ["kafka.after_init", "kafka.before_commit", "kafka.after_commit"])
def test_a_death_around_a_commit_loses_and_doubles_nothing(kafka, driver, place):
    topic = place.replace(".", "-")
    died = subprocess.run([driver, "loop", kafka.bootstrap, topic, "5000", "2", "5000", topic], capture_output=True,
                          text=True, env={**os.environ, "MILLRACE_FAULT": f"{place}:{1 if 'init' in place else 20}"})
    if died.returncode == 0:
        pytest.skip("built without failpoints")
    assert died.returncode == -9, died.stdout + died.stderr
    output = run(driver, "loop", kafka.bootstrap, topic, 1500, 2, 5000, topic)
    check_numbers(values(kafka.bootstrap, topic), int(field(output, "loop", "next")))


def test_a_second_producer_fences_the_first(kafka, driver):
    output = run(driver, "fence", kafka.bootstrap, "fence")
    assert "code=2007" in line(output, "old_commit")
    assert "code=2007" in line(output, "old_again")
    assert line(output, "new_commit") == "new_commit ok"
    assert "code=2007" in line(output, "zombie")
    assert values(kafka.bootstrap, "fence") == [b"b1"]


def test_a_message_at_the_limit_passes_and_one_above_harms_nothing(kafka, driver):
    output = run(driver, "large", kafka.bootstrap, "large")
    assert "code=2006 class=3" in line(output, "above")
    assert line(output, "commit") == "commit ok"
    assert line(output, "handed_back") == "handed_back=3 of 3"


def test_positions_pass_markers_and_wait_for_open_transactions(kafka, driver):
    output = run(driver, "tail", kafka.bootstrap, "tail")
    for case, records, position in (("empty", 0, 0), ("committed", 3, 6), ("again", 0, 6), ("aborted", 0, 8),
                                    ("open_transaction", 0, 10)):
        text = line(output, case)
        assert f"records={records} position={position} end={position} " in text
        assert float(field(output, case, "ms")) < (15000 if case == "open_transaction" else 500)


def test_the_end_of_a_large_log_is_found_at_once(kafka, driver):
    run(driver, "fill", kafka.bootstrap, "big", 1000000)
    output = run(driver, "back", kafka.bootstrap, "big")
    assert float(field(output, "tail_total", "ms")) < 3000
    assert "records=5000 found=1 position=1000000" in line(output, "scan records")
    assert "records=1000000 found=0 position=1000000" in line(output, "scan_all records")


def test_offsets_out_of_range_and_missing_topics_have_their_names(kafka, driver):
    run(driver, "large", kafka.bootstrap, "range")
    admin = kafka.admin()
    for future in admin.delete_records([TopicPartition("range", 0, 2)]).values():
        future.result(30)
    output = run(driver, "range", kafka.bootstrap, "range")
    assert line(output, "watermarks") == "watermarks 2 4 offsets 2 4 2"
    assert "code=2005" in line(output, "below code")
    assert "code=2004" in line(output, "above code")
    assert line(output, "good records").startswith("good records=1")
    assert "code=2002" in line(output, "unknown code")
    assert "code=2002" in line(output, "deleted code")


def test_topics_are_made_described_altered_and_deleted(kafka, driver):
    output = run(driver, "admin", kafka.bootstrap, "admin")
    assert "brokers=1" in line(output, "cluster")
    assert "code=2003" in line(output, "create_other")
    described = line(output, "exists=1")
    assert "partitions=3" in described and "compacted=1 max=2000000" in described
    assert "code=2010" in line(output, "bad_name")
    assert "admin" not in kafka.topics()


def test_a_million_messages_come_back(kafka, bench):
    output = run(bench, "produce", kafka.bootstrap, "million", 8, 1000000, 200, 10000, "lz4")
    assert line(output, "handed_back") == "handed_back=1000000 of 1000000"
    print(line(output, "produce"))
    output = run(bench, "consume", kafka.bootstrap, "million", 8, 1000000, 512)
    print(line(output, "consume"))
    assert field(output, "consume", "n") == "1000000"


def test_a_refused_connection_is_no_disturbance(driver):
    output = run(driver, "refused", "127.0.0.1:1", "t")
    assert "code=2001 class=1" in line(output, "init")
    assert field(output, "sockets_closed", "sockets_closed") == "0"
