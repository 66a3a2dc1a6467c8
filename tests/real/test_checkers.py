"""The checkers find what they must: one altered, one missing, one extra row or event; and nothing where nothing is."""

import json

import pytest
from confluent_kafka import Producer

from lib import rows, topics
from lib.shapes import Generated
from lib.workload import Bank, BankChecker, Ladder, Marker, Writers, run_step, run_steps
from stack import wait_until


@pytest.fixture(scope="module")
def twins(mysql97, mariadb):
    """The same generated tables, from one seed, in two databases of one server and in another product's server."""
    mysql97.execute("DROP DATABASE IF EXISTS twin_a", "DROP DATABASE IF EXISTS twin_b")
    mariadb.execute("DROP DATABASE IF EXISTS twin_b")
    seed = Generated("twin_a").seed
    for server, database in ((mysql97, "twin_a"), (mysql97, "twin_b"), (mariadb, "twin_b")):
        workload = Generated(database, seed).create(server)
        run_steps(workload, server, 150)
        assert workload.rows > 300
    return mysql97, mariadb


def test_equal_tables_have_no_difference(twins):
    mysql, mariadb = twins
    assert rows.compare_database(mysql, mysql, "twin_a", "twin_b") == []
    names = rows.tables(mysql, "twin_a")
    counts = [mysql.execute(f"SELECT COUNT(*) FROM twin_a.{rows.quote(name)}")[0][0] for name in names]
    assert len(names) >= 15 and min(counts) > 5
    assert [str(d) for d in rows.compare_database(mysql, mariadb, "twin_a", "twin_b")] == []


@pytest.mark.parametrize("table, change, kind", [
    ("numbers", "UPDATE {} SET bit64 = bit64 ^ 1 ORDER BY id LIMIT 1", "altered"),
    ("numbers", "UPDATE {} SET `double` = `double` + 1e-9 WHERE `double` = 1.5 LIMIT 1", "altered"),
    ("strings", "UPDATE {} SET `varchar` = CONCAT(`varchar`, ' ') WHERE LENGTH(`varchar`) BETWEEN 1 AND 9 LIMIT 1", "altered"),
    ("moments", "UPDATE {} SET time6 = ADDTIME(time6, '00:00:00.000001') WHERE time6 > 0 LIMIT 1", "altered"),
    ("wide", "DELETE FROM {} ORDER BY id LIMIT 1", "missing"),
    ("composite", "DELETE FROM {} LIMIT 1", "missing"),
    ("folding_key", "INSERT INTO {} (k, x) VALUES ('zz', '')", "extra"),
])
def test_one_altered_missing_or_extra_row_is_found(twins, table, change, kind):
    server = twins[0]
    connection = server.connect(database="twin_b")
    with connection.cursor() as cursor:
        assert cursor.execute(change.format(table)) == 1
        found = rows.compare_table(server, server, "twin_a", table, "twin_b")
        cursor.execute(f"DELETE FROM {table}")
        cursor.execute("SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO'")
        cursor.execute(f"INSERT INTO {table} SELECT * FROM twin_a.{table}")
    connection.close()
    counts = {what: len(getattr(found, what)) for what in ("missing", "extra", "altered")}
    assert counts == {**dict.fromkeys(counts, 0), kind: 1}, str(found)
    assert not rows.compare_table(server, server, "twin_a", table, "twin_b")


def test_a_table_of_the_target_alone_is_found(twins):
    server = twins[0]
    server.execute("CREATE TABLE twin_b.more (k INT PRIMARY KEY)")
    found = rows.compare_database(server, server, "twin_a", "twin_b")
    server.execute("DROP TABLE twin_b.more")
    assert [d.extra for d in found] == [["more"]]


def test_checksums_differ_by_one_row(mysql97):
    mysql97.execute("DROP DATABASE IF EXISTS sums", "CREATE DATABASE sums", "CREATE TABLE sums.a (k INT PRIMARY KEY, x INT)",
                    "CREATE TABLE sums.b LIKE sums.a", "INSERT INTO sums.a VALUES (1, NULL), (2, 5)",
                    "INSERT INTO sums.b SELECT * FROM sums.a")
    assert rows.checksum(mysql97, "sums", "a") == rows.checksum(mysql97, "sums", "b")
    mysql97.execute("UPDATE sums.b SET x = 6 WHERE k = 2")
    assert rows.checksum(mysql97, "sums", "a") != rows.checksum(mysql97, "sums", "b")
    mysql97.execute("DROP DATABASE sums")


class Story:
    """A topic written by hand, as capture would: two keys, one partition each."""

    def __init__(self):
        self.seq = 0
        self.records = []

    def add(self, key, op, before, after, epoch=1):
        self.seq += 1
        value = {"op": op, "before": before and {"k": key, "v": before}, "after": after and {"k": key, "v": after},
                 "source": {"millrace_inc": "a" * 16, "millrace_epoch": epoch, "millrace_seq": self.seq}}
        self.records.append((key, value))
        if op == "d":
            self.records.append((key, None))
        return self


def story():
    s = Story()
    s.add(1, "r", None, 5).add(0, "c", None, 1).add(0, "u", 1, 2).add(1, "u", 5, 6).add(0, "d", 2, None)
    s.add(0, "c", None, 3).add(1, "u", 6, 7).add(1, "u", 7, 8)
    return s


def publish(kafka, topic, records):
    kafka.create_topic(topic, 2)
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "linger.ms": 1})
    for key, value in records:
        producer.produce(topic, key=json.dumps({"k": key}), value=None if value is None else json.dumps(value), partition=key)
    assert producer.flush(30) == 0


def check(kafka, topic, records, **options):
    publish(kafka, topic, records)
    return topics.check_ladder(kafka.bootstrap, topic, {0: 3, 1: 8}, "json", **options)


def test_an_unbroken_topic_passes(kafka):
    ladder = check(kafka, "checker.good", story().records, all_topics=[])
    assert ladder.counts == {"c": 2, "r": 1, "u": 4, "d": 1}


def without(i):
    return lambda records: records[:i] + records[i + 1:]


def twice(i):
    return lambda records: records[:i + 1] + records[i:]


def altered(records):
    records[3][1]["after"]["v"] = 9
    return records


def swapped(records):
    return records[:7] + [records[8], records[7]] + records[9:]


@pytest.mark.parametrize("name, change, words", [
    ("missing", without(3), "key 1 u"), ("missing_last", without(8), "source ends at 8"), ("extra", twice(3), "again"),
    ("altered", altered, "key 1 u"), ("swapped", swapped, "out of order"), ("no_tombstone", without(5), "tombstone"),
    ("no_delete", without(4), "tombstone of 0"), ("missing_create", without(1), "1 seqs missing"),
])
def test_one_wrong_event_is_found(kafka, name, change, words):
    with pytest.raises(topics.Findings, match=words):
        check(kafka, f"checker.{name}", change(story().records), all_topics=[])


def test_an_extra_event_of_its_own_seq_is_found(kafka):
    with pytest.raises(topics.Findings, match="key 2"):
        records = story().records + [(1, {"op": "c", "before": None, "after": {"k": 2, "v": 1}, "source": {
            "millrace_inc": "a" * 16, "millrace_epoch": 1, "millrace_seq": 9}})]
        publish(kafka, "checker.own", [])
        producer = Producer({"bootstrap.servers": kafka.bootstrap})
        for key, value in records:
            name = value["after"]["k"] if value and value["after"] else key
            producer.produce("checker.own", key=json.dumps({"k": name}), value=None if value is None else json.dumps(value),
                             partition=key)
        assert producer.flush(30) == 0
        topics.check_ladder(kafka.bootstrap, "checker.own", {0: 3, 1: 8}, "json")


def test_void_rows_are_those_above_a_later_epoch(kafka):
    kafka.create_topic("checker.progress", 1)
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    for key, value in (("claim/1/a", {}), ("epoch/1", {"epoch": 1, "from_seq": 0}), ("claim/5/b", {}),
                       ("progress/1", {"epoch": 1, "seq": 9}), ("epoch/1", {"epoch": 1, "from_seq": 99}),
                       ("epoch/5", {"epoch": 5, "from_seq": 3})):
        producer.produce("checker.progress", key=key, value=json.dumps(value), partition=0)
    assert producer.flush(30) == 0
    void = topics.Void(kafka.bootstrap, "checker.progress")
    event = lambda epoch, seq: topics.Event("t", 0, 0, {}, "u", {}, {}, {
        "millrace_inc": "a", "millrace_epoch": epoch, "millrace_seq": seq})
    assert [void(event(1, 3)), void(event(1, 4)), void(event(5, 4))] == [False, True, False]
    assert void.cuts == []
    s = story()
    s.records = s.records[:4]
    s.seq = 3
    late = Story()
    late.add(1, "u", 5, 9).add(1, "u", 9, 10)
    late.records[0][1]["source"]["millrace_seq"], late.records[1][1]["source"]["millrace_seq"] = 4, 5
    good = story()
    for _, value in good.records[3:]:
        if value:
            value["source"]["millrace_epoch"] = 5
    mixed = good.records[:3] + late.records + good.records[3:]
    check(kafka, "checker.void", mixed, void=void)
    with pytest.raises(topics.Findings):
        check(kafka, "checker.void_unseen", mixed)


def test_bank_checker_sees_half_a_transfer(mysql97):
    mysql97.execute("DROP DATABASE IF EXISTS bank_check")
    bank = Bank("bank_check", accounts=20).create(mysql97)
    with BankChecker(mysql97, "bank_check", bank.total) as checker:
        run_steps(bank, mysql97, 50)
        seen = checker.checks
        wait_until(lambda: checker.checks >= seen + 3, 20, "three more looks")
    assert len(checker.sums) > 1
    checker = BankChecker(mysql97, "bank_check", bank.total)
    mysql97.execute("UPDATE bank_check.bank_a SET balance = balance - 1 WHERE id = 3")
    with mysql97.connect() as connection, connection.cursor() as cursor:
        checker.look(cursor)
    with pytest.raises(AssertionError, match="1 of 1 sums"):
        checker.check()
    mysql97.execute("DROP DATABASE bank_check")


def test_ladder_knows_what_its_table_holds(mariadb):
    mariadb.execute("DROP DATABASE IF EXISTS ladder_check")
    ladder = Ladder("ladder_check", keys=60, rollbacks=0.2).create(mariadb)
    Marker(mariadb, "ladder_check").create()
    with Writers(mariadb, ladder):
        wait_until(lambda: ladder.steps >= 60, 60, "60 transactions")
    found = mariadb.execute("SELECT k, v FROM ladder_check.ladder")
    assert dict(found) == ladder.rows_now()
    assert mariadb.execute("SELECT n FROM ladder_check.ladder_tick") == ((ladder.tick,),)
    assert max(ladder.version) > 3
    mariadb.execute("DROP DATABASE ladder_check")


def test_a_rolled_back_step_changes_nothing(mariadb):
    mariadb.execute("DROP DATABASE IF EXISTS ladder_check")
    ladder = Ladder("ladder_check", keys=60, rollbacks=1.0).create(mariadb)
    connection = mariadb.connect(autocommit=False)
    run_step(ladder, connection)
    connection.close()
    assert ladder.rows_now() == {} and mariadb.execute("SELECT COUNT(*) FROM ladder_check.ladder") == ((0,),)
    mariadb.execute("DROP DATABASE ladder_check")
