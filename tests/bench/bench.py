#!/usr/bin/env python3
"""./run bench [STAGE...] [--quick] [--rounds N] [--rows N]: each stage beside its limit, on servers of its own.

load      first load -> Kafka          | lower of {drained prepared SELECT, producer benchmark}, run together    >= 0.50
stream    binlog -> Kafka, 1,000-row transactions | lower of {raw binlog fetch, producer benchmark}, together     >= 0.50
apply     Kafka -> MySQL, first load   | LOAD DATA LOCAL of the same rows and commits                            >= 0.70
upsert    Kafka -> MySQL, updates      | 1,000-row INSERT .. ON DUPLICATE KEY UPDATE, the same commits            >= 0.75
parquet   rows in memory -> Parquet file, zstd    | DuckDB's COPY TO of the same rows, one thread, same codec      >= 0.50
lake-append     Kafka -> Iceberg, first load, until a reader has every row | a bare consumer of the same topic        >= 0.60
lake-upsert     Kafka -> Iceberg, every row updated: own CPU us a change, no equality delete left                    <= 3
lake-sink       the sink without Kafka: own CPU us a change, all over the table                                      <= 3
lake-freshness  source commit -> row read by DuckDB (p99), seconds above the commit interval                         <= 1
lake-steady     the same at 5,000 rows/s with upkeep all the while, seconds above what it is without upkeep          <= 1
lake-scan       DuckDB and Spark per live row, 10 % of the rows deleted | a freshly written table of the same rows             <= 1.3
memory    VmHWM at full rate, 10 tables, rows <= 1 KB                         capture <= 64 MiB, apply <= 80 MiB
latency   commit -> visible to read_committed at 5,000 rows/s | bare transactional loop at our commit interval    <= 5 ms more

Limits and product alternate in the same round; figures are medians over the rounds. Rates are taken between 10 % and 90 % of
the rows by a client that is not the product; the limits' over their whole run. `own` is CPU microseconds a row of the product,
`kafka`, `mysql` those of the servers beside it. Results are kept as JSON in $MILLRACE_CACHE/bench. The machine's other work
shows in every figure: repeat when `spread` (largest / smallest ratio of the rounds) is large.
"""

import argparse
import json
import os
import shutil
import sys
import time
from pathlib import Path

import stages
from rig import ROOT, Rig, median

GOALS = {"load": (">=", 0.50), "stream": (">=", 0.50), "apply": (">=", 0.70), "upsert": (">=", 0.75),
         "parquet": (">=", 0.50), "lake-append": (">=", 0.60), "lake-upsert": ("<=", 3.0), "lake-sink": ("<=", 3.0),
         "lake-freshness": ("<=", 1.0), "lake-steady": ("<=", 1.0), "lake-scan": ("<=", 1.3), "lake-scan-spark": ("<=", 1.3),
         "memory-capture": ("<=", 64), "memory-apply": ("<=", 80), "latency": ("<=", 5.0)}


def met(stage, value):
    sign, goal = GOALS[stage]
    return value >= goal if sign == ">=" else value <= goal


def short(value):
    if value is None:
        return ""
    if isinstance(value, dict):
        return " ".join(f"{k} {short(v)}" for k, v in value.items())
    if abs(value) >= 10000:
        return f"{value / 1000:.0f} k"
    return f"{value:.3g}"


def middle(rounds, key):
    values = [r[key] for r in rounds if r.get(key) is not None]
    if values and isinstance(values[0], dict):
        return {k: median([v[k] for v in values]) for k in values[0]}
    return median(values)


def print_table(results):
    print(f"\n{'stage':15} {'goal':>8} {'value':>7} {'':4} {'ours':>9} {'limit':>9} {'spread':>7}  CPU us/row, details")
    for stage, rounds in results.items():
        value = middle(rounds, "value")
        sign, goal = GOALS[stage]
        values = [r["value"] for r in rounds]
        spread = max(values) / min(values) if min(values) > 0 else 0
        more = {k: middle(rounds, k) for k in rounds[0] if k not in ("value", "ours", "limit", "load", "check")}
        print(f"{stage:15} {sign + format(goal, 'g'):>8} {value:7.2f} {'ok' if met(stage, value) else 'MISS':4} "
              f"{short(middle(rounds, 'ours')):>9} {short(middle(rounds, 'limit')):>9} {spread:7.2f}  {short(more)}")


def save(results, arguments):
    folder = Path(os.environ["MILLRACE_CACHE"]) / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / time.strftime("%Y%m%d-%H%M%S.json")
    path.write_text(json.dumps({"when": time.strftime("%F %T"), "rows": arguments.rows, "cpus": os.cpu_count(),
                                "stages": results, "median": {s: middle(r, "value") for s, r in results.items()}}, indent=1))
    return path


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", nargs="*", help=f"{' '.join(stages.STAGES)}; all of them without one")
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=1000000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--priority", type=int, default=0, help="nice value of everything measured (root: below 0)")
    parser.add_argument("--work", default="/tmp/millrace-bench", help="folder of the servers")
    parser.add_argument("--build", default=str(ROOT / "build/release"), help="folder of bin/ and bench/")
    parser.add_argument("--set", action="append", default=[], metavar="K=V", help="setting of the workers")
    parser.add_argument("--keep", action="store_true", help="leave the servers running")
    arguments = parser.parse_args()
    unknown = [s for s in arguments.stage if s not in stages.STAGES]
    if unknown:
        parser.error(f"no stage {unknown[0]}")
    if arguments.quick:
        arguments.rounds = 1
    return arguments


def main():
    arguments = parse()
    if arguments.priority:
        os.setpriority(os.PRIO_PROCESS, 0, arguments.priority)
    build = Path(arguments.build)
    rig = Rig(arguments.work, build / "bin", build / "bench", arguments.partitions)
    rig.rows, rig.rounds = arguments.rows, arguments.rounds
    rig.settings = dict(s.split("=", 1) for s in arguments.set)
    results = {}
    alone = arguments.stage and stages.ALONE.issuperset(arguments.stage)
    try:
        if not alone:
            rig.up()
            stages.warm_up(rig)
        for stage in arguments.stage or stages.STAGES:
            begin = time.monotonic()
            if not alone:
                rig.clean()
            for name, rounds in stages.STAGES[stage](rig).items():
                results[name] = rounds
            print(f"{stage}: {time.monotonic() - begin:.0f} s", flush=True)
    finally:
        if results:
            print_table(results)
            print(f"kept in {save(results, arguments)}")
        if not arguments.keep:
            rig.down()
            shutil.rmtree(rig.work)
    return 0 if all(met(s, middle(r, "value")) for s, r in results.items()) else 1


if __name__ == "__main__":
    sys.exit(main())
