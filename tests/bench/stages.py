"""The stages of bench.py. Each gives {name: [round, ...]}; a round has `value` (what the goal is about), `ours`, `limit`."""

import os
import sys
import time
from pathlib import Path

import duckdb
import lake_stages
import pymysql
from rig import COLUMNS, Cpu, Rate, topics, wait_until

SAMPLE = 50  # every so many rows are decoded and compared
APPLY_MIB_MAX = 90  # in any round of memory
COMMIT_ROWS = 20000  # of the limits of apply: its own apply.batch.rows


def say(text):
    print(text, flush=True)


def warm_up(rig):
    """A fresh JVM spends three times as much a row in its first minute."""
    rig.table("t", rig.rows)
    with rig.deployment(rig.settings) as d:
        d.start("capture")
        task = d.create(rig.name("warm"), rig.source, None, None, "bench.t", partitions=rig.partitions)
        rig.sample = f"{task.prefix}.bench.t"
        rig.wait_topics([rig.sample])
        Rate(lambda: rig.offsets([rig.sample]), rig.rows).arrive(300)
    begin = time.monotonic()
    while time.monotonic() - begin < 60:
        producer = rig.producer(rig.sample, rig.rows)
        rig.together(producer, lambda: rig.probe("probe_source", "select", rig.source.uri(), "bench", "t"))
    say(f"warm: {os.getloadavg()[0]:.1f} processes waiting")


# ---- content ----

def key_of(message):
    number = shift = 0
    for byte in message.key()[5:]:
        number |= (byte & 127) << shift
        shift += 7
    return number >> 1


def check_topic(rig, topic, rows, table):
    """Every key once and no other; a sample of the rows, column by column, as the source has them."""
    schemas = topics.Schemas(rig.kafka.bootstrap)
    seen = bytearray(rows + 1)
    sample = {}
    for message in topics.records(rig.kafka.bootstrap, [topic]):
        key = key_of(message)
        seen[key] += 1
        if key % SAMPLE == 0:
            sample[key] = schemas.decode(message.value())["after"]
    assert seen.count(1) == rows, f"{topic}: {seen.count(1)} of {rows} keys once"
    stored = rig.source.execute(f"select id, a, b, c, d, h, i from bench.{table} where id % {SAMPLE} = 0")
    wrong = [r[0] for r in stored if tuple(sample[r[0]][c] for c in "a b c d h i".split()) != r[1:]]
    assert len(sample) == len(stored) and not wrong, f"{topic}: {len(sample)} of {len(stored)}, other values in {wrong[:3]}"


def check_target(rig, table, copy):
    sums = [server.execute(f"select count(*), sum(crc32(concat_ws('|', id, a, b, c, d, e, f, g, h, i))) from bench.{name}")[0]
            for server, name in ((rig.source, table), (rig.target, copy))]
    assert sums[0] == sums[1], f"{table}: source {sums[0]}, target {sums[1]}"


# ---- capture ----

def both_limits(rig, start):
    source, kafka = rig.together(rig.producer(rig.sample, rig.rows), start)
    return rig.rows / source["seconds"], rig.rows / kafka["seconds"], {"producer": kafka["cpu_us"]}


def round_of(rig, ours, source, kafka, cpu):
    limit = min(source, kafka)
    found = {"value": ours / limit, "ours": ours, "limit": limit, "source": source, "producer": kafka, **cpu,
             "load": os.getloadavg()[0]}
    say(f"  ours {ours / 1e3:.0f} k/s, source {source / 1e3:.0f} k/s, producer {kafka / 1e3:.0f} k/s, ratio "
        f"{found['value']:.2f}; us/row {cpu}; load {found['load']:.1f}")
    return found


def load(rig):
    rounds = []
    rig.table("t", rig.rows)
    with rig.deployment(rig.settings) as d:
        worker = d.start("capture")
        for _ in range(rig.rounds):
            source, kafka, limit_cpu = both_limits(
                rig, lambda: rig.probe("probe_source", "select", rig.source.uri(), "bench", "t"))
            cpu = Cpu(own=worker.pid, kafka=rig.kafka.pid, mysql=rig.source.pid)
            task = d.create(rig.name("load"), rig.source, None, None, "bench.t", partitions=rig.partitions)
            topic = f"{task.prefix}.bench.t"
            rig.wait_topics([topic])
            ours = Rate(lambda: rig.offsets([topic]), rig.rows).wait(300)
            rounds.append(round_of(rig, ours, source, kafka, {**cpu.per_row(rig.rows), **limit_cpu}))
            d.wait_state(task, phase="Incremental Sync")
            d.drop(task)
        check_topic(rig, topic, rig.rows, "t")
        say(f"  content of {topic}: right; capture's peak {worker.peak_rss / 2**20:.0f} MiB")
    return {"load": rounds}


def inserts_of(rig):
    """bench.t into bench.s, 1,000 rows a transaction."""
    rig.source.execute("drop table if exists bench.s", "create table bench.s like bench.t")
    return [f"insert into bench.s select * from bench.t where id between {k + 1} and {k + 1000}"
            for k in range(0, rig.rows, 1000)]


def stream(rig):
    rounds = []
    rig.table("t", rig.rows)
    inserts = inserts_of(rig)
    with rig.deployment(rig.settings) as d:
        worker = d.start("capture")
        tasks = [d.create(rig.name("stream"), rig.source, None, None, "bench.s", "--no-full", partitions=rig.partitions)
                 for _ in range(rig.rounds)]
        for task in tasks:
            d.wait_state(task, phase="Incremental Sync")
            d.verb("pause", task)
        begin = rig.position()
        rig.spread([inserts])
        end = rig.position()
        for task in tasks:
            source, kafka, limit_cpu = both_limits(
                rig, lambda: rig.probe("probe_source", "fetch", rig.source.uri(), begin, end))
            cpu = Cpu(own=worker.pid, kafka=rig.kafka.pid, mysql=rig.source.pid)
            d.verb("resume", task)
            topic = f"{task.prefix}.bench.s"
            rig.wait_topics([topic])
            ours = Rate(lambda: rig.offsets([topic]), rig.rows).wait(300)
            rounds.append(round_of(rig, ours, source, kafka, {**cpu.per_row(rig.rows), **limit_cpu}))
        for task in tasks:
            d.drop(task)
        check_topic(rig, topic, rig.rows, "s")
        say(f"  content of {topic}: right; capture's peak {worker.peak_rss / 2**20:.0f} MiB")
    return {"stream": rounds}


# ---- apply ----

def progress(rig, table, condition="true"):
    """Rows there, seen by a hundred keys spread over the table."""
    connection = rig.target.connect()
    cursor = connection.cursor()
    keys = ", ".join(str(max(1, rig.rows * k // 100)) for k in range(1, 101))

    def look():
        try:
            cursor.execute(f"select count(*) from bench.{table} where id in ({keys}) and {condition}")
        except pymysql.err.ProgrammingError:  # not made yet
            return 0
        return cursor.fetchone()[0] * rig.rows // 100
    return look


def apply_round(rig, worker, look, limit):
    cpu = Cpu(own=worker.pid, kafka=rig.kafka.pid, mysql=rig.target.pid)
    ours = Rate(look, rig.rows, 0.05).wait(600)
    theirs = rig.rows / limit["seconds"]
    found = {"value": ours / theirs, "ours": ours, "limit": theirs, **cpu.per_row(rig.rows), "load": os.getloadavg()[0]}
    say(f"  ours {ours / 1e3:.0f} k/s, limit {theirs / 1e3:.0f} k/s, ratio {found['value']:.2f}; us/row "
        f"{cpu.per_row(rig.rows)}; load {found['load']:.1f}")
    return found


def probe_table(rig, rows_of=None):
    rig.target.execute("create database if not exists bench", "drop table if exists bench.probe",
                       f"create table bench.probe ({COLUMNS})")
    if rows_of:
        rig.target.execute(f"insert into bench.probe select * from bench.{rows_of}")


def apply(rig):
    rounds = []
    rig.table("t", rig.rows)
    path = rig.work / "rows.tsv"
    path.unlink(missing_ok=True)
    rig.source.execute(f"select * from bench.t order by id into outfile '{path}'")
    with rig.deployment(rig.settings) as d:
        d.start("capture")
        for _ in range(rig.rounds):
            name = rig.name("a")
            probe_table(rig)
            limit = rig.result(rig.probe("probe_source", "load", rig.target.uri(), "bench", "probe", path, COMMIT_ROWS))
            task = d.create(name, rig.source, rig.target, None, f"bench.t:bench.{name}", partitions=rig.partitions)
            topic = f"{task.prefix}.bench.t"
            rig.wait_topics([topic])
            Rate(lambda: rig.offsets([topic]), rig.rows).arrive(300)
            worker = d.start("apply", name)
            rounds.append(apply_round(rig, worker, progress(rig, name), limit))
            d.wait_state(task, 120, phase="Incremental Sync")
            check_target(rig, "t", name)
            d.drop(task)
            worker.stop()
    say("  content of the target: right")
    return {"apply": rounds}


def odku_file(rig, path):
    """bench.u as 1,000-row statements, COMMIT_ROWS a transaction."""
    names = "id a b c d e f g h i".split()
    tail = " ON DUPLICATE KEY UPDATE " + ", ".join(f"{c}=VALUES({c})" for c in names[1:])
    connection = rig.source.connect()
    cursor = connection.cursor()
    with open(path, "w") as out:
        for k in range(0, rig.rows, 1000):
            cursor.execute(f"select * from bench.u where id between {k + 1} and {k + 1000}")
            values = ",".join(connection.escape(row) for row in cursor.fetchall())
            out.write("BEGIN\n" if k % COMMIT_ROWS == 0 else "")
            out.write(f"INSERT INTO bench.probe VALUES {values}{tail}\n")
            out.write("COMMIT\n" if (k + 1000) % COMMIT_ROWS == 0 or k + 1000 >= rig.rows else "")


def upsert(rig):
    rounds = []
    rig.table("u", rig.rows)
    path = rig.work / "odku.sql"
    with rig.deployment(rig.settings) as d:
        d.start("capture")
        first = d.start("apply", "first")
        name = rig.name("u")
        task = d.create(name, rig.source, rig.target, None, f"bench.u:bench.{name}", partitions=rig.partitions)
        d.wait_state(task, 300, phase="Incremental Sync")
        first.stop()
        topic = f"{task.prefix}.bench.u"
        base = rig.source.execute("select max(i) from bench.u")[0][0] // 10000000 * 10000000
        for number in range(1, rig.rounds + 1):
            before = rig.offsets([topic])
            least = base + number * 10000000
            rig.spread([[f"update bench.u set a = concat('new ', id), i = {least} + id "
                         f"where id between {k + 1} and {k + 1000}" for k in range(0, rig.rows, 1000)]])
            probe_table(rig, name)
            odku_file(rig, path)
            limit = rig.result(rig.probe("probe_source", "run", rig.target.uri(), path))
            Rate(lambda: rig.offsets([topic]) - before, rig.rows).arrive(300)
            worker = d.start("apply", f"{name}-{number}")
            rounds.append(apply_round(rig, worker, progress(rig, name, f"i >= {least}"), limit))
            time.sleep(2)
            worker.stop()
        check_target(rig, "u", name)
        d.command("task", "drop", "--task-name", name, "-y", "--timeout", "5s", check=False)
        d.tasks.remove(task)
    say("  content of the target: right")
    return {"upsert": rounds}


# ---- memory ----

def memory(rig):
    names = [f"w{k}" for k in range(10)]
    rows = min(rig.rows // 10, 50000)
    for name in names:
        rig.table(name, rows, wide=True)
    rounds = []
    for _ in range(rig.rounds):
        with rig.deployment(rig.settings) as d:
            capture, writer = d.start_both()
            copy = rig.name("m")
            rig.target.execute("create database if not exists bench")
            tables = ",".join(f"bench.{n}:bench.{n}_{copy}" for n in names)
            task = d.create(copy, rig.source, rig.target, None, tables, partitions=rig.partitions)
            d.wait_state(task, 300, phase="Incremental Sync")
            rig.spread([[f"update bench.{n} set i = i + 1 where id between {k + 1} and {k + 1000}"
                         for k in range(0, rows, 1000)] for n in names])
            wait_until(lambda: all(equal(rig, n, f"{n}_{copy}") for n in names), 300, "equal tables", 1)
            found = {"capture": capture.peak_rss / 2**20, "apply": writer.peak_rss / 2**20, "load": os.getloadavg()[0]}
            say(f"  VmHWM MiB {found}")
            rounds.append(found)
            d.drop(task)
            rig.target.execute(*[f"drop table bench.{n}_{copy}" for n in names])
    assert max(r["apply"] for r in rounds) <= APPLY_MIB_MAX, "a round of apply is above what its budget allows"
    return {f"memory-{half}": [{"value": r[half], "load": r["load"]} for r in rounds] for half in ("capture", "apply")}


def equal(rig, table, copy):
    try:
        check_target(rig, table, copy)
        return True
    except AssertionError:
        return False


# ---- latency ----

def latency(rig):
    rounds = []
    rate, seconds, txn = 5000, 15, 10
    # The writer shall not wait for disks; what is measured begins when its commit returns.
    rig.source.execute("set global sync_binlog = 0", "set global innodb_flush_log_at_trx_commit = 2")
    with rig.deployment(rig.settings) as d:
        worker = d.start("capture")
        for _ in range(rig.rounds):
            rig.source.execute("create database if not exists bench", "drop table if exists bench.l",
                               f"create table bench.l ({COLUMNS})")
            task = d.create(rig.name("latency"), rig.source, None, None, "bench.l", "--no-full",
                            partitions=rig.partitions)
            d.wait_state(task, phase="Incremental Sync")
            rig.source.execute("insert into bench.l (id) values (-1)")  # the topic is made by the first row
            topic = f"{task.prefix}.bench.l"
            rig.wait_topics([topic])
            cpu, began, cuts = Cpu(own=worker.pid, kafka=rig.kafka.pid), time.monotonic(), cuts_of(worker)
            probe = rig.probe("probe_kafka", "follow", rig.kafka.bootstrap, topic, rig.partitions, rig.source.uri(), "bench",
                              "l", rate, txn, seconds)
            time.sleep(3)
            t0, n0 = time.monotonic(), cuts_of(worker)
            time.sleep(seconds - 5)
            interval = (time.monotonic() - t0) / (cuts_of(worker) - n0)
            metrics = worker.metrics()
            cut = sum(v for k, v in metrics.items() if k.startswith("millrace_cut_seconds_sum")) / sum(
                v for k, v in metrics.items() if k.startswith("millrace_cut_seconds_count"))
            ours = rig.result(probe)
            assert ours["rate"] > 0.9 * rate, f"the writer reached {ours['rate']:.0f} rows/s only"
            us = cpu.per_row(rate * seconds)
            d.drop(task)
            bare = rig.name("loop")
            rig.kafka.create_topic(bare, rig.partitions)
            limit = rig.result(rig.probe("probe_kafka", "loop", rig.kafka.bootstrap, bare, rig.partitions, rate, seconds,
                                         int(interval * 1e6), 256))
            found = {"value": (ours["p50_us"] - limit["p50_us"]) / 1e3, "ours": ours["p50_us"] / 1e3,
                     "limit": limit["p50_us"] / 1e3, "p99": ours["p99_us"] / 1e3, "loop p99": limit["p99_us"] / 1e3,
                     "interval": interval * 1e3, "cut": cut * 1e3, **us, "load": os.getloadavg()[0]}
            assert ours["missing"] == 0, f"{ours['missing']} rows were not seen"
            say("  ms " + ", ".join(f"{k} {v:.3g}" for k, v in found.items()))
            rounds.append(found)
    rig.source.execute("set global sync_binlog = 1", "set global innodb_flush_log_at_trx_commit = 1")
    return {"latency": rounds}


def cuts_of(worker):
    return sum(v for k, v in worker.metrics().items() if "cuts" in k)


# ---- files ----

def parquet(rig):
    """The writer alone; no server takes part. DuckDB reads both files and finds the same rows in them."""
    rounds = []
    ours_path, limit_path = rig.work / "ours.parquet", rig.work / "limit.parquet"
    for _ in range(rig.rounds):
        limit = rig.result(rig.run(sys.executable, Path(__file__).with_name("probe_duckdb.py"), rig.rows, "zstd", limit_path))
        ours = rig.result(rig.probe("lake_parquet", rig.rows, "zstd", ours_path))
        found = {"value": limit["seconds"] / ours["seconds"], "ours": rig.rows / ours["seconds"],
                 "limit": rig.rows / limit["seconds"], "own": ours["cpu_us"], "duckdb": limit["cpu_us"],
                 "bytes": ours["bytes"] / limit["bytes"], "load": os.getloadavg()[0]}
        rounds.append(found)
        say("  " + ", ".join(f"{k} {v:.3g}" for k, v in found.items()))
    same = f"select * from '{ours_path}' except all select * from '{limit_path}'"
    with duckdb.connect() as connection:
        differ = connection.execute(f"select count(*) from ({same})").fetchone()[0]
        count = connection.execute(f"select count(*) from '{ours_path}'").fetchone()[0]
    assert differ == 0 and count == rig.rows, f"{count} rows, {differ} differ from the limit's"
    say("  content of the file: right")
    return {"parquet": rounds}


ALONE = {"parquet", "lake-sink", "lake-scan"}  # stages without servers
STAGES = {"load": load, "stream": stream, "apply": apply, "upsert": upsert, "parquet": parquet, "lake-sink": lake_stages.sink,
          "lake-scan": lake_stages.scan, "lake-append": lake_stages.append, "lake-upsert": lake_stages.upsert,
          "lake-freshness": lake_stages.freshness, "lake-steady": lake_stages.steady, "memory": memory, "latency": latency}
