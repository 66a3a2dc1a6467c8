"""MariaDB's system-versioned tables and sequences, to a target that has neither: the rows as they are now arrive; history and
the columns of the period stay at the source."""

import pytest

from lib.deploy import Deployment

SLOW = pytest.mark.slow


@pytest.mark.parametrize("source, metadata", [("mariadb", "FULL"), pytest.param("mariadb118", "FULL", marks=SLOW),
                                              pytest.param("mariadb", "NO_LOG", marks=SLOW), pytest.param("mariadb118", "MINIMAL", marks=SLOW)])
def test_current_rows_of_system_versioned_tables_arrive(request, binaries, kafka, tmp_path, mysql97, source, metadata):
    server, name = request.getfixturevalue(source), "versioned"
    server.execute(f"SET GLOBAL binlog_row_metadata = {metadata}", f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}")
    mysql97.execute(f"DROP DATABASE IF EXISTS {name}")

    def run(*statements):
        with server.connect(database=name) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    try:
        run("CREATE TABLE a (k INT PRIMARY KEY, x INT) WITH SYSTEM VERSIONING",
            "CREATE TABLE b (k INT PRIMARY KEY, s TIMESTAMP(6) GENERATED ALWAYS AS ROW START, x INT, "
            "e TIMESTAMP(6) GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING",
            "CREATE TABLE later (k INT PRIMARY KEY, x INT)", "CREATE SEQUENCE numbers START WITH 100",
            *(f"INSERT INTO {t} (k, x) SELECT seq, seq FROM seq_1_to_500" for t in ("a", "b", "later")),
            "UPDATE a SET x = -x WHERE k < 100", "DELETE FROM b WHERE k < 50")
        with Deployment(binaries, kafka, tmp_path) as d:
            capture, _ = d.start_both()
            task = d.create("versioned", server, mysql97, databases=name)
            d.caught_up(task, server, mysql97, [name], skip=("b", "numbers"))
            loads = capture.log.count("event=load_begin")
            run("UPDATE a SET x = x + 1 WHERE k > 400", "DELETE FROM a WHERE k > 450", "UPDATE b SET k = k + 1000 WHERE k < 60",
                "DELETE HISTORY FROM a", "ALTER TABLE later ADD SYSTEM VERSIONING", "UPDATE later SET x = 7 WHERE k < 9",
                "DELETE FROM later WHERE k = 100", "INSERT INTO later VALUES (NEXTVAL(numbers) + 900, 1)")
            d.caught_up(task, server, mysql97, [name], skip=("b", "numbers"))
            capture.kill()
            capture.start()
            run("ALTER TABLE a DROP SYSTEM VERSIONING", "UPDATE a SET x = 5 WHERE k < 9", "DELETE FROM a WHERE k = 10", "DELETE FROM b WHERE k = 1055",
                "UPDATE later SET x = 8 WHERE k < 5")
            d.caught_up(task, server, mysql97, [name], skip=("b", "numbers"))
            assert server.execute(f"SELECT k, x FROM {name}.b ORDER BY k") == mysql97.execute(f"SELECT k, x FROM {name}.b ORDER BY k")
            assert mysql97.execute(f"SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{name}' ORDER BY 1") == (
                ("a",), ("b",), ("later",), ("marker",)), "a sequence is no table"
            assert capture.log.count("event=load_begin") == loads, "versioning that comes or goes changes no row"
    finally:
        server.execute("SET GLOBAL binlog_row_metadata = FULL")
