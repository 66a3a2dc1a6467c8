"""The checker of offset ranges itself: a table of lake/ with ranges as they must be passes, a doctored one does not."""

import json
import os
from types import SimpleNamespace

import pytest

from lib.lake import Driver
from lib.lake_ranges import Findings, Record, check, check_sum, snapshots_of
from lib.lakehouse import Lakehouse

SCHEMA = {"type": "struct", "schema-id": 0, "identifier-field-ids": [1],
          "fields": [{"id": 1, "name": "id", "required": True, "type": "long"},
                     {"id": 2, "name": "v", "required": False, "type": "long"}]}
TASK = SimpleNamespace(id="task")
# Two partitions; key 3 is updated and key 1 deleted in the second range, key 5 comes in the third.
RECORDS = [Record(0, 0, 1, (1, 10)), Record(0, 1, 3, (3, 30)), Record(1, 0, 2, (2, 20)),
           Record(0, 2, 3, (3, 31)), Record(0, 4, 1, None), Record(1, 3, 2, (2, 19)), Record(1, 4, 5, (5, 1))]
OFFSETS = [{0: 1, 1: 0}, {0: 4, 1: 3}, {0: 4, 1: 5}]


class Sink:
    """Says what a sink says of its commits."""

    def __init__(self, d):
        self.d, self.commits, self.number = d, 0, 0

    def commit(self, offsets, rows=(), delete=None):
        self.commits += 1
        self.number += 1
        state = {"inc": "1", "cut": {"1": [1, self.commits]}, "parts": {"t": {str(p): [o, 1, 1] for p, o in offsets.items()}}}
        self.d.run(op="commit", files=[{"name": f"f{self.number}", "rows": [list(r) for r in rows]}] if rows else [],
                   delete=delete or {}, claim=not rows and not delete,
                   properties={f"millrace.{TASK.id}": json.dumps(state), "millrace.owner": f"1/1/{self.commits}"})


def as_it_must_be(sink):
    sink.commit(OFFSETS[0], [(1, 10), (3, 30), (2, 20)])
    sink.commit(OFFSETS[1], [(3, 31), (2, 19)], {"f1": [0, 1, 2]})
    sink.commit(OFFSETS[2], [(5, 1)])


def a_range_twice(sink):
    as_it_must_be(sink)
    sink.commit(OFFSETS[2], [(5, 1)])


def a_range_left_out(sink):
    sink.commit(OFFSETS[0], [(1, 10), (3, 30), (2, 20)])
    sink.commit(OFFSETS[2], [(3, 31), (2, 19)], {"f1": [0, 1, 2]})


def a_range_in_a_later_snapshot(sink):
    sink.commit(OFFSETS[0], [(1, 10), (3, 30), (2, 20)])
    sink.commit(OFFSETS[1])
    sink.commit(OFFSETS[2], [(3, 31), (2, 19), (5, 1)], {"f1": [0, 1, 2]})


def a_delete_left_out(sink):
    sink.commit(OFFSETS[0], [(1, 10), (3, 30), (2, 20)])
    sink.commit(OFFSETS[1], [(3, 31), (2, 19)], {"f1": [1, 2]})
    sink.commit(OFFSETS[2], [(5, 1)])


def the_last_range_not_there(sink):
    sink.commit(OFFSETS[0], [(1, 10), (3, 30), (2, 20)])
    sink.commit(OFFSETS[1], [(3, 31), (2, 19)], {"f1": [0, 1, 2]})


def a_table_that_went_back(sink):
    as_it_must_be(sink)
    sink.commit(OFFSETS[1], delete={"f3": [0]})


@pytest.fixture
def told(binaries, tmp_path):
    """A table as a sink made it, given as snapshots."""
    program = binaries.folder.parent / "bench" / "lake_driver"
    assert os.access(program, os.X_OK), f"{program} is not built"
    lake = Lakehouse(tmp_path)

    def make(history, name="t"):
        with Driver(program, lake.uri) as d:
            d.run(op="create", table=["ns", name], version=3, schema=SCHEMA)
            history(Sink(d))
        return snapshots_of(lake, f"ns.{name}", TASK, ("id", "v"))
    return make


def test_ranges_as_they_must_be_pass(told):
    assert check(told(as_it_must_be), RECORDS) == 3


@pytest.mark.parametrize("history", [a_range_twice, a_range_left_out, a_range_in_a_later_snapshot, a_delete_left_out,
                                     the_last_range_not_there, a_table_that_went_back], ids=lambda f: f.__name__)
def test_a_doctored_table_does_not(told, history):
    with pytest.raises(Findings):
        check(told(history), RECORDS)


def test_half_a_transfer_is_seen_in_the_sum(told):
    def transfers(sink):
        sink.commit({0: 1}, [(1, 10), (2, 20)])
        sink.commit({0: 3}, [(1, 15), (2, 15)], {"f1": [0, 1]})

    def half(sink):
        sink.commit({0: 1}, [(1, 10), (2, 20)])
        sink.commit({0: 2}, [(1, 15)], {"f1": [0]})
    assert check_sum(told(transfers, "whole"), 2, 30) == 2
    with pytest.raises(Findings):
        check_sum(told(half, "half"), 2, 30)
