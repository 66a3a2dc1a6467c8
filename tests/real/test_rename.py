"""RENAME TABLE: within the selection the target follows by a rename of its own, without a load, whatever dies meanwhile; where
it cannot, the new name is loaded. The target then has the tables that the source has, and no other."""

import re

import pytest

from lib.deploy import Deployment
from lib.workload import Marker

SLOW = pytest.mark.slow
TARGET_OF = {"mysql97": "mariadb", "mysql80": "mysql97", "mariadb": "mysql97", "mysql57": "mariadb", "mariadb118": "mysql97"}
TABLES = ("plain", "altered", "one", "two", "freed", "taken", "chain", "reborn", "shop", "unique1")


class Site:
    def __init__(self, request, source, name):
        self.source, self.target = request.getfixturevalue(source), request.getfixturevalue(TARGET_OF[source])
        self.name, self.to = name, name + "_to"
        for server, database in ((self.source, name), (self.source, name + "_away"), (self.target, self.to)):
            server.execute(f"DROP DATABASE IF EXISTS `{database}`")
        self.source.execute(f"CREATE DATABASE {name} DEFAULT CHARACTER SET utf8mb4")
        for table in TABLES:
            self.make(table)

    def make(self, table, rows=5):
        unique = ", UNIQUE KEY u (n)" if table.startswith("unique") else ""
        self.run(f"CREATE TABLE {{d}}.{table} (id INT PRIMARY KEY, name VARCHAR(40), n INT{unique})",
                 *(f"INSERT INTO {{d}}.{table} VALUES ({i}, '{table}', {i * 10})" for i in range(rows)))

    def run(self, *statements):
        self.source.execute(*(s.format(d=self.name) for s in statements))

    def tables(self, server, database):
        return {name for name, in server.execute(
            f"SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{database}'")}

    def same_tables(self, but=()):
        return self.tables(self.source, self.name) == self.tables(self.target, self.to) - set(but)

    def arrives(self, d, task, skip=()):
        d.caught_up(task, self.source, self.target, [(self.name, self.to)], skip=skip)


def loads(d):
    """Tables whose loads ended, by captures' logs, but the marker's. (A name that is found ahead of the stream begins one, and is then met.)"""
    return [name for w in d.workers if w.half == "capture" for name in re.findall(r"event=load_end .*?topic=\S+?\.(\w+)\b(?!\.)", w.log) if name != "marker"]


def states(d, task):
    """Of the tables that do not stream."""
    return {t["table"]: t["state"] for t in d.show(task)["tables"] if t["state"] != "streaming"}


CHANGES = [
    ["RENAME TABLE {d}.plain TO {d}.plain2", "UPDATE {d}.plain2 SET n = n + 1", "DELETE FROM {d}.plain2 WHERE id = 3"],
    ["INSERT INTO {d}.altered VALUES (70, 'before', 1)", "ALTER TABLE {d}.altered RENAME TO {d}.altered2",
     "INSERT INTO {d}.altered2 VALUES (71, 'behind', 2)"],
    ["RENAME TABLE {d}.one TO {d}.tmp, {d}.two TO {d}.one, {d}.tmp TO {d}.two", "UPDATE {d}.one SET n = 7 WHERE id < 3",
     "DELETE FROM {d}.two WHERE id < 2"],
    ["DROP TABLE {d}.freed", "RENAME TABLE {d}.taken TO {d}.freed", "INSERT INTO {d}.freed VALUES (80, 'in its place', 1)"],
    ["RENAME TABLE {d}.chain TO {d}.chain2", "RENAME TABLE {d}.chain2 TO {d}.chain3", "INSERT INTO {d}.chain3 VALUES (9, 'third', 3)",
     "RENAME TABLE {d}.chain3 TO {d}.chain"],
    ["RENAME TABLE {d}.reborn TO {d}.kept", "CREATE TABLE {d}.reborn (id INT PRIMARY KEY, name VARCHAR(40), n INT)",
     "INSERT INTO {d}.reborn VALUES (1, 'new', 1)", "UPDATE {d}.kept SET name = 'old'"],
    ["RENAME TABLE {d}.unique1 TO {d}.unique2", "UPDATE {d}.unique2 SET n = 1000 WHERE id = 1", "UPDATE {d}.unique2 SET n = 10 WHERE id = 2"],
]


def check_renames(request, binaries, kafka, tmp_path, source, name, *flags):
    s = Site(request, source, name)
    with Deployment(binaries, kafka, tmp_path) as d:
        d.start_both()
        task = d.create(name, s.source, s.target, f"{name}:{s.to}", None, *flags)
        s.arrives(d, task)
        before = sorted(loads(d))
        assert before == sorted(TABLES), "each table is loaded once"
        for change in CHANGES:
            s.run(*change)
        s.arrives(d, task)
        assert sorted(loads(d)) == before, "a rename is followed without a load"
        assert s.same_tables()
        shown = d.wait_state(task, phase="Incremental Sync")
        assert shown["state"] == "running" and not shown["err-msg"], shown
        d.wait(lambda: set(states(d, task).values()) == {"dropped at the source"}, "names that are gone are said to be")
        assert set(states(d, task)) == {"plain", "altered", "tmp", "taken", "chain2", "chain3", "unique1"}
        d.workers[1].kill()
        d.workers[1].start()
        s.run("INSERT INTO {d}.plain2 VALUES (99, 'after a start', 1)", "INSERT INTO {d}.one VALUES (99, 'after a start', 1)",
              "RENAME TABLE {d}.one TO {d}.plain", "UPDATE {d}.plain SET name = 'again'")
        s.arrives(d, task)
        d.workers[0].kill()
        s.run("UPDATE {d}.kept SET n = 5", "RENAME TABLE {d}.kept TO {d}.new1", "RENAME TABLE {d}.new1 TO {d}.new2", "RENAME TABLE {d}.shop TO {d}.chain2",
              "DELETE FROM {d}.new2 WHERE id < 2", "RENAME TABLE {d}.unique2 TO {d}.tmp, {d}.reborn TO {d}.unique2, {d}.tmp TO {d}.reborn",
              "UPDATE {d}.reborn SET n = n + 3 ORDER BY n DESC")
        d.workers[0].start()
        s.arrives(d, task)
        assert s.same_tables() and sorted(loads(d)) == before, "renames that were made while capture was away"


def test_a_table_renamed_within_the_selection_is_renamed_at_the_target(request, binaries, kafka, tmp_path):
    check_renames(request, binaries, kafka, tmp_path, "mysql97", "renames")


@SLOW
@pytest.mark.parametrize("source", ["mysql80", "mariadb", "mysql57", "mariadb118"])
def test_renames_are_followed_from_every_server(request, binaries, kafka, tmp_path, source):
    check_renames(request, binaries, kafka, tmp_path, source, "renames_" + source)


@SLOW
def test_renames_are_followed_with_one_commit_for_all_tables(request, binaries, kafka, tmp_path):
    check_renames(request, binaries, kafka, tmp_path, "mysql97", "renames_task", "--consistency", "task")


def test_a_rename_that_cannot_be_followed_is_loaded_under_the_new_name(request, binaries, kafka, tmp_path):
    s = Site(request, "mysql97", "renload")
    with Deployment(binaries, kafka, tmp_path) as d:
        capture, _ = d.start_both()
        task = d.create("renload", s.source, s.target, f"renload:{s.to}")
        s.arrives(d, task)
        before = len(loads(d))
        s.run("ALTER TABLE {d}.plain ADD COLUMN extra INT DEFAULT 4, RENAME TO {d}.plain2", "UPDATE {d}.plain2 SET n = 1",
              "CREATE DATABASE {d}_away", "CREATE TABLE {d}_away.x (id INT PRIMARY KEY, other TEXT)", "INSERT INTO {d}_away.x VALUES (1, 'from outside')",
              "RENAME TABLE {d}.two TO {d}.two2", "RENAME TABLE {d}_away.x TO {d}.two", "RENAME TABLE {d}.one TO {d}_away.one", "RENAME TABLE {d}_away.one TO {d}.back",
              "INSERT INTO {d}.back VALUES (50, 'back', 5)")
        s.arrives(d, task, skip=("plain", "one"))
        assert sorted(loads(d)[before:]) == ["back", "plain2", "two"]
        assert s.same_tables(but={"plain", "one"}), "what is no longer there at the source is kept, as after DROP"
        gone = {n for n in ("plain", "one") if re.search(rf"event=source_table_dropped .*{n}\b", capture.log)}
        assert gone == {"plain", "one"}, "and said"
        d.wait(lambda: states(d, task) == {"plain": "dropped at the source", "one": "dropped at the source"}, lambda: states(d, task))


# third pass: behind the copy for the load and the rename, the removal
@pytest.mark.parametrize("fault", [None, "apply.intent.after_commit:3", pytest.param("apply.intent.before:3", marks=SLOW),
                                   pytest.param("apply.ddl.after:3", marks=SLOW), pytest.param("apply.intent.cleared:3", marks=SLOW)])
def test_a_load_that_a_rename_ends_leaves_no_table_behind(request, binaries, kafka, tmp_path, fault):
    """Under the name that is being loaded again stands another table. fault: it dies when that one is noted."""
    s = Site(request, "mysql97", "rencut")
    s.make("hundred", 100)
    with Deployment(binaries, kafka, tmp_path) as d:
        capture, apply = d.start_both()
        s.run("INSERT INTO {d}.one SELECT 10 + a.id + 100 * b.id + 10000 * c.id, 'x', 1 FROM {d}.hundred a, {d}.hundred b, {d}.hundred c WHERE c.id < 30")
        task = d.create("rencut", s.source, s.target, f"rencut:{s.to}")
        s.arrives(d, task)
        if fault:
            apply.kill()
            apply.start(fault)
        begun = capture.log.count("event=load_begin")
        s.run("ALTER TABLE {d}.one MODIFY name VARCHAR(39)")
        d.wait(lambda: capture.log.count("event=load_begin") > begun, "the load")
        capture.freeze()
        s.run("ALTER TABLE {d}.one MODIFY name VARCHAR(38)", "RENAME TABLE {d}.one TO {d}.was, {d}.two TO {d}.one", "DROP TABLE {d}.was")
        capture.thaw()
        if fault:
            d.wait(lambda: not apply.running, "the death")
            apply.start()
        s.arrives(d, task, skip=("two", "was"))
        assert re.search(r"event=table_resync .*\bone\b", apply.log) and re.search(r"event=table_renamed .*\.two to", capture.log)
        d.wait(lambda: not s.target.execute(f"SHOW TABLES FROM {s.to} LIKE '\\_millrace%'"), "no hidden table is there", 20)


def test_a_load_of_a_table_that_leaves_its_name_leaves_no_table_behind(request, binaries, kafka, tmp_path):
    """Renamed or dropped at the source while it is loaded again, and then made anew."""
    s = Site(request, "mysql97", "renleft")
    with Deployment(binaries, kafka, tmp_path) as d:
        capture, apply = d.start_both()
        task = d.create("renleft", s.source, s.target, f"renleft:{s.to}")
        s.arrives(d, task)
        capture.freeze()
        for table, end in (("one", "RENAME TABLE {d}.one TO {d}.elsewhere"), ("two", "DROP TABLE {d}.two")):
            s.run(f"ALTER TABLE {{d}}.{table} MODIFY name VARCHAR(39), ADD COLUMN extra INT", f"UPDATE {{d}}.{table} SET n = n + 1", end)
        capture.thaw()
        s.arrives(d, task, skip=("one", "two"))
        assert set(re.findall(r"event=table_resync .*table=renleft_to\.(\w+)", apply.log)) >= {"one", "two"}, "loads were begun"
        d.wait(lambda: not s.target.execute(f"SHOW TABLES FROM {s.to} LIKE '\\_millrace%'"), "no hidden table is there", 20)
        assert s.target.execute(f"SELECT COUNT(*) FROM {s.to}.one") == s.target.execute(f"SELECT COUNT(*) FROM {s.to}.two") == ((5,),), "rows are kept"
        apply.kill()
        apply.start()
        s.make("one")
        s.make("two", 3)
        s.run("UPDATE {d}.one SET n = 8 WHERE id = 1")
        s.arrives(d, task)
        assert s.same_tables()


def test_a_rename_onto_rows_that_are_not_the_tasks_stops_the_table_until_they_are_gone(request, binaries, kafka, tmp_path):
    s = Site(request, "mysql97", "renocc")
    with Deployment(binaries, kafka, tmp_path) as d:
        d.start_both()
        task = d.create("renocc", s.source, s.target, f"renocc:{s.to}")
        s.arrives(d, task)
        s.target.execute(f"CREATE TABLE {s.to}.mine (id INT PRIMARY KEY)", f"INSERT INTO {s.to}.mine VALUES (1)")
        s.run("RENAME TABLE {d}.plain TO {d}.mine", "INSERT INTO {d}.one VALUES (60, 'goes on', 6)")
        d.wait(lambda: re.search("MR103[12]", d.show(task)["err-msg"]), "the error")
        assert "event=table_stopped task=renocc table=renocc_to.plain code=MR1031" in d.workers[1].log
        d.wait(lambda: s.target.execute(f"SELECT n FROM {s.to}.one WHERE id = 60") == ((6,),), "the others go on")
        assert s.target.execute(f"SELECT COUNT(*) FROM {s.to}.mine") == ((1,),), "rows of others stay"
        s.target.execute(f"DROP TABLE {s.to}.mine")
        d.verb("pause", task)
        d.wait_state(task, state="stopped")
        d.verb("resume", task)
        s.arrives(d, task)
        assert s.same_tables()


DEATHS = ["move.left", "move.entered", "move.left:2", "move.entered:2", "apply.intent.before", "apply.intent.after_commit", "apply.ddl.after",
          "apply.intent.cleared"]


@pytest.mark.parametrize("fault", [f if i == 6 else pytest.param(f, marks=SLOW) for i, f in enumerate(DEATHS)])
def test_a_swap_of_names_survives_a_death_in_its_middle(request, binaries, kafka, tmp_path, fault):
    s = Site(request, "mysql97", "rendeath")
    with Deployment(binaries, kafka, tmp_path) as d:
        capture, apply = d.start_both()
        task = d.create("rendeath", s.source, s.target, f"rendeath:{s.to}")
        s.arrives(d, task)
        victim = capture if fault.startswith("move") else apply
        before = len(loads(d))
        victim.kill()
        victim.start(fault)
        Marker(s.source, s.name).create().put()
        d.wait(lambda: victim.ready, "the worker")
        s.run(*CHANGES[2])
        d.wait(lambda: not victim.running, "the death")
        victim.process.wait(10)
        victim.start()
        s.run("INSERT INTO {d}.one VALUES (88, 'after the death', 1)")
        s.arrives(d, task)
        assert len(loads(d)) == before and s.same_tables()
