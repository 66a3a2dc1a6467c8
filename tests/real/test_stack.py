"""The rig itself: the servers survive a kill, the accounts are what they should be, the proxy does what it says."""

import subprocess
import time

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from stack import HERE, Kafka, KafkaProxy, Mariadb, Mysql80, Mysql97, wait_until


# A server that replaces its program as often as its second argument says before it is ready; what stays names the folder.
SERVER = """#!/bin/sh
[ "$2" -gt 0 ] && exec "$0" "$1" $(($2 - 1))
echo ready
exec tail -f "$1server"
"""


def started(folder, server, *arguments):
    (folder / "server").write_text(server)
    (folder / "server").chmod(0o755)
    (folder / "log").touch()
    script = (f'. {HERE / "lib.sh"}; dir=$1; shift; launch "$dir" "$dir/server" "$dir/" "$@"; '
              'wait_log "$dir" 0 ready; server_stop "$dir" KILL 5')
    return subprocess.run(
        ["bash", "-euc", script, "stack", folder, *arguments], capture_output=True, text=True, timeout=60)


def test_a_server_that_replaces_its_program_while_it_starts_is_waited_for(tmp_path):
    for _ in range(3):
        result = started(tmp_path, SERVER, "3000")
        assert result.returncode == 0, result.stderr


def test_a_server_that_ends_before_it_is_ready_is_told_with_its_log(tmp_path):
    result = started(tmp_path, "#!/bin/sh\necho no room\n")
    assert result.returncode == 1
    assert "no room" in result.stderr and "the server ended" in result.stderr


@pytest.mark.parametrize("kind", [Mysql97, Mysql80, Mariadb])
def test_database_keeps_committed_rows_through_a_kill(tmp_path, kind):
    with kind(tmp_path) as server:
        server.execute("CREATE DATABASE d", "CREATE TABLE d.t (k INT PRIMARY KEY)", "INSERT INTO d.t VALUES (1), (2)")
        server.kill9()
        assert not server.running
        server.start()
        assert server.execute("SELECT COUNT(*) FROM d.t") == ((2,),)
        with server.connect(user="repl") as repl, repl.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM d.t")
            with pytest.raises(Exception, match="denied"):
                cursor.execute("INSERT INTO d.t VALUES (3)")


def test_gtid_modes_are_on_off_and_mariadb(mysql97, mysql80, mariadb):
    assert mysql97.execute("SELECT @@gtid_mode, @@binlog_row_metadata") == (("ON", "FULL"),)
    assert mysql80.execute("SELECT @@gtid_mode, @@binlog_row_metadata") == (("OFF", "FULL"),)
    assert mariadb.execute("SELECT @@binlog_format, @@binlog_row_metadata") == (("ROW", "FULL"),)


def committed(bootstrap, topic):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "x", "enable.partition.eof": True,
                         "isolation.level": "read_committed"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    values = []
    try:
        while True:
            message = consumer.poll(20)
            assert message is not None, "no end of partition"
            if message.error():
                return values
            values.append(message.value())
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


def test_proxy_makes_a_commit_unknown_and_kafka_survives_a_kill(proxied):
    kafka, proxy = proxied
    kafka.create_topic("t", 1)
    assert kafka.topics() == {"t": 1}
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": "x"})
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce("t", b"one")
    assert producer.flush(20) == 0
    proxy.hold("endtxn", 1, 0.5)
    producer.commit_transaction(20)
    wait_until(lambda: proxy.events("late_answer"), 20, "the held request delivered")
    assert committed(kafka.bootstrap, "t") == [b"one"]

    producer.begin_transaction()
    producer.produce("t", b"two")
    producer.flush(20)
    proxy.blackhole(True, "endtxn")
    with pytest.raises(KafkaException):
        producer.commit_transaction(1)
    proxy.reset()
    kafka.kill9()
    kafka.start()
    assert committed(kafka.bootstrap, "t") in ([b"one"], [b"one", b"two"])


def test_proxy_delays_answers_in_order(proxied):
    kafka, proxy = proxied
    kafka.topics()
    begin = time.monotonic()
    proxy.latency(300, "metadata")
    kafka.topics()
    assert time.monotonic() - begin >= 0.3
