"""Loads while commits are in the log long before they are visible: semi-synchronous replication, AFTER_SYNC, a replica
that acknowledges late. A loaded row that is older than what the stream has said already breaks its ladder."""

import pytest

from lib import topics
from lib.deploy import Deployment
from lib.semisync import LateReplica
from lib.workload import Ladder, Writers
from stack import Mysql97, wait_until

pytestmark = pytest.mark.slow
WRITERS = 6


@pytest.mark.parametrize("gtid", ["ON", "OFF"])
def test_a_load_never_publishes_a_row_that_the_stream_has_overtaken(binaries, kafka, tmp_path, mariadb, gtid):
    name = f"semisync_{gtid.lower()}"
    mariadb.execute(f"DROP DATABASE IF EXISTS {name}")
    options = [] if gtid == "ON" else ["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"]
    with Mysql97(tmp_path, "semisync") as source:
        if options:
            source.stop()
            source.start(*options)
        ladders = [Ladder(name, f"ladder{i}", 8000, rows_per_step=150).create(source).fill(source) for i in range(WRITERS)]
        with Deployment(binaries, kafka, tmp_path, {"load.chunk.bytes": "64KiB"}) as d:
            d.start_both()
            with LateReplica(source, 20, 250) as replica, Writers(source, *ladders):
                wait_until(lambda: replica.acknowledged > 20, 30, "late acknowledgements")
                task = d.create(name, source, mariadb, databases=name)
                d.wait_state(task, 300, phase="Incremental Sync")
                for _ in range(2):
                    d.verb("restart", task, "-y")
                    d.wait(lambda: d.show(task)["phase"] != "Incremental Sync", "the load begins again", 20)
                    d.wait_state(task, 300, phase="Incremental Sync")
                seen = replica.acknowledged
            d.caught_up(task, source, mariadb, [name], 120)
            void = topics.Void(kafka.bootstrap, task.progress_topic)
            counts = [topics.check_ladder(kafka.bootstrap, f"{name}.{name}.{ladder.table}", ladder.rows_now(),
                                          inc=void.inc).counts for ladder in ladders]
            print(f"{seen} late commits", counts)
            assert seen > 50 and sum(c["r"] for c in counts) > 1000
