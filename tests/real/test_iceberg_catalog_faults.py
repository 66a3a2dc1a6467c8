"""Apply is killed, frozen and thawed within a commit to a catalog that is a server: the tables are right, and every offset
range is in exactly one snapshot."""

import signal
import time

import pytest

from lib.catalogs import lake_at
from lib.deploy import Deployment
from lib.workload import Writers
from test_iceberg import QUICK
from test_iceberg_faults import Work, died


def die_and_go_on(work, name, nth):
    worker = work.apply
    worker.kill()
    worker.start(fault=f"{name}:{nth}")
    assert died(worker, 60), f"{name} was not passed {nth} times"
    assert worker.process.poll() == -signal.SIGKILL and f"name={name}" in worker.log
    worker.start()
    work.goes_on(f"apply goes on after {name}:{nth}", 120)


def deaths(binaries, kafka, tmp_path, mysql97, request, kind, points):
    with lake_at(kind, tmp_path, request, f"deaths_{kind}") as lake, Deployment(binaries, kafka, tmp_path, QUICK) as d:
        work = Work(d, f"deaths_{kind}", mysql97, lake, keys=300)
        with Writers(mysql97, work.ladder, work.bank, pause=0.01):
            for name, nth in points:
                die_and_go_on(work, name, nth)
        work.check()


@pytest.mark.slow
def test_a_death_around_the_post_of_a_commit_loses_and_doubles_nothing(binaries, kafka, tmp_path, mysql97, request):
    deaths(binaries, kafka, tmp_path, mysql97, request, "rest", [("lake.rest.before_post", 7), ("lake.rest.after_post", 8)])


@pytest.mark.slow
@pytest.mark.parametrize("kind, names", [
    ("rest", ["lake.rest.before_post", "lake.rest.after_post"]),
    ("pg15", ["lake.swap.before", "lake.swap.before_commit", "lake.swap.after_commit", "lake.metadata.after"]),
    ("mysql97", ["lake.swap.before", "lake.swap.before_commit", "lake.swap.after_commit", "lake.metadata.after"]),
])
def test_deaths_at_every_pass_of_a_swap_lose_and_double_nothing(binaries, kafka, tmp_path, mysql97, request, kind, names):
    deaths(binaries, kafka, tmp_path, mysql97, request, kind, [(name, nth) for name in names for nth in (1, 2, 5, 9)])


@pytest.mark.slow
@pytest.mark.parametrize("kind, name", [("rest", "lake.rest.before_post"), ("rest", "lake.rest.after_post"),
                                        ("pg15", "lake.swap.before"), ("pg15", "lake.swap.before_commit"),
                                        ("mysql97", "lake.swap.before_commit")])
def test_a_zombie_whose_commit_thaws_behind_a_take_over_commits_nothing(binaries, kafka, tmp_path, mysql97, request, kind, name):
    """At a SQL server it holds the lock of its table's row; the server ends its transaction in time."""
    with lake_at(kind, tmp_path, request, f"zombie_{kind}") as lake, Deployment(binaries, kafka, tmp_path, QUICK) as d:
        work = Work(d, f"zombie_{kind}", mysql97, lake, keys=300)
        with Writers(mysql97, work.ladder, work.bank, pause=0.01):
            work.apply.kill()
            work.apply.start(fault=f"{name}:12:sleep:3000")
            d.wait(lambda: f"name={name}" in work.apply.log, "the frozen commit has begun")
            work.apply.freeze()
            twin = d.start("apply", "b")
            d.wait(lambda: "event=target_claimed" in twin.log, "the twin has the tables", 120)
            work.goes_on("the twin goes on")
            work.apply.thaw()
            d.wait(lambda: "event=unit_lost" in work.apply.log, "the zombie knows")
            time.sleep(4)  # its commit is over
            work.goes_on("the twin still goes on")
        work.check()
