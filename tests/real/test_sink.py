"""The Iceberg sink without Kafka before it (bench/lake_sink): what DuckDB and PyIceberg read after loads, updates all over
the table and deletes; its memory and what it reads with ten million live keys."""

import os
import re
import subprocess
import threading
import time
from pathlib import Path

import pytest

from lib.lakehouse import Lakehouse

MIB = 2**20
PRIME = 7368787  # of lake_sink's update


class Memory(threading.Thread):
    """The largest RssAnon and VmRSS of a process, looked at every few milliseconds."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.path, self.anon, self.all = Path(f"/proc/{pid}/status"), 0, 0

    def run(self):
        while True:
            try:
                found = dict(re.findall(r"(RssAnon|VmHWM):\s+(\d+) kB", self.path.read_text()))
            except OSError:
                return
            if not found:  # it ended
                return
            self.anon, self.all = max(self.anon, int(found["RssAnon"]) * 1024), max(self.all, int(found["VmHWM"]) * 1024)
            time.sleep(0.005)


class Sink:
    def __init__(self, binaries, folder, version=3):
        self.program = binaries.folder.parent / "bench" / "lake_sink"
        assert os.access(self.program, os.X_OK), f"{self.program} is not built"
        self.folder, self.lake, self.version = folder, Lakehouse(folder / "lake"), version
        self.memory = None

    def run(self, unit, *verbs):
        """What it printed, by name."""
        process = subprocess.Popen([self.program, self.lake.uri, str(unit), *map(str, verbs), f"data.dir={self.folder}/data",
                                    f"iceberg.format.version={self.version}"], stdout=subprocess.PIPE, text=True)
        self.memory = Memory(process.pid)
        self.memory.start()
        out = process.communicate(timeout=3000)[0]
        assert process.returncode == 0
        return {k: float(v) for k, v in re.findall(r"(\w+)=(-?[\d.]+)", out)}

    def source(self):
        return f"iceberg_scan('{self.lake.load('shop.t').metadata_location}')"

    def count(self, condition):
        return self.lake.duckdb().count(f"{self.source()} WHERE {condition}")

    def check(self, keys, updates, thinned=False):
        """Every key once with the n that its last change gave it, and the text that says so; no equality delete."""
        inverse = pow(PRIME, -1, keys)
        n = f"CASE WHEN (id::HUGEINT * {inverse}) % {keys} < {updates} THEN (id::HUGEINT * {inverse}) % {keys} + 1 ELSE 0 END"
        want = keys - (keys + 9) // 10 if thinned else keys
        assert self.lake.duckdb().count(f"(SELECT DISTINCT id FROM {self.source()} WHERE id >= 0 AND id < {keys})") == want
        assert self.count("true") == want
        assert self.count(f"n <> {n} OR v <> 'row ' || id || '/' || n OR v IS NULL OR n IS NULL") == 0
        summary = self.lake.load("shop.t").current_snapshot().summary.additional_properties
        assert summary["total-equality-deletes"] == "0"
        assert int(summary["total-records"]) - int(summary["total-position-deletes"]) == want


@pytest.mark.parametrize("version", [3, 2])
def test_updates_and_deletes_all_over_a_table_are_read_right(binaries, tmp_path, version):
    sink = Sink(binaries, tmp_path, version)
    sink.run(7000, "fill", 20_000, "update", 9_001)
    sink.check(20_000, 9_001)
    names, rows = sink.lake.read("shop.t")
    assert names == ["id", "v", "n"] and len(rows) == 20_000 and all(v == f"row {i}/{n}" for i, v, n in rows)
    sink = Sink(binaries, tmp_path / "thin", version)
    sink.run(7000, "fill", 20_000, "update", 3_000, "thin", 20_000)
    sink.check(20_000, 3_000, thinned=True)


@pytest.mark.slow
def test_a_million_updates_of_ten_million_keys_stay_within_the_memory(binaries, tmp_path):
    keys, updates = 10_000_000, 1_000_000
    sink = Sink(binaries, tmp_path)
    peaks = []
    for unit, *verbs in ((1_000_000, "fill", keys), (50_000, "keys", keys, "update", updates)):
        said = sink.run(unit, *verbs)
        peaks.append((sink.memory.anon, sink.memory.all))
        print(f"{said}; RssAnon {sink.memory.anon / MIB:.0f} MiB, VmHWM {sink.memory.all / MIB:.0f} MiB")
    sink.check(keys, updates)
    assert all(anon <= 256 * MIB and every <= 512 * MIB for anon, every in peaks)
    assert 0 < said["update_read_per_1000"] < 4 * MIB, "each commit reads the tables' key columns"
