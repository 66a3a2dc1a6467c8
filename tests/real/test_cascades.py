"""Foreign keys that change child rows without the log are named when a task is created, and nothing else is."""

import pytest

from lib.deploy import Deployment

CHILD = "(k INT PRIMARY KEY, p INT, CONSTRAINT {0} FOREIGN KEY (p) REFERENCES parent (k) {1})"


@pytest.mark.parametrize("source, logged", [("mariadb", False), ("mysql80", False), ("mysql97", True)])
def test_cascades_that_are_not_logged_are_reported_at_create(request, binaries, kafka, tmp_path, source, logged):
    server, name = request.getfixturevalue(source), "cascades"
    server.execute(f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}", f"USE {name}",
                   "CREATE TABLE parent (k INT PRIMARY KEY)", "CREATE TABLE gone " + CHILD.format("fk_gone", "ON DELETE CASCADE"),
                   "CREATE TABLE nulled " + CHILD.format("fk_nulled", "ON UPDATE SET NULL"),
                   "CREATE TABLE kept " + CHILD.format("fk_kept", "ON DELETE RESTRICT"),
                   "CREATE TABLE hidden " + CHILD.format("fk_hidden", "ON DELETE CASCADE"))
    with Deployment(binaries, kafka, tmp_path) as d:
        said = d.command("task", "create", "--task-name", name, "--source-uri", server.uri("repl"), "--sink-type", "kafka",
                         "--level", "database", "--databases", name, "--exclude", "hidden", "--dry-run").stderr
        assert said.count("MR1027") == (0 if logged else 2)
        for key in ("fk_gone", "fk_nulled"):
            assert (key in said) is not logged
        assert "fk_kept" not in said and "fk_hidden" not in said
