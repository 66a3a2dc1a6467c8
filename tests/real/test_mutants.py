"""A capture that drops, doubles or swaps one event in many must be caught: by the checkers, or by apply itself."""

from contextlib import suppress

import pytest

from lib import topics
from lib.deploy import Deployment
from lib.workload import Ladder, Marker, run_steps
from stack import StackError

EVERY = 700


def at_rest(d, task, marker, target):
    """Waits until the target has a marker, or the task an error, which is given back."""
    for _ in range(3):  # a mutant may take the marker itself
        marker.put()
        with suppress(StackError):
            d.wait(lambda: marker.arrived(target) or d.show(task)["err-msg"], "the marker or an error", 30)
            return d.show(task)["err-msg"]
    raise StackError("neither a marker nor an error")


def run(binaries, kafka, folder, mysql97, mariadb, name, mutant):
    for server in (mysql97, mariadb):
        server.execute(f"DROP DATABASE IF EXISTS {name}")
    ladder = Ladder(name, keys=300).create(mysql97)
    with Deployment(binaries, kafka, folder) as d:
        d.start("capture", MILLRACE_MUTANT=mutant)
        d.start("apply")
        task = d.create(name, mysql97, mariadb, databases=name)
        d.wait_state(task, phase="Incremental Sync")
        run_steps(ladder, mysql97, 250)
        error = at_rest(d, task, Marker(mysql97, name).create(), mariadb)
        assert not error, error
        topics.check_ladder(kafka.bootstrap, f"{name}.{name}.ladder", ladder.rows_now())
        d.equal(task, mysql97, mariadb, [(name, name)])
    return ladder


@pytest.mark.parametrize("mutant", ["drop", "double", "swap"])
def test_a_mutant_is_caught(binaries, kafka, tmp_path, mysql97, mariadb, mutant):
    with pytest.raises((AssertionError, topics.Findings)) as caught:
        run(binaries, kafka, tmp_path, mysql97, mariadb, f"mutant_{mutant}", f"{mutant}:{EVERY}")
    print(f"{mutant}: {str(caught.value)[:300]}")


def test_without_a_mutant_nothing_is_found(binaries, kafka, tmp_path, mysql97, mariadb):
    ladder = run(binaries, kafka, tmp_path, mysql97, mariadb, "mutant_none", "")
    assert ladder.rows > EVERY
