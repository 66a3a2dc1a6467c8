"""Tables that are loaded again while the task runs: after a replacement, after a stop, whatever dies meanwhile."""

import re

import pytest

from lib.deploy import Deployment
from stack import wait_until

CHUNKS = {"load.chunk.bytes": "64KiB", "load.connections": 1}


def numbers(first, last, pad, text="x"):
    """Statements of 500 rows (k, pad)."""
    return [",".join(f"({k}, REPEAT('{text}', {pad}))" for k in range(n, min(n + 500, last + 1))) for n in range(first, last + 1, 500)]


@pytest.fixture
def site(binaries, kafka, tmp_path, mysql97, mariadb):
    for server in (mysql97, mariadb):
        server.execute("DROP DATABASE IF EXISTS reload", "DROP DATABASE IF EXISTS aside")
    mysql97.execute("CREATE DATABASE reload", "CREATE DATABASE aside")
    for name in ("reload.t", "aside.t"):
        mysql97.execute(f"CREATE TABLE {name} (k INT PRIMARY KEY, pad VARCHAR(600))")
    with Deployment(binaries, kafka, tmp_path, CHUNKS) as d:
        yield d, mysql97, mariadb


def begun(capture):
    return len(re.findall(r"\bload_begin\b", capture.log))


def ended(capture):
    return len(re.findall(r"\bload_end\b", capture.log))


def test_a_load_of_a_table_that_was_loaded_before_survives_the_death_of_capture(site):
    d, source, target = site
    source.execute("INSERT INTO reload.t VALUES (1, 'old'), (2, 'old'), (99999, 'old')",
                   *(f"INSERT INTO aside.t VALUES {rows}" for rows in numbers(1, 30000, 500)))
    capture, _ = d.start_both()
    task = d.create("reload1", source, target, databases="reload")
    d.caught_up(task, source, target, ["reload"])
    loads = begun(capture)
    source.execute("RENAME TABLE reload.t TO aside.old, aside.t TO reload.t")
    wait_until(lambda: begun(capture) > loads, 30, "the second load")
    capture.kill()
    assert ended(capture) < begun(capture), "the load was over before the kill"
    capture.start()
    d.wait(lambda: target.execute("SELECT COUNT(*) FROM reload.t WHERE pad <> 'old'") == ((30000,),), "every row of the load")
    d.caught_up(task, source, target, ["reload"])


def test_a_table_that_was_stopped_is_loaded_whole_when_the_task_is_resumed(site):
    d, source, target = site
    source.execute("ALTER TABLE reload.t MODIFY pad LONGTEXT", *(f"INSERT INTO reload.t VALUES {rows}" for rows in numbers(1, 2000, 500)))
    capture, _ = d.start_both()
    task = d.create("reload2", source, target, "reload", None, "--set", "kafka.message.max.bytes=1MiB")
    d.caught_up(task, source, target, ["reload"])
    source.execute("INSERT INTO reload.t VALUES (5000, REPEAT('x', 2000000))")
    d.wait(lambda: "MR2006" in d.show(task)["err-msg"], "the table is stopped")
    source.execute("UPDATE reload.t SET pad = 'while it was stopped' WHERE k < 100", "DELETE FROM reload.t WHERE k > 1900")
    d.verb("pause", task)
    d.verb("resume", task)
    d.caught_up(task, source, target, ["reload"])


@pytest.mark.slow
@pytest.mark.parametrize("change", ["DROP COLUMN x", "MODIFY n BIGINT"])
def test_a_table_altered_while_it_is_loaded_and_never_written_again_is_loaded_to_its_end(site, change):
    d, source, target = site
    source.execute("ALTER TABLE reload.t ADD COLUMN x INT DEFAULT 5, ADD COLUMN n INT DEFAULT 6",
                   *(f"INSERT INTO reload.t (k, pad) VALUES {rows}" for rows in numbers(1, 60000, 500)))
    capture, _ = d.start_both()
    task = d.create("reload4", source, target, databases="reload")
    wait_until(lambda: begun(capture), 30, "the load")
    source.execute(f"ALTER TABLE reload.t {change}")
    assert not ended(capture), "the load was over before the change"
    d.caught_up(task, source, target, ["reload"])


@pytest.mark.slow
def test_a_table_dropped_and_made_again_while_it_is_loaded_anew_arrives(site):
    d, source, target = site
    source.execute(*(f"INSERT INTO reload.t VALUES {rows}" for rows in numbers(1, 30000, 500)))
    capture, _ = d.start_both()
    task = d.create("reload3", source, target, databases="reload")
    d.caught_up(task, source, target, ["reload"])
    loads = begun(capture)
    d.verb("restart", task, "-y")
    wait_until(lambda: "reload.t" in capture.log.split("load_begin", loads + 1)[-1] and begun(capture) > loads, 30, "the load anew")
    source.execute("DROP TABLE reload.t", "CREATE TABLE reload.t (k INT PRIMARY KEY, pad VARCHAR(600))",
                   "INSERT INTO reload.t VALUES (7, 'of the new table')")
    d.caught_up(task, source, target, ["reload"])
    assert begun(capture) > ended(capture), "the load was over before the drop"


def test_rows_of_a_dropped_task_of_the_name_with_another_schema_are_passed_over_quickly(site):
    d, source, target = site
    source.execute(*(f"INSERT INTO reload.t VALUES {rows}" for rows in numbers(1, 20000, 10)))
    d.start_both()
    for n in range(2):
        task = d.create("reload5", source, target, databases="reload")
        d.caught_up(task, source, target, ["reload"])
        d.drop(task)
        if n == 0:
            source.execute("ALTER TABLE reload.t ADD COLUMN x INT")
            target.execute("DROP DATABASE reload")
