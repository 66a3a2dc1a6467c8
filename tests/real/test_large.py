"""Two million rows at once, as a table and as a transaction: each worker stays under 256 MiB. Slow."""

import pytest

from lib import rows
from lib.deploy import Deployment

pytestmark = pytest.mark.slow
ROWS = 2_000_000
LIMIT = 256 << 20


def fill(server, name):
    server.execute(f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}")
    server.execute(f"CREATE TABLE {name}.d (n INT PRIMARY KEY)", f"INSERT INTO {name}.d VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)",
                   f"CREATE TABLE {name}.big (k INT PRIMARY KEY, a BIGINT NOT NULL, s VARCHAR(100), at DATETIME(6))",
                   f"INSERT INTO {name}.big SELECT x.k, x.k * 7919, CONCAT('row number ', x.k, REPEAT('-', x.k % 60)), "
                   f"'2026-01-01' + INTERVAL x.k SECOND FROM (SELECT a.n + b.n * 10 + c.n * 100 + d.n * 1000 + e.n * 10000 + "
                   f"f.n * 100000 + g.n * 1000000 k FROM {name}.d a, {name}.d b, {name}.d c, {name}.d d, {name}.d e, "
                   f"{name}.d f, {name}.d g WHERE g.n < {ROWS // 1_000_000}) x")


def same(d, source, target, name, seconds):
    wanted = rows.checksum(source, name, "big")
    # count and sum are cheap enough to ask again and again; the whole row's hash decides at the end
    text = f"SELECT COUNT(*), SUM(a) FROM {name}.big"
    d.wait(lambda: target.execute(text) == source.execute(text), "as many rows with the same sum", seconds)
    assert rows.checksum(target, name, "big") == wanted


@pytest.mark.parametrize("consistency", ["table", "task"])
def test_two_million_rows_loaded_and_changed_in_one_transaction(binaries, kafka, tmp_path, mysql97, mariadb, consistency):
    name = f"large_{consistency}"
    mariadb.execute(f"DROP DATABASE IF EXISTS {name}")
    fill(mysql97, name)
    with Deployment(binaries, kafka, tmp_path) as d:
        workers = d.start_both()
        task = d.create(name, mysql97, mariadb, databases=name, consistency=consistency)
        d.wait_state(task, 600, phase="Incremental Sync")
        same(d, mysql97, mariadb, name, 600)
        loaded = {str(w): w.peak_rss for w in workers}
        mysql97.execute(f"UPDATE {name}.big SET a = a + 1, s = CONCAT(s, '!')")
        mysql97.execute(f"DELETE FROM {name}.big WHERE k % 100 = 7")
        same(d, mysql97, mariadb, name, 1200)
        changed = {str(w): w.peak_rss for w in workers}
        print("peak RSS, MiB:", {k: v >> 20 for k, v in loaded.items()}, {k: v >> 20 for k, v in changed.items()})
        assert max(changed.values()) < LIMIT
        assert d.show(task)["err-msg"] == ""
    for server in (mysql97, mariadb):
        server.execute(f"DROP DATABASE {name}")
