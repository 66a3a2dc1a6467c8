"""SIGKILL under load: nothing lost, nothing doubled, and going on within seconds.

./run test kills 20 times; ./run faults (slow) at least 200 times over every kind of source, delivery and number of
workers."""

import statistics

import pytest

from lib import topics
from lib.deploy import Deployment
from lib.faults import KillLoop, Report, TopicTick, target_tick
from lib.workload import Bank, Ladder, Writers, new_seed

TARGET_OF = {"mysql97": "mariadb", "mysql80": "mysql97", "mariadb": "mysql97"}
KILLS_PER_CELL = 18


@pytest.fixture(scope="module")
def total():
    report = Report()
    yield report
    if report.kills:
        print(report.text())


def prepare(name, source, target, keys=1500):
    for server in (source, target):
        server.execute(f"DROP DATABASE IF EXISTS {name}")
    ladder = Ladder(name, keys=keys).create(source).fill(source)
    return ladder, Bank(name, accounts=50).create(source)


def check_all(d, task, ladder, source, target, delivery):
    d.caught_up(task, source, target, [ladder.database])
    void = topics.Void(d.kafka.bootstrap, task.progress_topic) if delivery == "fast" else None
    topics.check_ladder(d.kafka.bootstrap, f"{task.prefix}.{ladder.database}.ladder", ladder.rows_now(), "avro", void)
    assert d.show(task)["state"] == "running"


def kill_cell(d, source, target, delivery, twin, kills, total, folder, cell):
    name = cell.replace("-", "_")
    report = Report()
    ladder, bank = prepare(name, source, target)
    d.start_both("a")
    if twin:
        d.start_both("b")
    task = d.create(name, source, target, databases=name, delivery=delivery)
    d.wait_state(task, phase="Incremental Sync")
    with Writers(source, ladder, bank, pause=0.001), TopicTick(d.kafka, f"{name}.{name}.ladder_tick", "avro") as tick:
        d.wait(lambda: tick.n > 10 and target_tick(target, name) > 10, "the stream flows")
        loop = KillLoop(d, task, ladder, source, target, tick, report, cell, new_seed(cell))
        loop.run(kills, twin)
    check_all(d, task, ladder, source, target, delivery)
    report.save(folder, name)
    total.kills += report.kills
    report.check()
    return report


@pytest.mark.parametrize("source, delivery", [("mysql97", "exactly-once"), ("mariadb", "fast")])
def test_ten_kills(request, binaries, kafka, tmp_path, work, total, source, delivery):
    cell = f"quick-{source}-{delivery}"
    with Deployment(binaries, kafka, tmp_path) as d:
        report = kill_cell(d, request.getfixturevalue(source), request.getfixturevalue(TARGET_OF[source]), delivery,
                           False, 10, total, work, cell)
    assert statistics.median(k.first_change_ms for k in report.kills) <= 3000


@pytest.mark.slow
@pytest.mark.parametrize("twin", [False, True], ids=["one", "twin"])
@pytest.mark.parametrize("delivery", ["exactly-once", "fast"])
@pytest.mark.parametrize("source", ["mysql97", "mysql80", "mariadb"])
def test_kills_at_random(request, binaries, kafka, tmp_path, work, total, source, delivery, twin):
    cell = f"{source}-{delivery}-{'twin' if twin else 'one'}"
    with Deployment(binaries, kafka, tmp_path) as d:
        report = kill_cell(d, request.getfixturevalue(source), request.getfixturevalue(TARGET_OF[source]), delivery,
                           twin, KILLS_PER_CELL, total, work, cell)
    limit = 8000 if twin else 3000  # a twin waits for the heartbeat limit (5 s) first
    assert statistics.median(k.first_change_ms for k in report.kills) <= limit


@pytest.mark.slow
def test_two_hundred_kills_were_made_and_nine_in_ten_in_flight(total):
    assert len(total.kills) >= 200
    total.check()
