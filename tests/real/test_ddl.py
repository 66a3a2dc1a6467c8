"""Definitions change at the source: what is applied in row order at the target, and what is loaded again, form by form.

FORMS is the table of docs/ddl.md. For what is applied the test asserts that no load ran; for what is re-synced that one
did and was said, and that another table went on meanwhile."""

import re
import time
from pathlib import Path

import pytest

from lib.deploy import Deployment
from lib.generator import World, differences
from lib.generator_types import Place
from lib.workload import Marker

ROOT = Path(__file__).resolve().parents[2]
APPLIED, RESYNC, EVENT = "applied", "re-synced", "event"
WAIT = "until what was written is at the target: a tool that copies rows takes its time"
ANY = ("mysql97", "mysql80", "mariadb")
MYSQL = ("mysql97", "mysql80")
COLUMNS = "id INT NOT NULL, a INT NULL, b VARCHAR(20) NULL, c DECIMAL(10,2) NULL, n INT NOT NULL DEFAULT 3"
HASHED = " PARTITION BY HASH (id) PARTITIONS 4"
RANGES = " PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (4), PARTITION p1 VALUES LESS THAN (8), PARTITION p2 VALUES LESS THAN MAXVALUE)"

# (name, what it says in the docs, statements on `{t}`, how, servers, table options)
FORMS = [
    ("add_null", "ADD COLUMN, nullable, no default", ["ALTER TABLE {t} ADD COLUMN x INT NULL"], APPLIED, ANY, ""),
    ("add_default", "ADD COLUMN with a constant default", ["ALTER TABLE {t} ADD COLUMN x VARCHAR(9) NOT NULL DEFAULT 'it''s'"], APPLIED, ANY, ""),
    ("add_number", "", ["ALTER TABLE {t} ADD x DECIMAL(5,2) DEFAULT -1.5 AFTER a, ADD y BIT(3) DEFAULT b'101' FIRST"], APPLIED, ANY, ""),
    ("add_implicit", "ADD COLUMN NOT NULL without a default", ["ALTER TABLE {t} ADD COLUMN x INT NOT NULL, ADD y VARCHAR(3) NOT NULL"], APPLIED, ANY, ""),
    ("add_list", "ADD (a .., b ..)", ["ALTER TABLE {t} ADD (x INT DEFAULT 7, y VARCHAR(5) DEFAULT 'q', z DECIMAL(4,1))"], APPLIED, ANY, ""),
    ("add_twice", "several ADDs before the next row", ["ALTER TABLE {t} ADD x INT DEFAULT 7", "ALTER TABLE {t} ADD y INT DEFAULT 8"], APPLIED, ANY, ""),
    ("add_generated", "ADD COLUMN, generated", ["ALTER TABLE {t} ADD COLUMN g INT AS (a + 1) VIRTUAL"], APPLIED, ANY, ""),
    ("add_now", "ADD COLUMN with a default that is an expression", ["ALTER TABLE {t} ADD COLUMN x DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6)"], RESYNC, ANY, ""),
    ("add_serial", "ADD COLUMN AUTO_INCREMENT", ["ALTER TABLE {t} ADD COLUMN x INT NOT NULL AUTO_INCREMENT UNIQUE"], RESYNC, ANY, ""),
    ("add_changed", "ADD COLUMN whose default was changed before it could be read",
     ["ALTER TABLE {t} ADD COLUMN x INT DEFAULT 1", "ALTER TABLE {t} ALTER COLUMN x SET DEFAULT 2"], RESYNC, ANY, ""),
    ("drop", "DROP COLUMN", ["ALTER TABLE {t} DROP COLUMN a"], APPLIED, ANY, ""),
    ("drop_many", "", ["ALTER TABLE {t} DROP a, DROP COLUMN c"], APPLIED, ANY, ""),
    ("drop_add", "DROP COLUMN and ADD COLUMN of other names", ["ALTER TABLE {t} DROP a, ADD x INT DEFAULT 4"], APPLIED, ANY, ""),
    ("again_one", "a column dropped and added again under its name, in one statement", ["ALTER TABLE {t} DROP a, ADD a INT NULL"], RESYNC, ANY, ""),
    ("again_two", "the same in two statements", ["ALTER TABLE {t} DROP a", "ALTER TABLE {t} ADD a INT NULL AFTER id"], RESYNC, ANY, ""),
    ("rename", "RENAME COLUMN, CHANGE", ["ALTER TABLE {t} RENAME COLUMN a TO aa"], APPLIED, ANY, ""),
    ("change", "", ["ALTER TABLE {t} CHANGE b `b b` VARCHAR(20)"], APPLIED, ANY, ""),
    ("change_wider", "", ["ALTER TABLE {t} CHANGE a aa BIGINT"], APPLIED, ANY, ""),
    ("rename_chain", "renames one after the other", ["ALTER TABLE {t} RENAME COLUMN a TO a1", "ALTER TABLE {t} RENAME COLUMN a1 TO a2, ADD x INT"], APPLIED, ANY, ""),
    ("rename_key", "RENAME COLUMN of the key", ["ALTER TABLE {t} RENAME COLUMN id TO ident"], APPLIED, ANY, ""),
    ("rename_swap", "two columns exchange their names, or a name is used again", ["ALTER TABLE {t} RENAME COLUMN a TO n, RENAME COLUMN n TO a"], RESYNC, ANY, ""),
    ("rename_over", "", ["ALTER TABLE {t} DROP a, CHANGE n a INT"], RESYNC, ANY, ""),
    ("reorder", "order of columns", ["ALTER TABLE {t} MODIFY a INT NULL AFTER c"], APPLIED, ANY, ""),
    ("widen", "wider type (integers, DECIMAL, VARCHAR, TEXT, BLOB, fraction digits, labels added)",
     ["ALTER TABLE {t} MODIFY a BIGINT NULL, MODIFY b VARCHAR(200) NULL, MODIFY c DECIMAL(20,4) NULL"], APPLIED, ANY, ""),
    ("widen_text", "", ["ALTER TABLE {t} MODIFY b TEXT NULL"], APPLIED, ANY, ""),
    ("narrow", "narrower type", ["ALTER TABLE {t} MODIFY b VARCHAR(10) NULL"], RESYNC, ANY, ""),
    ("convert", "another type", ["ALTER TABLE {t} MODIFY a VARCHAR(40) NULL"], RESYNC, ANY, ""),
    ("there_and_back", "a column redefined twice before it could be read (the first may have changed values)",
     ["ALTER TABLE {t} MODIFY c DECIMAL(10,0) NULL", "ALTER TABLE {t} MODIFY c DECIMAL(10,2) NULL"], RESYNC, ANY, ""),
    ("there_renamed", "", ["ALTER TABLE {t} CHANGE c cc DECIMAL(10,0) NULL", "ALTER TABLE {t} RENAME COLUMN cc TO c", "ALTER TABLE {t} CHANGE c cc DECIMAL(10,2) NULL"],
     RESYNC, ANY, ""),
    ("there_converted", "", ["ALTER TABLE {t} MODIFY c DECIMAL(10,0) NULL, CONVERT TO CHARACTER SET utf8mb4", "ALTER TABLE {t} MODIFY c DECIMAL(10,2) NULL"],
     RESYNC, ANY, ""),
    ("add_converted", "a column added and redefined before it could be read", ["ALTER TABLE {t} ADD x ENUM('p','q') NOT NULL", "ALTER TABLE {t} MODIFY x ENUM('q','p') NOT NULL"], RESYNC, ANY, ""),
    ("redefined_two", "", ["ALTER TABLE {t} MODIFY a BIGINT NULL", "ALTER TABLE {t} MODIFY b VARCHAR(90) NULL"], APPLIED, ANY, ""),
    ("scale", "", ["ALTER TABLE {t} MODIFY c DECIMAL(10,1) NULL"], RESYNC, ANY, ""),
    ("charset_wide", "character set: to one that holds all of the old one", ["ALTER TABLE {t} MODIFY b VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"], APPLIED, ANY, ""),
    ("charset_other", "character set: to another one", ["ALTER TABLE {t} MODIFY b VARCHAR(20) CHARACTER SET latin1"], RESYNC, ANY, ""),
    ("convert_to", "CONVERT TO CHARACTER SET, of the same kinds", ["ALTER TABLE {t} CONVERT TO CHARACTER SET latin1"], RESYNC, ANY, ""),
    ("default", "DEFAULT of a column", ["ALTER TABLE {t} ALTER COLUMN n SET DEFAULT 9", "ALTER TABLE {t} ALTER COLUMN n DROP DEFAULT"], APPLIED, ANY, ""),
    ("null", "NOT NULL to NULL", ["ALTER TABLE {t} MODIFY n INT NULL"], APPLIED, ANY, ""),
    ("not_null", "NULL to NOT NULL (without strict mode the source changes rows)", ["UPDATE {t} SET a = 1 WHERE a IS NULL", "ALTER TABLE {t} MODIFY a INT NOT NULL"], RESYNC, ANY, ""),
    ("index", "CREATE INDEX, DROP INDEX, unique or not", ["CREATE UNIQUE INDEX u ON {t} (b)", "CREATE INDEX i ON {t} (a)", "DROP INDEX i ON {t}"], APPLIED, ANY, ""),
    ("unique_gone", "", ["ALTER TABLE {t} ADD UNIQUE KEY u (b)", "INSERT INTO {t} (id, b) VALUES (70, 'seventy')", "ALTER TABLE {t} DROP KEY u",
                         "INSERT INTO {t} (id, b) VALUES (71, 'seventy')"], APPLIED, ANY, ""),
    ("primary", "primary key: other columns", ["ALTER TABLE {t} DROP PRIMARY KEY, ADD PRIMARY KEY (id, n)"], RESYNC, ANY, ""),
    ("primary_type", "primary key: another type", ["ALTER TABLE {t} MODIFY id BIGINT NOT NULL"], RESYNC, ANY, ""),
    ("comment", "COMMENT, ENGINE, ROW_FORMAT, AUTO_INCREMENT = n", ["ALTER TABLE {t} COMMENT 'x', ROW_FORMAT=DYNAMIC", "ALTER TABLE {t} ENGINE=InnoDB"], APPLIED, ANY, ""),
    ("truncate", "TRUNCATE", ["TRUNCATE TABLE {t}", "INSERT INTO {t} (id, a) VALUES (1, 5)"], EVENT, ANY, ""),
    ("recreate", "DROP TABLE and CREATE TABLE again, alike", ["DROP TABLE {t}", f"CREATE TABLE {{t}} ({COLUMNS}, PRIMARY KEY (id))", "INSERT INTO {t} (id) VALUES (5)"], EVENT, ANY, ""),
    ("recreate_other", "the same with other columns", ["DROP TABLE {t}", "CREATE TABLE {t} (k VARCHAR(9) PRIMARY KEY, v INT)", "INSERT INTO {t} VALUES ('x', 1)"], RESYNC, ANY, ""),
    ("partition_add", "partitions: ADD, REORGANIZE, COALESCE, ANALYZE", ["ALTER TABLE {t} COALESCE PARTITION 1", "ALTER TABLE {t} ADD PARTITION PARTITIONS 2"], APPLIED, ANY, HASHED),
    ("partition_drop", "partitions: DROP, TRUNCATE, EXCHANGE, DISCARD, IMPORT", ["ALTER TABLE {t} DROP PARTITION p0"], RESYNC, ANY, RANGES),
    ("partition_truncate", "", ["ALTER TABLE {t} TRUNCATE PARTITION p1"], RESYNC, ANY, RANGES),
    ("partition_exchange", "", ["CREATE TABLE {t}_x LIKE {t}", "ALTER TABLE {t}_x REMOVE PARTITIONING", "INSERT INTO {t}_x (id, b) VALUES (1, 'from elsewhere')",
                                "ALTER TABLE {t} EXCHANGE PARTITION p0 WITH TABLE {t}_x"], RESYNC, ANY, RANGES),
    ("away_back", "RENAME TABLE out of the scope and back", ["CREATE DATABASE IF NOT EXISTS {d}_away", "RENAME TABLE {t} TO {d}_away.{n}", "DELETE FROM {d}_away.{n} WHERE id < 3",
                                                           "RENAME TABLE {d}_away.{n} TO {t}"], RESYNC, ANY, ""),
    ("gh_ost", "gh-ost: shadow table, RENAME of both",
     ["CREATE TABLE {d}._{n}_gho LIKE {t}", "ALTER TABLE {d}._{n}_gho ADD COLUMN x INT DEFAULT 6", "INSERT IGNORE INTO {d}._{n}_gho (id,a,b,c,n) SELECT id,a,b,c,n FROM {t}",
      "CREATE TABLE {d}._{n}_del (id INT AUTO_INCREMENT PRIMARY KEY) COMMENT='ghost-cut-over-sentry'", "DROP TABLE {d}._{n}_del",
      WAIT, "RENAME TABLE {t} TO {d}._{n}_del, {d}._{n}_gho TO {t}", "DROP TABLE IF EXISTS {d}._{n}_del"], APPLIED, ANY, ""),
    ("pt_osc", "pt-online-schema-change: triggers, RENAME of both",
     ["CREATE TABLE {d}._{n}_new LIKE {t}", "ALTER TABLE {d}._{n}_new MODIFY a BIGINT", "CREATE TRIGGER {d}.pt_{n}_ins AFTER INSERT ON {t} FOR EACH ROW "
      "REPLACE INTO {d}._{n}_new (id,a,b,c,n) VALUES (NEW.id,NEW.a,NEW.b,NEW.c,NEW.n)", "INSERT INTO {t} (id) VALUES (90)",
      "INSERT LOW_PRIORITY IGNORE INTO {d}._{n}_new (id,a,b,c,n) SELECT id,a,b,c,n FROM {t} LOCK IN SHARE MODE",
      WAIT, "RENAME TABLE {t} TO {d}._{n}_old, {d}._{n}_new TO {t}", "DROP TABLE IF EXISTS {d}._{n}_old", "DROP TRIGGER IF EXISTS {d}.pt_{n}_ins"], APPLIED, ANY, ""),
]
TOGETHER = ("add_twice", "add_changed", "again_two", "rename_chain", "there_and_back", "there_renamed", "there_converted", "add_converted", "redefined_two")
TARGET_OF = {"mysql97": "mariadb", "mysql80": "mysql97", "mariadb": "mysql97"}


class Forms:
    """A database with a table per form, loaded, a task that streams it, and a table beside them that goes on."""

    def __init__(self, request, source, name, forms):
        self.source, self.target = request.getfixturevalue(source), request.getfixturevalue(TARGET_OF[source])
        self.name, self.copy, self.forms = name, name + "_to", forms
        self.source.execute(f"DROP DATABASE IF EXISTS {name}", f"DROP DATABASE IF EXISTS {name}_away")
        self.target.execute(f"DROP DATABASE IF EXISTS {self.copy}")
        self.source.execute(f"CREATE DATABASE {name} DEFAULT CHARACTER SET utf8mb4", f"CREATE TABLE {name}.beside (id INT PRIMARY KEY)")
        self.world = World.__new__(World)
        self.world.place, self.world.dropped = Place(self.source), set()
        self.connection = self.source.connect(database=name)
        for form in forms:
            self.run(f"CREATE TABLE {name}.{form[0]} ({COLUMNS}, PRIMARY KEY (id)){form[5]}")
            self.run(f"INSERT INTO {name}.{form[0]} (id, a, b, c) VALUES (1, 10, 'one', 1.25), (2, NULL, 'two', -2.5), (3, 30, NULL, NULL), "
                     f"(5, 50, 'five', 5), (6, 60, NULL, 6.75), (9, 90, 'nine', 9)")

    def run(self, statement):
        with self.connection.cursor() as cursor:
            cursor.execute(statement)

    def change(self, form, d):
        """Forms of which the docs say what two statements do together: capture must not read the first before the second is there."""
        n, together, capture = form[0], form[0] in TOGETHER, d.workers[0]
        if together:
            capture.freeze()
        for statement in form[2]:
            if statement is WAIT:
                self.arrives(d)
            else:
                self.run(statement.format(t=f"{self.name}.{n}", d=self.name, n=n))
        if together:
            capture.thaw()

    def rows(self, form):
        """Rows behind the change, whatever the table is now."""
        with self.connection.cursor() as cursor:
            cursor.execute(f"UPDATE {self.name}.{form[0]} SET b = CONCAT(b, '!') WHERE b IS NOT NULL") if form[0] not in (
                "change", "recreate_other") else None

    def arrives(self, d, seconds=60):
        marker = Marker(self.source, self.name).create()
        marker.n = time.time_ns()
        marker.put()

        def arrived():
            stopped = [line[:700] for w in d.workers for line in w.log.splitlines() if "event=table_stopped" in line]
            assert not stopped, "\n".join(stopped)
            return marker.arrived(self.target, self.copy)

        d.wait(arrived, f"marker of {self.copy}", seconds)
        self.world.dropped = {t for t, in self.target.execute("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = "
                                                              f"'{self.copy}' AND TABLE_NAME REGEXP '^_|_x$'")}
        end = time.monotonic() + 30
        while found := differences(self.source, self.target, self.name, self.copy, self.world):
            arrived()
            assert time.monotonic() < end, "\n".join(map(str, found))
            time.sleep(0.1)

    def loads(self, d, form):
        """Loads that began, by capture's log."""
        topic = f"{self.name}.{self.name}.{form[0]}".replace(" ", "")
        return sum(len(re.findall(rf"event=load_begin .*topic={re.escape(topic)}\b(?!\.)", w.log)) for w in d.workers if w.half == "capture")


def check_forms(request, binaries, kafka, tmp_path, source, name, rows_between, some=None):
    f = Forms(request, source, name, [form for form in FORMS if source in form[4] and (not some or form[0] in some)])
    with Deployment(binaries, kafka, tmp_path) as d:
        capture, apply = d.start_both()
        task = d.create(name, f.source, f.target, databases=f"{name}:{f.copy}")
        f.arrives(d, 120)
        wrong = []
        assert all(f.loads(d, form) == 1 for form in f.forms)
        for form in f.forms:
            f.change(form, d)
            if rows_between:
                f.rows(form)
            f.run(f"INSERT INTO {name}.beside VALUES ({f.forms.index(form)})")
        f.arrives(d, 120)
        for form in f.forms:
            loads = f.loads(d, form) - 1
            if (loads > 0) != (form[3] == RESYNC):
                wrong.append(f"{form[0]}: {form[3]}, {loads} loads")
        assert not wrong, wrong
        assert d.show(task)["state"] == "running"
        resynced = [form[0] for form in f.forms if form[3] == RESYNC]
        said = capture.log + apply.log
        assert all(re.search(rf"event=table_resync .*\b{n}\b", said) for n in resynced), "a re-sync is said"


SOME = ("there_and_back", "there_renamed", "there_converted", "add_converted", "redefined_two", "add_default", "add_now", "drop", "again_two", "rename", "rename_swap", "widen", "narrow", "not_null", "primary", "truncate",
        "recreate_other", "partition_exchange", "gh_ost")


def test_some_forms_are_applied_or_loaded_again_as_the_table_says(request, binaries, kafka, tmp_path):
    check_forms(request, binaries, kafka, tmp_path, "mysql97", "ddl_some", True, SOME)


@pytest.mark.slow
@pytest.mark.parametrize("source", ["mysql97", "mysql80", "mariadb"])
def test_each_form_is_applied_or_loaded_again_as_the_table_says(request, binaries, kafka, tmp_path, source):
    check_forms(request, binaries, kafka, tmp_path, source, f"ddl_{source}", True)


@pytest.mark.slow
@pytest.mark.parametrize("source", ["mysql97", "mysql80", "mariadb"])
def test_a_change_without_rows_behind_it_arrives_too(request, binaries, kafka, tmp_path, source):
    check_forms(request, binaries, kafka, tmp_path, source, f"still_{source}", False)


@pytest.mark.parametrize("between, after, loads", [(None, "BINARY(16)", 0), ("VARCHAR(16)", "BINARY(16)", 1)])
def test_rows_whose_type_the_log_does_not_tell_from_the_newer_one_arrive_as_that(binaries, kafka, tmp_path, mariadb, mysql97, between, after, loads):
    """Capture reads rows of a table that it does not know yet when its type is another one already. From the one to the other the bytes
    stay; by way of a third type they do not, and the table is loaded again."""
    mariadb.execute("DROP DATABASE IF EXISTS alike", "CREATE DATABASE alike", "CREATE TABLE alike.old (id INT PRIMARY KEY)")
    mysql97.execute("DROP DATABASE IF EXISTS alike")
    with Deployment(binaries, kafka, tmp_path) as d:
        capture, _ = d.start_both()
        task = d.create("alike", mariadb, mysql97, databases="alike")
        d.caught_up(task, mariadb, mysql97, ["alike"])
        capture.freeze()
        mariadb.execute("CREATE TABLE alike.t (id INT PRIMARY KEY, v INET6)", "INSERT INTO alike.t VALUES (1, '::1:2')",
                        *(f"ALTER TABLE alike.t MODIFY v {kind}" for kind in (between, after) if kind), "INSERT INTO alike.t VALUES (2, X'00112233445566778899aabbccddeeff')")
        capture.thaw()
        d.caught_up(task, mariadb, mysql97, ["alike"])
        assert len(re.findall(r"event=load_begin .*alike\.t\b", capture.log)) == loads


def test_the_docs_list_every_form():
    text = (ROOT / "docs" / "ddl.md").read_text()
    for form in FORMS:
        if form[1]:
            assert f"| {form[1]} | {form[3]} |" in text, form[1]
