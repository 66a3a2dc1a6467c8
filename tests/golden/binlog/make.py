#!/usr/bin/env python3
"""Makes the golden binary logs: runs schema*.sql (a NAME with -events: events*.sql) on a fresh log of a real server, keeps the log file, and asks the server with an
independent client what the tables hold.

    make.py NAME PORT DATADIR      writes NAME.binlog and NAME.jsonl (one row a line: table, cells as tests/support prints them)
"""
import datetime
import json
import pathlib
import sys

import pymysql

HERE = pathlib.Path(__file__).parent
INTEGERS = ("tinyint", "smallint", "mediumint", "int", "bigint")
TEXTS = ("char", "varchar", "tinytext", "text", "mediumtext", "longtext")
BYTES = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob")
NUMBERED = ("bit", "enum", "set")
SPATIAL = ("geometry", "point")


def connect(port, **more):
    return pymysql.connect(host="127.0.0.1", port=port, user="test", password="test", charset="utf8mb4", autocommit=True, **more)


def micros(fraction):
    return int((fraction + "000000")[:6])


def moment(value, kind, digits):
    day, _, clock = value.partition(" ")
    year, month, date = map(int, day.split("-"))
    hour, minute, second = clock.split(":")
    second, _, fraction = second.partition(".")
    hour, minute, second, micro = int(hour), int(minute), int(second), micros(fraction)
    if kind == "timestamp" and year:
        since = datetime.datetime(year, month, date, hour, minute, second) - datetime.datetime(1970, 1, 1)
        return f"timestamp{digits} {(since.days * 86400 + since.seconds) * 10**6 + micro}"
    packed = (((year * 13 + month) << 5 | date) << 17 | hour << 12 | minute << 6 | second) << 20 | micro
    return f"datetime{digits} {packed}"


def duration(value, digits):
    hour, minute, second = value.lstrip("-").split(":")
    second, _, fraction = second.partition(".")
    us = ((int(hour) * 60 + int(minute)) * 60 + int(second)) * 10**6 + micros(fraction)
    return f"time{digits} {-us if value.startswith('-') else us}"


def decimal(value):
    digits = value.lstrip("-").lstrip("0")
    if digits.startswith(".") or not digits:
        digits = "0" + digits
    return "decimal " + ("-" if value.startswith("-") else "") + digits


def cell(column, value):
    kind, digits = column["type"], column["digits"] or 0
    if value is None:
        return None
    if kind in INTEGERS:
        return f"{'uint' if column['unsigned'] else 'int'}0 {int(value)}"
    if kind in ("float", "double"):
        return f"{kind} {value}"
    if kind == "decimal":
        return decimal(value)
    if kind in TEXTS:
        return "text " + value
    if kind in BYTES:
        return "bytes " + (value if isinstance(value, bytes) else value.encode()).hex()
    if kind == "json":
        return "json " + value
    if kind in NUMBERED:
        return f"{kind}0 {value}"
    if kind in SPATIAL:
        return "geometry " + value.lower()
    if kind == "year":
        return f"year0 {int(value)}"
    if kind == "date":
        year, month, day = map(int, value.split("-"))
        return f"date0 {year << 9 | month << 5 | day}"
    return duration(value, digits) if kind == "time" else moment(value, kind, digits)


def columns_of(cursor, table):
    cursor.execute(
        "select column_name, data_type, column_type, datetime_precision from information_schema.columns "
        "where table_schema = 'golden' and table_name = %s order by ordinal_position",
        (table,),
    )
    return [
        {"name": name, "type": kind.lower(), "unsigned": "unsigned" in full, "digits": digits}
        for name, kind, full, digits in cursor.fetchall()
    ]


def expression(column):
    name = f"`{column['name']}`"
    if column["type"] in NUMBERED:
        return f"cast({name} as unsigned)"
    if column["type"] == "float":
        return f"{name} + 0e0"  # else only 6 digits are shown
    return f"hex({name})" if column["type"] in SPATIAL else name


def rows_of(port, table):
    """The rows of a table of schema `golden`, their cells as tests/support prints them."""
    as_text = {**pymysql.converters.conversions}
    for kind in (0, 7, 10, 11, 12, 13, 246):
        as_text[kind] = lambda text: text
    cursor = connect(port, conv=as_text).cursor()
    columns = columns_of(cursor, table)
    cursor.execute("set time_zone = '+00:00'")
    cursor.execute(f"select {', '.join(map(expression, columns))} from golden.`{table}`")
    for row in cursor.fetchall():
        yield {c["name"]: cell(c, v) for c, v in zip(columns, row)}


def statements(name):
    for line in (HERE / name).read_text().splitlines():
        if line and not line.startswith("--"):
            yield line


def fill(port, what="schema"):
    """Makes schema `golden` and runs the statements."""
    connection = connect(port)
    cursor = connection.cursor()
    maria = "MariaDB" in connection.get_server_info()
    cursor.execute("create database golden character set utf8mb4 collate utf8mb4_general_ci")
    cursor.execute("use golden")
    cursor.execute("set session sql_mode = '', time_zone = '+00:00'")
    for file in (f"{what}.sql", f"{what}_mariadb.sql" if maria else f"{what}_mysql.sql"):
        for statement in statements(file):
            cursor.execute(statement)


def main():
    name, port, datadir = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])
    cursor = connect(port).cursor()
    cursor.execute("drop database if exists golden")
    cursor.execute("flush binary logs")
    fill(port, "events" if name.endswith("-events") else "schema")
    cursor.execute("show binary logs")
    log = cursor.fetchall()[-1][0]
    cursor.execute("flush binary logs")
    (HERE / f"{name}.binlog").write_bytes((datadir / "data" / log).read_bytes())
    cursor.execute("select table_name from information_schema.tables where table_schema = 'golden' and table_type = 'BASE TABLE' order by 1")
    with open(HERE / f"{name}.jsonl", "w") as out:
        for (table,) in cursor.fetchall():
            for row in rows_of(port, table):
                print(json.dumps({"table": table, "row": row}, ensure_ascii=False), file=out)


if __name__ == "__main__":
    main()
