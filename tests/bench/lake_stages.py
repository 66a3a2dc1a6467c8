"""The stages of bench.py into an Iceberg lakehouse: a local folder and a SQLite catalog, read by DuckDB."""

import datetime
import os
import shutil
import sqlite3
import statistics
import threading
import time

from rig import Cpu, Rate
from lib import spark
from lib.lakehouse import Lakehouse

INTERVAL_MS = 2000  # of freshness
TIMED = 5
SPARK_WARM = 8


def say(text):
    print(text, flush=True)


def fresh_lake(rig, name):
    folder = rig.work / "lake"
    shutil.rmtree(folder / name, ignore_errors=True)
    lake = Lakehouse(folder / name)
    lake.duckdb(), lake.load("no.table")  # the readers are loaded before a clock runs
    return lake


def scan_of(lake, table):
    return f"iceberg_scan('{lake.load(table).metadata_location}')"


def rows_where(lake, table, condition="true"):
    loaded = lake.load(table)
    if loaded is None or loaded.current_snapshot() is None:
        return 0
    return lake.duckdb().count(f"iceberg_scan('{loaded.metadata_location}') WHERE {condition}")


def check_content(rig, lake, name, table):
    """Every row, by sums over all of them of a hash per row that both sides compute from texts."""
    columns = "id, a, b, c, e, f, g, h, i"
    text = "concat_ws('|', id, a, b, c, cast(e as char), cast(f as char), cast(g as char), h, i)"
    want = rig.source.execute(f"select count(*), sum(cast(conv(substr(sha2({text}, 256), 1, 12), 16, 10) as unsigned)), sum(d) "
                              f"from bench.{table}")[0]
    duck = text.replace("as char", "as varchar").replace("cast(g as varchar)", "strftime(g, '%Y-%m-%d %H:%M:%S.%f')") \
        .replace("cast(f as varchar)", "strftime(f, '%Y-%m-%d %H:%M:%S')")
    got = lake.duckdb().connection.execute(f"select count(*), sum(('0x' || substr(sha256({duck}), 1, 12))::ubigint), sum(d) from "
                                           f"(select {columns}, d from {scan_of(lake, name)})").fetchone()
    assert (int(want[0]), int(want[1])) == (int(got[0]), int(got[1])), f"{name}: source {want}, lake {got}"
    assert abs(want[2] - got[2]) <= 1e-9 * abs(want[2]), f"{name}: source {want}, lake {got}"
    summary = lake.load(name).current_snapshot().summary.additional_properties
    assert summary["total-equality-deletes"] == "0"


def claimed_at(worker):
    """When apply had the target, by its log: unix time."""
    line = next(text for text in worker.log.splitlines() if "event=target_claimed" in text)
    stamp = line.split("ts=")[1].split(" ")[0]
    return datetime.datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


def filled_topic(rig, d, task, table):
    topic = f"{task.prefix}.bench.{table}"
    rig.wait_topics([topic])
    Rate(lambda: rig.offsets([topic]), rig.rows).arrive(300)
    return topic


class Pointers:
    """Of the catalog, to every table's current state: a look costs nothing beside a reader, which would take CPU from what is
    measured if it looked as often."""

    def __init__(self, lake):
        self.catalog, self.seen = sqlite3.connect(lake.database, isolation_level=None, timeout=30), None

    def moved(self):
        before, self.seen = self.seen, self.catalog.execute("select metadata_location from iceberg_tables order by 1").fetchall()
        return self.seen != before

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.catalog.close()


def has_rows(lake, name, rows, condition):
    """The snapshot says what it can have at most."""
    loaded = lake.load(name)
    snapshot = loaded and loaded.current_snapshot()
    most = snapshot and snapshot.summary.additional_properties.get("total-records")
    return int(most or 0) >= rows and rows_where(lake, name, condition) >= rows


def wait_rows(lake, name, rows, condition="true", seconds=600):
    """When they are all there, unix time."""
    end = time.monotonic() + seconds
    with Pointers(lake) as pointers:
        while not (pointers.moved() and has_rows(lake, name, rows, condition)):
            if time.monotonic() > end:
                raise TimeoutError(f"{rows_where(lake, name, condition)} of {rows} rows of {name} after {seconds} s")
            time.sleep(0.01)
    return time.time()


def bare_consumer(rig, topic):
    """The same topic polled by librdkafka alone, with its own defaults: nothing decoded, nothing kept."""
    return rig.result(rig.probe("probe_kafka", "consume", rig.kafka.bootstrap, topic, rig.partitions, rig.rows))


def append(rig):
    """Kafka -> Iceberg, first load: from apply's claim until a reader has every row; the bare consumer before and after."""
    rounds = []
    rig.table("t", rig.rows)
    with rig.deployment(rig.settings) as d:
        d.start("capture")
        for _ in range(rig.rounds):
            name = rig.name("l")
            lake = fresh_lake(rig, name)
            task = d.create(name, rig.source, lake, None, f"bench.t:bench.{name}", partitions=rig.partitions)
            topic = filled_topic(rig, d, task, "t")
            limits = [bare_consumer(rig, topic)]
            worker = d.start("apply", name)
            cpu = Cpu(own=worker.pid, kafka=rig.kafka.pid)
            there = wait_rows(lake, f"bench.{name}", rig.rows)
            seconds, us = there - claimed_at(worker), cpu.per_row(rig.rows)
            limits.append(bare_consumer(rig, topic))
            limit = statistics.mean(x["seconds"] for x in limits)
            found = {"value": limit / seconds, "ours": rig.rows / seconds, "limit": rig.rows / limit, **us,
                     "consumer": statistics.mean(x["cpu_us"] for x in limits), "rss": worker.peak_rss / 2**20,
                     "load": os.getloadavg()[0]}
            rounds.append(found)
            say("  " + ", ".join(f"{k} {v:.3g}" for k, v in found.items()))
            d.wait_state(task, 120, phase="Incremental Sync")
            check_content(rig, lake, f"bench.{name}", "t")
            d.drop(task)
            worker.stop()
    say("  content of the lake: right, no equality deletes")
    return {"lake-append": rounds}


def upsert(rig):
    """Kafka -> Iceberg, every row updated: own CPU a change."""
    rounds = []
    rig.table("u", rig.rows)
    with rig.deployment(rig.settings) as d:
        d.start("capture")
        first = d.start("apply", "first")
        name = rig.name("lu")
        lake = fresh_lake(rig, name)
        task = d.create(name, rig.source, lake, None, f"bench.u:bench.{name}", partitions=rig.partitions)
        wait_rows(lake, f"bench.{name}", rig.rows)
        d.wait_state(task, 300, phase="Incremental Sync")
        first.stop()
        topic = f"{task.prefix}.bench.u"
        base = rig.source.execute("select max(i) from bench.u")[0][0] // 10000000 * 10000000
        for number in range(1, rig.rounds + 1):
            before, least = rig.offsets([topic]), base + number * 10000000
            rig.spread([[f"update bench.u set a = concat('new ', id), i = {least} + id where id between {k + 1} and {k + 1000}"
                         for k in range(0, rig.rows, 1000)]])
            Rate(lambda: rig.offsets([topic]) - before, rig.rows).arrive(300)
            worker = d.start("apply", f"{name}-{number}")
            cpu = Cpu(own=worker.pid, kafka=rig.kafka.pid)
            there = wait_rows(lake, f"bench.{name}", rig.rows, f"i >= {least}")
            seconds, us = there - claimed_at(worker), cpu.per_row(rig.rows)
            found = {"value": us["own"], "ours": rig.rows / seconds, "limit": None, **us, "rss": worker.peak_rss / 2**20,
                     "load": os.getloadavg()[0]}
            rounds.append(found)
            say("  " + ", ".join(f"{k} {v:.3g}" for k, v in found.items() if v is not None))
            worker.stop()
        check_content(rig, lake, f"bench.{name}", "u")
        d.command("task", "drop", "--task-name", name, "-y", "--timeout", "5s", check=False)
        d.tasks.remove(task)
    say("  content of the lake: right, no equality deletes")
    return {"lake-upsert": rounds}


class Clock(threading.Thread):
    """So many rows a second, in transactions of so many, and when each was committed."""

    def __init__(self, source, table, seconds, rate=200, rows=1):
        super().__init__(daemon=True)
        self.source, self.table, self.seconds, self.rate, self.rows, self.committed = source, table, seconds, rate, rows, []

    def run(self):
        with self.source.connect(autocommit=True) as connection, connection.cursor() as cursor:
            begin = time.monotonic()
            while time.monotonic() < begin + self.seconds:
                first = len(self.committed)
                cursor.execute(f"insert into bench.{self.table} (id) values " +
                               ",".join(f"({n})" for n in range(first, first + self.rows)))
                self.committed += [time.time()] * self.rows
                time.sleep(max(0, begin + len(self.committed) / self.rate - time.monotonic()))


def seen_rows(lake, name, clock):
    """When each row was first there for a reader; ids are dense, so the number of rows tells which are."""
    seen = []
    end = time.monotonic() + clock.seconds + 60
    with Pointers(lake) as pointers:
        while clock.is_alive() or len(seen) < len(clock.committed):
            assert time.monotonic() < end, f"{len(seen)} of {len(clock.committed)} rows are there"
            if pointers.moved():
                n = rows_where(lake, name)
                seen += [time.time()] * (n - len(seen))
            time.sleep(0.01)
    return seen


def freshness(rig):
    """From the commit at the source until DuckDB reads the row, less the commit interval: the 99th of a hundred rows."""
    rounds = []
    with rig.deployment({**rig.settings, "iceberg.commit.ms": INTERVAL_MS}) as d:
        d.start_both()
        for _ in range(rig.rounds):
            name = rig.name("f")
            rig.source.execute("create database if not exists bench", f"create table bench.{name} (id bigint primary key)")
            lake = fresh_lake(rig, name)
            task = d.create(name, rig.source, lake, None, f"bench.{name}", partitions=1)
            d.wait_state(task, phase="Incremental Sync")
            clock = Clock(rig.source, name, 20)
            clock.start()
            seen = seen_rows(lake, f"bench.{name}", clock)
            late = sorted(b - a for a, b in zip(clock.committed, seen))
            assert rows_where(lake, f"bench.{name}", f"id < {len(late)}") == len(late) == rows_where(lake, f"bench.{name}")
            p99 = late[len(late) * 99 // 100]
            found = {"value": p99 - INTERVAL_MS / 1000, "ours": p99, "limit": INTERVAL_MS / 1000, "p50": late[len(late) // 2],
                     "max": late[-1], "load": os.getloadavg()[0]}
            rounds.append(found)
            say("  s " + ", ".join(f"{k} {v:.3g}" for k, v in found.items()))
            d.drop(task)
    return {"lake-freshness": rounds}


STEADY = {"iceberg.commit.ms": 1000, "iceberg.snapshots.age.ms": 5000}


def steady_late(rig, upkeep):
    """Of 5,000 rows a second: the 99th of a hundred, seconds; with many commits a compaction, or without any upkeep."""
    settings = {**rig.settings, **STEADY, "iceberg.maintain.ms": 1000 if upkeep else 0}
    with rig.deployment(settings) as d:
        worker, name = d.start_both()[1], rig.name("s")
        rig.source.execute("create database if not exists bench", f"create table bench.{name} (id bigint primary key)")
        lake = fresh_lake(rig, name)
        task = d.create(name, rig.source, lake, None, f"bench.{name}", partitions=1)
        d.wait_state(task, phase="Incremental Sync")
        clock = Clock(rig.source, name, 30, 5000, 50)
        clock.start()
        seen = seen_rows(lake, f"bench.{name}", clock)
        late = sorted(b - a for a, b in zip(clock.committed, seen))
        assert len(late) == len(clock.committed) == rows_where(lake, f"bench.{name}")
        compactions = worker.log.count(f"event=lake_compacted task={task.name} ")
        assert (compactions > 1) == upkeep
        say(f"  {'upkeep' if upkeep else 'none'}: s p50 {late[len(late) // 2]:.3g}, p99 {late[len(late) * 99 // 100]:.3g}, "
            f"max {late[-1]:.3g}, {len(late) / 30:.0f} rows/s, compactions {compactions}")
        d.drop(task)
        return late[len(late) * 99 // 100]


def steady(rig):
    """How much later rows come when small files are compacted and snapshots expire all the while."""
    rounds = []
    for _ in range(rig.rounds):
        without, ours = steady_late(rig, False), steady_late(rig, True)
        rounds.append({"value": ours - without, "ours": ours, "limit": without, "load": os.getloadavg()[0]})
    return {"lake-steady": rounds}


# ---- scans: no server takes part ----

SCAN = "SELECT count(*), sum(id), sum(n), max(v) FROM {}"


def timed(connection, source):
    """(answer, seconds): warm, the median of several."""
    answer, times = connection.execute(SCAN.format(source)).fetchone(), []
    for _ in range(TIMED):
        begin = time.monotonic()
        assert connection.execute(SCAN.format(source)).fetchone() == answer
        times.append(time.monotonic() - begin)
    return answer, statistics.median(times)


def written(rig, name, *verbs):
    lake = fresh_lake(rig, name)
    rig.result(rig.probe("lake_sink", lake.uri, rig.rows, *verbs, f"data.dir={rig.work}/data"))
    return lake, scan_of(lake, "shop.t")


def scan(rig):
    """DuckDB and Spark over a table of which 10 % of the rows were deleted, beside one freshly written with the same live rows."""
    rounds, by_spark = [], []
    for _ in range(rig.rounds):
        holed, holed_source = written(rig, "holed", "fill", rig.rows, "thin", rig.rows)
        fresh, fresh_source = written(rig, "fresh", "sparse", rig.rows)
        connection = holed.duckdb().connection
        connection.execute("SET threads=1")
        question = SCAN.format("millrace.shop.t")
        for name, into, answers in (
                ("DuckDB", rounds, [timed(connection, source) for source in (holed_source, fresh_source)]),
                ("Spark", by_spark, [spark.timed(lake.database, lake.location, question, SPARK_WARM, TIMED) for lake in (holed, fresh)])):
            (ours, seconds), (limit, fresh_seconds) = answers
            assert ours == limit and ours[0] == rig.rows - (rig.rows + 9) // 10, f"{ours} and {limit}"
            into.append({"value": seconds / fresh_seconds, "ours": ours[0] / seconds, "limit": ours[0] / fresh_seconds,
                         "load": os.getloadavg()[0]})
            say(f"  {name}: " + ", ".join(f"{k} {v:.3g}" for k, v in into[-1].items()))
    say("  content of both: the same rows")
    return {"lake-scan": rounds, "lake-scan-spark": by_spark}


def sink(rig):
    """The sink without Kafka: own CPU a changed row, all over a table of so many keys."""
    rounds = []
    for _ in range(rig.rounds):
        lake = fresh_lake(rig, "sink")
        said = rig.result(rig.probe("lake_sink", lake.uri, 100000, "fill", rig.rows, "update", rig.rows // 2,
                                    f"data.dir={rig.work}/data"))
        found = {"value": said["update_cpu_us"], "ours": rig.rows / 2 / said["update_seconds"], "limit": None,
                 "fill": said["fill_cpu_us"], "read per 1000": said["update_read_per_1000"], "load": os.getloadavg()[0]}
        n = lake.duckdb().connection.execute(f"SELECT count(*), sum(n), count(DISTINCT id) FROM {scan_of(lake, 'shop.t')}").fetchone()
        half = rig.rows // 2
        assert n == (rig.rows, half * (half + 1) // 2, rig.rows), n
        rounds.append(found)
        say("  " + ", ".join(f"{k} {v:.3g}" for k, v in found.items() if v is not None))
    say("  content of the lake: right")
    return {"lake-sink": rounds}
