"""Writers whose transactions are XA transactions: prepared and committed, prepared and rolled back, in one phase, and
rolled back unprepared. Several are prepared at once: one writer a workload."""

import random
import time

from lib.workload import Rollback, Writers


class XaWriters(Writers):
    """prepared_ms: how long a transaction stays prepared at most."""

    def __init__(self, server, *workloads, pause=0.0, prepared_ms=30):
        super().__init__(server, *workloads, pause=pause)
        self.prepared_ms = prepared_ms
        self.counts = {"commit": 0, "rollback": 0, "one phase": 0, "unprepared": 0}

    def write(self, workload):
        chance = random.Random(workload.seed)
        connection = self.connect()
        connection.autocommit(True)
        while not self.stopping.is_set():
            with connection.cursor() as cursor:
                self.step(workload, cursor, chance)
            self.stopping.wait(self.pause)
        connection.close()

    def step(self, workload, cursor, chance):
        name = f"'{workload.table}-{workload.steps}-{chance.randrange(1 << 30)}','b',{chance.randrange(1, 9)}"
        cursor.execute(f"XA START {name}")
        try:
            rows, ends = workload.step(cursor), True
        except Rollback:
            rows, ends = 0, False
        cursor.execute(f"XA END {name}")
        done = self.end(cursor, name, ends, chance)
        self.counts[done] += 1
        if done in ("commit", "one phase"):
            workload.committed()
            workload.steps += 1
            workload.rows += rows
        else:
            workload.undone()

    def end(self, cursor, name, ends, chance):
        if ends and chance.random() < 0.15:
            cursor.execute(f"XA COMMIT {name} ONE PHASE")
            return "one phase"
        if not ends:
            cursor.execute(f"XA ROLLBACK {name}")
            return "unprepared"
        cursor.execute(f"XA PREPARE {name}")
        time.sleep(chance.random() * self.prepared_ms / 1000)
        commit = chance.random() < 0.8
        cursor.execute(f"XA {'COMMIT' if commit else 'ROLLBACK'} {name}")
        return "commit" if commit else "rollback"


def prepare(server, name, *statements):
    """A transaction that stays prepared when its connection is gone."""
    connection = server.connect()
    with connection.cursor() as cursor:
        for statement in (f"XA START '{name}'", *statements, f"XA END '{name}'", f"XA PREPARE '{name}'"):
            cursor.execute(statement)
    connection.close()


def finish(server, name, verb="COMMIT"):
    server.execute(f"XA {verb} '{name}'")
