"""pause, resume, restart, drop; what a task keeps and what it forgets."""

import pytest

from lib import topics
from lib.deploy import CommandFailed, Deployment
from lib.workload import Ladder, Writers, run_steps
from stack import wait_until


@pytest.fixture
def shop(binaries, kafka, tmp_path, mysql97, mariadb):
    for server in (mysql97, mariadb):
        server.execute("DROP DATABASE IF EXISTS verbs")
    ladder = Ladder("verbs", keys=500).create(mysql97).fill(mysql97)
    with Deployment(binaries, kafka, tmp_path) as d:
        d.start_both()
        yield d, ladder, mysql97, mariadb


def test_a_pause_keeps_the_place_and_resume_goes_on_there(shop, kafka):
    d, ladder, source, target = shop
    task = d.create("verbs1", source, target, databases="verbs")
    with pytest.raises(CommandFailed, match="MR4006") as refused:
        d.verb("resume", task)
    assert refused.value.code == 1
    with Writers(source, ladder, pause=0.002):
        d.wait_state(task, phase="Incremental Sync")
        d.verb("pause", task)
        assert d.show(task)["state"] == "stopped" and d.show(task)["reason"] == "paused"
        at = ladder.steps
        wait_until(lambda: ladder.steps > at + 60, 60, "transactions while paused")
        before = target.execute("SELECT n FROM verbs.ladder_tick")
        d.verb("pause", task)  # no change, no error
        d.verb("resume", task)
        d.wait(lambda: target.execute("SELECT n FROM verbs.ladder_tick") > before, "changes after resume")
    d.caught_up(task, source, target, ["verbs"])
    found = topics.check_ladder(d.kafka.bootstrap, "verbs1.verbs.ladder", ladder.rows_now())
    assert found.counts["r"] <= 500  # loaded once


def test_a_clean_stop_of_both_workers_loses_nothing(shop):
    d, ladder, source, target = shop
    task = d.create("verbs2", source, target, databases="verbs")
    capture, apply = d.workers
    d.caught_up(task, source, target, ["verbs"])
    with Writers(source, ladder, pause=0.002):
        for _ in range(2):
            assert (capture.stop(), apply.stop()) == (0, 0)
            at = ladder.steps
            wait_until(lambda: ladder.steps > at + 20, 60, "transactions while down")
            capture.start()
            apply.start()
            d.wait(lambda: capture.ready and apply.ready, "both ready")
    d.caught_up(task, source, target, ["verbs"])
    topics.check_ladder(d.kafka.bootstrap, "verbs2.verbs.ladder", ladder.rows_now())


def test_restart_syncs_again_and_a_row_gone_at_the_source_is_gone_at_the_target(shop):
    d, ladder, source, target = shop
    task = d.create("verbs3", source, target, databases="verbs")
    d.caught_up(task, source, target, ["verbs"])
    target.execute("INSERT INTO verbs.ladder (k, v, pad) VALUES (100001, 1, 'not of the source')",
                   "UPDATE verbs.ladder SET pad = 'altered at the target' WHERE v = 1 LIMIT 3",
                   "DELETE FROM verbs.ladder WHERE v = 1 LIMIT 3")
    with Writers(source, ladder, pause=0.002):
        said = d.verb("restart", task, "-y")
        assert "loaded again" in said.stderr + said.stdout
        d.wait_state(task, phase="Incremental Sync")
    d.caught_up(task, source, target, ["verbs"])
    assert target.execute("SELECT COUNT(*) FROM verbs.ladder WHERE k = 100001") == ((0,),)
    tables = {name for name, in target.execute("SHOW TABLES FROM verbs")}
    assert tables == {"ladder", "ladder_tick", "marker"}, "hidden tables of the re-sync are left"


def test_rows_gone_while_the_task_was_stopped_are_gone_after_a_restart(shop):
    d, ladder, source, target = shop
    task = d.create("verbs4", source, target, databases="verbs")
    d.caught_up(task, source, target, ["verbs"])
    d.verb("pause", task)
    source.execute("DELETE FROM verbs.ladder WHERE k < 50")
    source.execute("FLUSH BINARY LOGS", "PURGE BINARY LOGS BEFORE '2099-01-01 00:00:00'")
    d.verb("restart", task, "-y")
    d.caught_up(task, source, target, ["verbs"])
    assert d.show(task)["state"] == "running"


def test_the_time_of_an_idle_table_keeps_moving(shop):
    d, ladder, source, target = shop
    task = d.create("verbs6", source, target, databases="verbs")
    d.caught_up(task, source, target, ["verbs"])

    def times():
        return set(d.show(task)["checkpoints"].values())
    d.wait(lambda: None not in times(), "a time of every table", 10)
    for _ in range(2):
        before = times()
        d.wait(lambda: not before & times(), "a later time of every table", 10)
        assert d.show(task)["lag-ms"] < 5000


def test_drop_ends_the_task_and_keeps_the_tables(shop):
    d, ladder, source, target = shop
    task = d.create("verbs5", source, target, databases="verbs")
    d.caught_up(task, source, target, ["verbs"])
    d.drop(task)
    with pytest.raises(CommandFailed, match="MR4004"):
        d.show(task)
    run_steps(ladder, source, 3)
    assert target.execute("SELECT COUNT(*) FROM verbs.ladder") == ((500,),)
    left = target.execute("SELECT COUNT(*) FROM millrace.millrace_checkpoint WHERE task = UNHEX(REPLACE("
                          f"'{task.id}', '-', ''))")
    assert left == ((0,),)
    target.execute("DROP DATABASE verbs")
    again = d.create("verbs5", source, target, databases="verbs")
    assert again.id != task.id
    d.caught_up(again, source, target, ["verbs"])
