"""Random schemas and workloads, source against target, workers killed in between.

The long seeds run side by side, SIDE at a time, through one pair of workers: a seed waits most of its time.

`./run test` runs the seeds of QUICK; `./run faults --seeds A-B` the seeds A to B (1-500 without it). A seed replays alone:
--seeds N-N. Seeds that passed with this commit are kept in MILLRACE_SEEDS_DONE (a file), if set, and not run again.
The report counts rows per type and event over all seeds of the run; an empty cell fails the long run."""

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lib.deploy import Deployment
from lib.generator import World, differences
from lib.generator_types import CELLS, EVENTS, NO_KEY
from lib.workload import Marker

QUICK = (1, 2, 3, 4, 5)
LONG = (1, 500)
SIDE = 3
PATIENCE = 120  # seconds; a machine that does much else is slow
PAIRS = [("mysql97", "mariadb"), ("mysql80", "mysql97"), ("mariadb", "mysql97"), ("mysql97", "mysql80"), ("mariadb", "mariadb"),
         ("mysql97", "mysql97")]


class Done:
    """Seeds that are behind us, with what they counted."""

    def __init__(self):
        self.path = os.environ.get("MILLRACE_SEEDS_DONE")
        self.commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True,
                                     cwd=Path(__file__).parent).stdout.strip()
        self.count = Counter()
        self.seeds = set()
        self.lock = threading.Lock()
        if self.path and os.path.exists(self.path):
            for line in Path(self.path).read_text().splitlines():
                entry = json.loads(line)
                if entry["commit"] == self.commit:
                    self.add(entry)

    def add(self, entry):
        self.seeds.add(entry["seed"])
        for cell, event, n in entry["count"]:
            self.count[cell, event] += n

    def passed(self, seed, world, seconds):
        entry = {"commit": self.commit, "seed": seed, "seconds": round(seconds, 1),
                 "count": [[*key, n] for key, n in sorted(world.count.items())]}
        with self.lock:
            self.add(entry)
            if self.path:
                with open(self.path, "a") as file:
                    file.write(json.dumps(entry) + "\n")

    def report(self):
        lines = [f"{len(self.seeds)} seeds at {self.commit}", f"{'type':20}" + "".join(f"{e:>10}" for e in EVENTS)]
        for cell in CELLS:
            cells = ["-" if e == "key" and cell in NO_KEY else str(self.count[cell, e]) for e in EVENTS]
            lines.append(f"{cell:20}" + "".join(f"{c:>10}" for c in cells))
        return "\n".join(lines)

    def empty(self):
        return [(c, e) for c in CELLS for e in EVENTS if not (e == "key" and c in NO_KEY) and not self.count[c, e]]


@pytest.fixture(scope="module")
def done():
    done = Done()
    yield done
    if done.seeds:
        print("\n" + done.report())


@pytest.fixture(scope="module")
def workers(binaries, kafka, tmp_path_factory):
    """One pair of workers for all seeds."""
    with Deployment(binaries, kafka, tmp_path_factory.mktemp("generator")) as d:
        d.start_both()
        yield d


KILLING = threading.Lock()
EDITING = threading.Lock()  # of two edits of tasks at once one is refused


def kill(d, r):
    worker = r.choice(d.workers)
    with KILLING:
        worker.kill(signal.SIGKILL)
        worker.start()


def check(d, task, source, target, database, to_database, world):
    """Waits for a marker, then until nothing differs."""
    marker = Marker(source, database).create()
    marker.n = time.time_ns()
    marker.put()

    def arrived():
        stopped = [line for w in d.workers for line in w.log.splitlines()
                   if ("event=table_stopped" in line or "event=task_failed" in line) and (f"unit={task.name}" in line or f"task={task.name}" in line)]
        assert not stopped, "\n".join(line[:900] for line in stopped)
        return marker.arrived(target, to_database)

    d.wait(arrived, f"marker of {to_database}", PATIENCE)
    end = time.monotonic() + PATIENCE
    while found := differences(source, target, database, to_database, world):
        arrived()
        assert time.monotonic() < end, "\n".join(map(str, found))
        time.sleep(0.2)
    assert d.show(task)["state"] == "running"


def run_seed(seed, d, source, target, done, ddl, steps=120):
    r = random.Random(f"run {seed}")
    database, to_database = f"g{seed}", f"g{seed}_to"
    begin = time.monotonic()
    source.execute(f"DROP DATABASE IF EXISTS {database}")
    target.execute(f"DROP DATABASE IF EXISTS {to_database}")
    world = World(seed, source, database, ddl=ddl)
    world.create()
    world.load(r.randrange(60, 200))
    with EDITING:
        task = d.create(f"g{seed}", source, target, databases=f"{database}:{to_database}", format=r.choice(("avro", "json")),
                        delivery=r.choice(("exactly-once", "fast")), consistency=r.choice(("table", "task")))
    kills = {r.randrange(steps) for _ in range(2)}
    try:
        for step in range(steps):
            world.step()
            if step in kills:
                kill(d, r)
        check(d, task, source, target, database, to_database, world)
    except BaseException as failure:
        failure.add_note("\n".join([f"seed {seed}, {source.script} -> {target.script}", *(s[:300] for s in world.statements[-40:]), str(dict(world.refused))]))
        raise
    finally:
        world.close()
        with EDITING:
            d.drop(task)
    source.execute(f"DROP DATABASE {database}")
    target.execute(f"DROP DATABASE {to_database}")
    done.passed(seed, world, time.monotonic() - begin)


def servers(request, seed):
    source, target = PAIRS[seed % len(PAIRS)]
    return request.getfixturevalue(source), request.getfixturevalue(target)


@pytest.mark.parametrize("seed", QUICK)
def test_a_random_database_arrives(request, workers, done, seed):
    run_seed(seed, workers, *servers(request, seed), done, ddl=0.0, steps=60)


def chosen(config):
    first, last = LONG
    if config.getoption("--seeds"):
        first, last = map(int, config.getoption("--seeds").split("-"))
    return range(first, last + 1)


def pytest_generate_tests(metafunc):
    if "long_seed" in metafunc.fixturenames:
        metafunc.parametrize("long_seed", chosen(metafunc.config))


@pytest.fixture(scope="module")
def runs(request, workers, done):
    """Seed -> its run, going on beside the others."""
    seeds = [seed for seed in chosen(request.config) if seed not in done.seeds]
    pairs = {seed: servers(request, seed) for seed in seeds}
    with ThreadPoolExecutor(SIDE) as pool:
        yield {seed: pool.submit(run_seed, seed, workers, *pairs[seed], done, 0.1) for seed in seeds}
        pool.shutdown(cancel_futures=True)


@pytest.mark.slow
def test_a_random_database_under_ddl_arrives(runs, long_seed):
    if long_seed not in runs:
        pytest.skip("passed with this commit")
    runs[long_seed].result()


@pytest.mark.slow
def test_every_type_met_every_event(done):
    if len(done.seeds) < 100:
        pytest.skip("fewer than 100 seeds")
    assert not done.empty(), done.report()
