"""Deaths at every failpoint, and servers that die, freeze or answer late. Slow: ./run faults."""

import re
import signal
import subprocess
import time

import pytest

from lib import topics
from lib.deploy import Deployment
from lib.faults import TopicTick, target_tick
from lib.workload import Bank, BankChecker, Ladder, Writers
from stack import Kafka, KafkaProxy, wait_until
from test_kills import TARGET_OF, prepare

pytestmark = pytest.mark.slow
ROOT = __file__.rsplit("/tests/", 1)[0]


def failpoints():
    text = subprocess.run(["git", "grep", "-hoE", r'FAULT\("[^"]+"\)', "--", "*.c", ":!tests", ":!lake", ":!apply/iceberg"], cwd=ROOT,
                          capture_output=True, text=True, check=True).stdout
    # definition.gap is passed only where the log has no column names: test_minimal.py dies there; move.*: test_rename.py
    return sorted(set(re.findall(r'"([^"]+)"', text)) - {"definition.gap", "move.left", "move.entered"})


def half_of(name):
    if name.startswith("task_put"):
        return "millrace"
    return "apply" if name.startswith("apply") else "capture"


def markers_left_out(kafka):
    """How often the broker said so: it ended a transaction before it knew a leader, and readers of its log may see rows of it
    that were given up. Those are void, which the progress topic tells."""
    return sum(path.read_text().count("can be skipped") for path in kafka.data.glob("log*"))


def check_end(d, task, ladder, source, target, void=True):
    d.caught_up(task, source, target, [ladder.database], 120)
    voids = topics.Void(d.kafka.bootstrap, task.progress_topic)
    topics.check_ladder(d.kafka.bootstrap, f"{task.prefix}.{ladder.database}.ladder", ladder.rows_now(), "avro",
                        voids if void else None, inc=voids.inc)
    shown = d.show(task)
    assert shown["state"] == "running" and shown["err-msg"] == ""


class Work:
    """A task under load whose tables are also made, altered, emptied and loaded again when asked."""

    def __init__(self, d, name, source, target, **options):
        self.d, self.name, self.source, self.target = d, name, source, target
        self.ladder, self.bank = prepare(name, source, target, 800)
        self.capture, self.apply = d.start_both()
        self.task = d.create(name, source, target, databases=name, **options)
        self.tables = 0
        d.wait_state(self.task, phase="Incremental Sync")

    def tick(self):
        return target_tick(self.target, self.name)

    def stir(self):
        """Everything that is no row: a new table, an added column, a truncate, a load anew; and XA transactions."""
        self.tables += 1
        table = f"{self.name}.extra{self.tables}"
        self.source.execute(f"CREATE TABLE {table} (k INT PRIMARY KEY)", f"INSERT INTO {table} VALUES (1), (2)",
                            f"ALTER TABLE {table} ADD COLUMN x INT", f"INSERT INTO {table} VALUES (3, 3)",
                            f"TRUNCATE TABLE {table}", f"INSERT INTO {table} VALUES (4, 4)")
        self.source.execute("XA START 'one'", f"INSERT INTO {table} VALUES (5, 5)", "XA END 'one'",
                            "XA COMMIT 'one' ONE PHASE", "XA START 'two'", f"INSERT INTO {table} VALUES (6, 6)",
                            "XA END 'two'", "XA PREPARE 'two'", "XA COMMIT 'two'",
                            f"ALTER TABLE {table} MODIFY x SMALLINT")

    def again(self, name):
        """What makes a running worker pass the failpoint once more."""
        if name.startswith("apply.claim"):
            self.d.verb("pause", self.task)
            self.d.verb("resume", self.task)
        elif name.startswith("claim") or name == "kafka.after_init":
            self.d.kafka.kill9()
            self.d.kafka.start()
        else:
            self.stir()

    def goes_on(self, what, seconds=60):
        at = self.tick()
        self.d.wait(lambda: self.tick() > at, what, seconds)


@pytest.fixture(scope="module")
def points(binaries, mysql97, mariadb, tmp_path_factory):
    """One deployment for all failpoints, with a broker of its own because it lives beside the tests that follow: each
    death is followed by a start without a fault."""
    folder = tmp_path_factory.mktemp("points")
    with Kafka(folder) as kafka, Deployment(binaries, kafka, folder) as d:
        work = Work(d, "points", mysql97, mariadb)
        with Writers(mysql97, work.ladder, work.bank, pause=0.002):
            yield work
        check_end(d, work.task, work.ladder, mysql97, mariadb)


@pytest.mark.parametrize("nth", [1, 3])
@pytest.mark.parametrize("name", failpoints())
def test_death_at(points, name, nth):
    half = half_of(name)
    if half == "millrace":
        return death_of_the_command(points, name, nth)
    worker = getattr(points, half)
    worker.kill()
    worker.start(fault=f"{name}:{nth}")

    def died(seconds):
        end = time.monotonic() + seconds
        while worker.running and time.monotonic() < end:
            time.sleep(0.02)
        return not worker.running
    for _ in range(nth):
        if not died(3):
            points.again(name)
    if not died(8):
        points.d.verb("restart", points.task, "-y")
    if not died(25):
        worker.kill()
        worker.start()
        pytest.fail(f"{name} was not passed {nth} times")
    assert worker.process.poll() == -signal.SIGKILL
    assert f"name={name}" in worker.log
    worker.start()
    points.goes_on(f"{half} goes on after {name}:{nth}", 90)


def death_of_the_command(points, name, nth):
    if nth > 1:
        return
    points.d.command("task", "pause", "--task-name", "points", check=False, env={"MILLRACE_FAULT": name})
    shown = points.d.show(points.task)
    if "before" in name:
        assert shown["state"] == "running"
    else:
        points.d.wait(lambda: points.d.show(points.task)["state"] == "stopped", "the wish is carried out")
        points.d.verb("resume", points.task)
    points.goes_on("the task goes on")


# Servers.


@pytest.mark.parametrize("delivery", ["exactly-once", "fast"])
def test_the_broker_is_killed_under_load(binaries, kafka, tmp_path, mysql97, mariadb, delivery):
    with Deployment(binaries, kafka, tmp_path) as d:
        work = Work(d, f"broker_{delivery[:4]}", mysql97, mariadb, delivery=delivery)
        times, left_out = [], markers_left_out(kafka)
        with Writers(mysql97, work.ladder, work.bank, pause=0.002):
            for away in (0, 0, 12, 0, 0):  # 12 s: longer than a unit's rows are waited for
                work.goes_on("the stream flows")
                kafka.kill9()
                time.sleep(away)
                kafka.start()
                begin, at = time.monotonic(), work.tick()
                d.wait(lambda: work.tick() > at, "a change after the broker's return", 60)
                times.append(time.monotonic() - begin)
        left_out = markers_left_out(kafka) - left_out
        check_end(d, work.task, work.ladder, mysql97, mariadb, delivery == "fast" or left_out > 0)
        print("first change after the broker was ready:", [f"{t:.2f} s" for t in times], "without markers:", left_out)
        assert sorted(times)[2] <= 3


def test_a_transaction_that_the_broker_forgot_to_end_holds_no_claim_up(binaries, tmp_path, mysql97, mariadb):
    """A broker that comes back after a transaction's timeout ends it before it knows a leader, and leaves out the markers (it
    says "can be skipped"; here it looks for such transactions each second): nobody can then read behind the progress record."""
    kafka = Kafka(tmp_path / "kafka")
    kafka.props = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000}
    with kafka, Deployment(binaries, kafka, tmp_path, {"kafka.transaction.timeout.ms": 2000}) as d:
        work = Work(d, "forgotten", mysql97, mariadb)
        with Writers(mysql97, work.ladder, work.bank, pause=0.002):
            work.goes_on("the stream flows")
            work.capture.kill()
            work.capture.start("kafka.before_commit:9")
            d.wait(lambda: not work.capture.running, "the death behind a progress record")
            kafka.kill9()
            time.sleep(2)  # the timeout
            kafka.start()
            assert markers_left_out(kafka), "what this is about"
            work.capture.start()
            work.goes_on("the stream flows after the broker's return", 120)
        check_end(d, work.task, work.ladder, mysql97, mariadb)
        assert "event=progress_given_up" in work.capture.log


@pytest.mark.parametrize("source", ["mysql97", "mysql80", "mariadb"])
def test_source_and_target_are_killed_under_load(request, binaries, kafka, tmp_path, source):
    name = f"servers_{source}"
    source, target = request.getfixturevalue(source), request.getfixturevalue(TARGET_OF[source])
    with Deployment(binaries, kafka, tmp_path) as d:
        work = Work(d, name, source, target)
        with Writers(source, work.ladder, work.bank, pause=0.002):
            for server in (source, target, source, target):
                work.goes_on("the stream flows")
                server.kill9()
                server.start()
                work.goes_on("changes after the server's return")
        check_end(d, work.task, work.ladder, source, target, False)


@pytest.mark.parametrize("delivery", ["exactly-once", "fast"])
def test_a_frozen_worker_is_replaced_by_its_twin_and_does_nothing_when_it_thaws(
        binaries, kafka, tmp_path, mysql97, mariadb, delivery):
    name = f"frozen_{delivery[:4]}"
    with Deployment(binaries, kafka, tmp_path) as d:
        work = Work(d, name, mysql97, mariadb, delivery=delivery)
        twins = d.start_both("b")
        d.wait(lambda: all(w.ready for w in twins), "the twins are ready")
        with Writers(mysql97, work.ladder, work.bank, pause=0.002):
            for worker in (work.capture, work.apply):
                work.goes_on("the stream flows")
                worker.freeze()
                begin, at = time.monotonic(), work.tick()
                if worker.half == "capture":  # what it published before may still arrive
                    d.wait(lambda: f"event=claimed unit={name}" in twins[0].log, "the twin claims", 8)
                d.wait(lambda: work.tick() > at, "the twin takes over", 8)
                print(f"{worker.half}: taken over after {time.monotonic() - begin:.2f} s")
                time.sleep(max(0.0, 60 - (time.monotonic() - begin)))  # the 60 s, for the thawed one's surprise
                before = worker.log.count("event=")
                worker.thaw()
                work.goes_on("the stream flows on")
                wait_until(lambda: worker.log.count("event=") > before, 30, "the thawed one says what it found")
            at = work.ladder.steps
            wait_until(lambda: work.ladder.steps > at + 200, 60, "200 more transactions")
        check_end(d, work.task, work.ladder, mysql97, mariadb, delivery == "fast")


@pytest.mark.parametrize("source", ["mysql97", "mysql80", "mariadb"])
def test_two_of_each_worker_from_the_start_corrupt_nothing(request, binaries, kafka, tmp_path, source):
    name = f"twins_{source}"
    source, target = request.getfixturevalue(source), request.getfixturevalue(TARGET_OF[source])
    with Deployment(binaries, kafka, tmp_path) as d:
        d.start_both("b")
        work = Work(d, name, source, target, consistency="task")
        with Writers(source, work.ladder, work.bank, pause=0.002), BankChecker(target, name, work.bank.total):
            at = work.ladder.steps
            wait_until(lambda: work.ladder.steps > at + 400, 120, "400 transactions")
        check_end(d, work.task, work.ladder, source, target, False)


# A late answer of Kafka.


@pytest.fixture
def proxied(tmp_path_factory):
    kafka = Kafka(tmp_path_factory.mktemp("proxied"))
    proxy = KafkaProxy(kafka).start()
    try:
        yield kafka.start(advertised=proxy.port), proxy
    finally:
        kafka.stop()
        proxy.stop()


def test_late_lost_and_unanswered_commits_and_aborts_leave_the_target_right(binaries, proxied, tmp_path, mysql97, mariadb):
    """The proxy holds EndTxn requests back and delivers them later, into whatever transaction is open then; it loses
    some, and the answers of others; produce requests too. A worker killed in between makes the coordinator abort."""
    kafka, proxy = proxied
    with Deployment(binaries, kafka, tmp_path) as d:
        work = Work(d, "late", mysql97, mariadb)
        with Writers(mysql97, work.ladder, work.bank, pause=0.002):
            for endtxn, fault in (
                    (True, lambda: proxy.hold("endtxn", 1, 0.3)), (True, lambda: proxy.hold("endtxn", 1, 2.5)),
                    (True, lambda: proxy.hold("endtxn", 2, 1.0)), (True, lambda: proxy.drop("endtxn", 1)),
                    (True, lambda: proxy.lose("endtxn", 1)), (True, lambda: proxy.hold("endtxn", 1, 6)),
                    (False, lambda: proxy.drop("produce", 2)), (False, lambda: proxy.hold("produce", 1, 1.0)),
                    (False, lambda: proxy.hold("addpartitionstotxn", 1, 1.0))):
                work.goes_on("the stream flows")
                claims = work.capture.log.count("event=claimed")
                fault()
                work.goes_on("the stream flows after the fault")
                if endtxn:
                    d.wait(lambda: work.capture.log.count("event=claimed") > claims, "capture claims again", 30)
            for seconds in (0.5, 3):  # the dead one's commit comes late, behind its successor's claim
                held = len(proxy.events("held"))
                proxy.hold("endtxn", 1, seconds)
                d.wait(lambda: len(proxy.events("held")) > held, "an EndTxn is held")
                work.capture.kill()
                work.capture.start()
                work.goes_on("the stream flows after a kill behind a held commit")
        check_end(d, work.task, work.ladder, mysql97, mariadb)
        print({name: len(proxy.events(name)) for name in ("held", "late_answer", "dropped", "lost")},
              "claims", work.capture.log.count("event=claimed"))
        assert len(proxy.events("late_answer")) >= 5


def test_a_topic_that_brokers_do_not_know_for_a_while_is_not_gone(binaries, proxied, tmp_path, mysql97, mariadb):
    """A starved broker's metadata lag behind the controller's: for longer than a deletion takes to be believed, workers that
    start are told that a topic of theirs does not exist."""
    kafka, proxy = proxied
    mysql97.execute("CREATE DATABASE denied", "CREATE TABLE denied.t (k INT PRIMARY KEY)", "INSERT INTO denied.t VALUES (1)")
    with Deployment(binaries, kafka, tmp_path) as d:
        workers = d.start_both()
        task = d.create("denied", mysql97, mariadb, databases="denied")
        d.caught_up(task, mysql97, mariadb, ["denied"])
        for row, worker in enumerate(workers, 2):
            worker.kill()
            proxy.deny(True, "denied.denied.t")
            worker.start()
            d.wait(lambda: "MR2019" in worker.log or "MR2002" in worker.log, "the topic is doubted", 90)
            proxy.deny(False, "denied.denied.t")
            mysql97.execute(f"INSERT INTO denied.t VALUES ({row})")
            d.caught_up(task, mysql97, mariadb, ["denied"])
            assert "MR2002" not in worker.log
