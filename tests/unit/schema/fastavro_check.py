"""Reads the cases of test_avro_oracle.c with fastavro and compares the values' meaning."""
import datetime
import decimal
import io
import json
import struct
import sys

import fastavro

EPOCH = datetime.date(1970, 1, 1)
TEXT = ("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set", "json", "uuid", "inet4", "inet6")
NUMBER = ("tinyint", "smallint", "mediumint", "int", "bigint", "year", "time")


def text(hexed):
    return bytes.fromhex(hexed).decode()


def fraction(t, scale):
    return t + "0" * (6 - scale) if scale else t + ".000000"


def matches(kind, want, got, scale):
    if kind in TEXT:
        return got == text(want)
    if kind in NUMBER:
        return int(got) == int(want)
    if kind in ("float", "double"):
        return got == float.fromhex(want)
    if kind == "decimal":
        return got == decimal.Decimal(text(want)) and -got.as_tuple().exponent == scale
    if kind == "bit":
        return int(want) == (int(got) if isinstance(got, bool) else int.from_bytes(got, "little"))
    if kind == "date":
        return (EPOCH + datetime.timedelta(got)).strftime("%4Y-%m-%d") == text(want)
    if kind == "datetime":
        moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=got * (1000 if scale <= 3 else 1))
        return moment.strftime("%4Y-%m-%d %H:%M:%S.%f") == fraction(text(want), scale)
    if kind == "timestamp":
        return got == text(want).replace(" ", "T") + "Z"
    if kind == "geometry":
        return struct.pack("<I", got["srid"] or 0) + got["wkb"] == bytes.fromhex(want)
    if kind == "vector":
        return struct.pack("<%df" % len(got), *got) == bytes.fromhex(want)
    return got == bytes.fromhex(want)


def check(case, schemas):
    schema = schemas.setdefault(case["schema"], fastavro.parse_schema(json.loads(case["schema"])))
    body = io.BytesIO(bytes.fromhex(case["body"]))
    record = fastavro.schemaless_reader(body, schema, None)
    assert not body.read(), "bytes are left over"
    assert record["before"] is None and record["op"] == "c"
    source = record["source"]
    assert source["millrace_inc"] == "fedcba9876543210" and source["millrace_seq"] == 3
    raw = source["millrace_raw"] or {}
    values = list(record["after"].values())
    assert len(values) == len(case["columns"])
    for got, (name, kind, want, is_raw, scale) in zip(values, case["columns"]):
        if want == "null":
            assert got is None, name
        elif is_raw:
            assert got is None and raw.pop(name) == text(want), (name, kind, want, got)
        else:
            assert got is not None and matches(kind, want, got, scale), (name, kind, want, got)
    assert not raw, raw


def main():
    schemas = {}
    with open(sys.argv[1], encoding="utf-8") as cases:
        for line in cases:
            check(json.loads(line), schemas)


main()
