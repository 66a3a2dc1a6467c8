"""Random tables for the Parquet writer: what their rows mean is decided here, in Python, and written down as cells; the
same meaning is then looked for in what other programs read."""

import datetime
import json
import math
import struct
import subprocess
import uuid

CODECS = ("none", "snappy", "zstd", "lz4", "gzip")
METRICS = ("bounds", "bounds", "bounds", "full", "counts", "none")
ALPHABETS = ("ab", "abcdefghijklmnopqrstuvwxyz0123456789", "aé漢😀", "\U0010ffff", "\ud7ff\U0010ffffz", "\x00a\x7f")
DAY_US = 86_400_000_000
EPOCH = datetime.date(1970, 1, 1)


def double_bits(value):
    return struct.pack(">d", value).hex()


def packed_datetime(us):
    days, rest = divmod(us, DAY_US)
    day = EPOCH + datetime.timedelta(days=days)
    seconds, micro = divmod(rest, 1_000_000)
    hour, minute, second = seconds // 3600, seconds // 60 % 60, seconds % 60
    return (((day.year * 13 + day.month) << 5 | day.day) << 17 | hour << 12 | minute << 6 | second) << 20 | micro


def packed_date(days):
    day = EPOCH + datetime.timedelta(days=days)
    return day.year << 9 | day.month << 5 | day.day


def decimal_text(unscaled, scale):
    digits = str(abs(unscaled)).rjust(scale + 1, "0")
    text = digits[:-scale] + "." + digits[-scale:] if scale else digits
    return "-" + text if unscaled < 0 else text


def round_float(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


class Field:
    """A column: makes values, and knows the cell for each."""

    def __init__(self, rng, number):
        self.id = rng.choice([number + 1, 1000 + number])
        self.name = f"c{number}" + rng.choice(["", " é", "漢", ".x", '"'])
        self.kind = rng.choice(["boolean", "int", "long", "float", "double", "decimal", "decimal", "date", "time", "timestamp",
                                "timestamptz", "string", "string", "string", "uuid", "fixed", "binary"])
        self.precision = rng.choice([1, 4, 9, 10, 18, 19, 20, 27, 37, 38])
        self.scale = rng.randrange(self.precision + 1)
        self.length = rng.choice([1, 5, 16, 70])
        self.metrics = rng.choice(METRICS)
        self.bloom = rng.random() < 0.4
        self.null_share = rng.choice([0, 0, 0, 0.05, 0.5, 0.97, 1])
        self.required = self.null_share == 0 and rng.random() < 0.5
        self.style = rng.choice(["free", "free", "pool", "runs", "sorted"])
        self.alphabet = rng.choice(ALPHABETS)
        self.prefix = rng.choice(["", "", "shared-prefix-of-some-length/" * 3])
        self.long = rng.random() < 0.05
        self.pool = [self.value(rng) for _ in range(rng.choice([1, 2, 3, 30]))]

    @property
    def type(self):
        return {"decimal": f"decimal({self.precision}, {self.scale})", "fixed": f"fixed[{self.length}]"}.get(self.kind, self.kind)

    def text(self, rng):
        n = rng.choice([0, 1, 15, 16, 17, rng.randrange(40)])
        if self.long and rng.random() < 0.05:
            n = rng.randrange(6000)
        return self.prefix + "".join(rng.choices(self.alphabet, k=n))

    def floating(self, rng):
        value = rng.choice([math.nan, -math.nan, 0.0, -0.0, math.inf, -math.inf, 1.5, rng.uniform(-1e6, 1e6), rng.gauss(0, 1e-30)])
        return round_float(value) if self.kind == "float" else value

    def integer(self, rng, bits):
        return rng.choice([0, 1, -1, 2 ** (bits - 1) - 1, -2 ** (bits - 1), rng.randrange(-2 ** (bits - 1), 2 ** (bits - 1)),
                           rng.randrange(1000)])

    def value(self, rng):
        kind = self.kind
        if kind == "boolean":
            return rng.random() < 0.5
        if kind in ("int", "long"):
            return self.integer(rng, 32 if kind == "int" else 64)
        if kind in ("float", "double"):
            return self.floating(rng)
        if kind == "decimal":
            most = 10 ** self.precision - 1
            return rng.choice([0, most, -most, rng.randint(-most, most), rng.randint(-min(most, 300), min(most, 300))])
        if kind == "date":
            return rng.choice([-719162, 2932896, 0, rng.randrange(-719162, 2932897)])
        if kind == "time":
            return rng.choice([0, DAY_US - 1, rng.randrange(DAY_US)])
        if kind in ("timestamp", "timestamptz"):
            return rng.choice([0, -1, rng.randrange(-719162 * DAY_US, 2932897 * DAY_US)])
        if kind == "string":
            return self.text(rng)
        return rng.randbytes({"uuid": 16, "fixed": self.length}.get(kind, rng.choice([0, 3, 16, 17, 40])))

    def values(self, rng, n):
        def one():
            return rng.choice(self.pool) if self.style in ("pool", "runs") else self.value(rng)
        out = []
        while len(out) < n:
            value = None if rng.random() < self.null_share else one()
            out += [value] * (rng.randrange(1, 40) if self.style == "runs" else 1)
        del out[n:]
        if self.style == "sorted" and self.kind not in ("float", "double"):
            there = sorted(v for v in out if v is not None)
            out = there + [None] * (n - len(there))
        return out

    def cell(self, rng, value):
        """(text of the cell, it is a date that becomes null)"""
        kind = self.kind
        if value is None:
            if kind in ("date", "timestamp", "timestamptz") and rng.random() < 0.2:
                return ("D0" if kind == "date" else "P0"), True
            return "-", False
        if kind == "boolean":
            return rng.choice(["i", "u", "B"]) + str(int(value)), False
        if kind in ("int", "long"):
            return ("u" if value >= 0 and rng.random() < 0.1 else "i") + str(value), False
        if kind in ("float", "double"):
            return ("f" if kind == "float" else "d") + double_bits(value), False
        if kind == "decimal":
            if self.precision <= 18 and rng.random() < 0.2:
                return f"i{value}", False
            if self.scale == 0 and self.precision >= 20 and 0 <= value < 2 ** 64:
                return f"u{value}", False
            return "m" + decimal_text(value, self.scale), False
        if kind == "date":
            return (f"i{value}" if rng.random() < 0.1 else f"D{packed_date(value)}"), False
        if kind == "time":
            return f"T{value}", False
        if kind == "timestamp":
            return (f"i{value}" if rng.random() < 0.1 else f"P{packed_datetime(value)}"), False
        if kind == "timestamptz":
            return f"S{value}", False
        if kind == "string":
            return "t" + value.encode().hex(), False
        if kind == "uuid" and rng.random() < 0.5:
            return "t" + str(uuid.UUID(bytes=value)).encode().hex(), False
        return "b" + value.hex(), False

    def native(self, value):
        """The cell that a reader gives."""
        kind = self.kind
        if value is None:
            return "-"
        if kind in ("float", "double"):
            return ("f" if kind == "float" else "d") + double_bits(value)
        if kind == "decimal" and self.precision > 18:
            width = (10 ** self.precision - 1).bit_length() // 8 + 1
            return "b" + value.to_bytes(width, "big", signed=True).hex()
        if kind == "string":
            return "t" + value.encode().hex()
        return "b" + value.hex() if isinstance(value, bytes) else f"i{int(value)}"

    def header(self):
        return {"id": self.id, "name": self.name, "type": self.type, "required": self.required, "metrics": self.metrics,
                "bloom": self.bloom}

    # ---- bounds, by the specification ----

    def single(self, value):
        """Single-value serialization."""
        kind = self.kind
        if kind == "boolean":
            return bytes([value])
        if kind in ("int", "date"):
            return struct.pack("<i", value)
        if kind in ("long", "time", "timestamp", "timestamptz"):
            return struct.pack("<q", value)
        if kind == "float":
            return struct.pack("<f", value)
        if kind == "double":
            return struct.pack("<d", value)
        if kind == "decimal":
            n = 1
            while not -(1 << (8 * n - 1)) <= value < 1 << (8 * n - 1):
                n += 1
            return value.to_bytes(n, "big", signed=True)
        return value.encode() if kind == "string" else value

    def bounds(self, values):
        there = [v for v in values if v is not None and v == v]
        if self.metrics in ("counts", "none") or not there:
            return None, None
        low, high = (min(there, key=self.single), max(there, key=self.single)) if self.kind == "string" else (min(there), max(there))
        if self.kind in ("float", "double"):
            low, high = (-0.0 if low == 0 else low), (0.0 if high == 0 else high)
        if self.metrics == "bounds" and self.kind == "string" and len(high) > 16:
            high = raised_text(high[:16])
        if self.metrics == "bounds" and self.kind in ("fixed", "binary") and len(high) > 16:
            high = raised_bytes(high[:16])
        if self.metrics == "bounds" and self.kind in ("string", "fixed", "binary"):
            low = low[:16]
        return self.single(low), None if high is None else self.single(high)


def raised_text(text):
    for n in range(len(text), 0, -1):
        code = ord(text[n - 1]) + 1
        if code <= 0x10ffff:
            return text[:n - 1] + chr(0xe000 if code == 0xd800 else code)
    return None


def raised_bytes(value):
    value = value.rstrip(b"\xff")
    return value[:-1] + bytes([value[-1] + 1]) if value else None


class Case:
    """Fields, their values, and the lines that say so to bench/lake_rows."""

    def __init__(self, rng, path, rows=None):
        self.path = path
        count = rng.choice([1, 2, 5, 9])
        self.rows = rng.choice([0, 1, 8, 100, 300, 2000]) if rows is None else rows
        if rows:
            count = 2
        self.fields = [Field(rng, k) for k in range(count)]
        self.columns = [f.values(rng, self.rows) for f in self.fields]
        cells = [[f.cell(rng, v) for v in values] for f, values in zip(self.fields, self.columns)]
        self.zeros = sum(zero for column in cells for _, zero in column)
        self.head = {"path": str(path), "codec": rng.choice(CODECS), "rows": self.rows, "batch": rng.choice([1, 7, 256, 100000]),
                     "columns": [f.header() for f in self.fields]}
        for name, choices in (("page_rows", [1, 7, 100, 0, 0]), ("page_bytes", [16, 1000, 0, 0]), ("group_rows", [50, 700, 0, 0]),
                              ("group_bytes", [2000, 0, 0]), ("dictionary_bytes", [60, 4000, 0, 0]), ("bloom_bytes", [1, 1024, 0])):
            self.head[name] = rng.choice(choices)
        if self.rows > 3000:
            self.head.update(page_rows=0, page_bytes=0, group_bytes=0, group_rows=rng.choice([0, 20000]))
        if self.rows > 100:
            self.head["page_rows"] = self.head["page_rows"] // 2 * 50
        self.lines = ["\t".join(column[r][0] for column in cells) for r in range(self.rows)]

    def text(self, **more):
        return "\n".join([json.dumps(self.head | more), *self.lines]) + "\n"


class Driver:
    """bench/lake_rows, kept running."""

    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def line(self):
        line = self.process.stdout.readline()
        assert line, f"lake_rows ended: {self.process.wait()}"
        return line.decode().rstrip("\n")

    def write(self, case, **more):
        self.ask(case.text(**more))
        return json.loads(self.line())

    def read(self, path, fields):
        """Rows as lists of cells' texts, and the last line."""
        self.ask(json.dumps({"read": True, "path": str(path), "columns": [f.header() for f in fields]}) + "\n")
        rows = []
        while not (line := self.line()).startswith("{"):
            rows.append(line.split("\t"))
        return rows, json.loads(line)

    def find(self, case, column, value):
        cell = case.fields[column].native(value)
        self.ask(json.dumps({"find": [column, cell], "path": str(case.path), "columns": [f.header() for f in case.fields]}) + "\n")
        found = json.loads(self.line())
        return found["positions"][:-1], found["skipped"]

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(20) == 0
        self.process.stdout.close()
