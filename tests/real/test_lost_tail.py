"""A source that comes back without the end of its log (a crash with sync_binlog=0), when changes of it were captured: what takes
its place has the same numbers, and must not be taken for it."""

import os
import shutil
import signal

import pytest

from lib import topics
from lib.deploy import Deployment
from stack import Mariadb, Mysql80, Mysql97

SLOW = pytest.mark.slow
ROWS = 20_000
SERVERS = [Mysql97, pytest.param(Mysql80, marks=SLOW), pytest.param(Mariadb, marks=SLOW)]
IDS = ["gtid", "place", "mariadb"]


class Site:
    """A source of its own, a task that only captures it, and how the log's end is lost."""

    def __init__(self, d, source):
        self.d, self.source, self.name = d, source, f"tail{source.port}"
        source.execute(f"CREATE DATABASE {self.name}", f"CREATE TABLE {self.name}.n (d INT PRIMARY KEY)",
                       f"INSERT INTO {self.name}.n VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)",
                       f"CREATE TABLE {self.name}.a (k INT PRIMARY KEY, s VARCHAR(300))")

    def create(self):
        self.task = self.d.create(self.name, self.source, None, self.name, partitions=1)
        self.d.wait_state(self.task, phase="Incremental Sync")

    def remember(self):
        """The server's files as a loss of power at this moment leaves them."""
        os.kill(self.source.pid, signal.SIGSTOP)
        try:
            self.log = max(p.name for p in self.files.glob("binlog.0*"))
            self.size = (self.files / self.log).stat().st_size
            shutil.copytree(self.files, self.files.with_name("then"))
        finally:
            os.kill(self.source.pid, signal.SIGCONT)

    @property
    def files(self):
        return self.source.data / "data"

    def fill(self, first, rows=ROWS):
        """Rows with keys from `first` on, in one transaction."""
        self.source.execute(f"INSERT INTO {self.name}.a SELECT {first} + p.d + 10 * q.d + 100 * r.d + 1000 * s.d + 10000 * t.d, REPEAT('y', 300) FROM "
                            f"{self.name}.n p, {self.name}.n q, {self.name}.n r, {self.name}.n s, {self.name}.n t WHERE t.d < {rows // 10000}")

    def lose(self, kept=0):
        """Power was lost at that moment; of the log's rest `kept` events were on the disk."""
        places = [row[1] for row in self.source.execute(f"SHOW BINLOG EVENTS IN '{self.log}' FROM {self.size}")]
        self.source.kill9()
        if kept:
            shutil.copy(self.files / self.log, self.files.with_name("then") / self.log)
            os.truncate(self.files.with_name("then") / self.log, places[kept])
        shutil.rmtree(self.files)
        self.files.with_name("then").rename(self.files)
        self.source.start()

    def keys(self):
        return {e.key["k"] for e in topics.scan(self.d.kafka.bootstrap, [f"{self.name}.{self.name}.a"])}

    def stops(self, code="MR1033"):
        shown = self.d.wait_state(self.task, state="stopped")
        assert code in shown["err-msg"], shown
        assert "restart the task" in shown["err-msg"], shown


@pytest.fixture
def site(request, binaries, kafka, tmp_path, work):
    with request.param(work, f"tail-{tmp_path.name}") as source:
        with Deployment(binaries, kafka, tmp_path, {"commit.bytes.max": "64KiB"}) as d:
            yield Site(d, source)


def torn(site, kept):
    """Capture dies within a transaction that is partly published; then the log loses it, but for the first events."""
    capture = site.d.start("capture", fault="publish.before_produce:60")
    site.create()
    site.remember()
    site.fill(0)
    site.d.wait(lambda: not capture.running, "capture dies")
    assert 0 < len(site.keys()) < ROWS, "not in the midst of it"
    site.lose(kept)
    return capture


@pytest.mark.parametrize("site", SERVERS, ids=IDS, indirect=True)
@pytest.mark.parametrize("kept", [pytest.param(0, id="whole"), pytest.param(50, id="torn", marks=SLOW)])
def test_a_partly_published_transaction_that_another_one_replaced_stops_the_task(site, kept):
    capture = torn(site, kept)
    site.fill(1_000_000)  # with the number of the lost one, where there are numbers
    capture.start()
    half = kept and site.source.script == "mariadb1011"  # MySQL cuts half a transaction off its log
    site.stops("MR1010" if half else "MR1033")
    assert not any(k >= 1_000_000 for k in site.keys()), "the other one's rows are published as the rest of the lost one"


@pytest.mark.slow
@pytest.mark.parametrize("site", SERVERS, ids=IDS, indirect=True)
def test_a_partly_published_transaction_that_is_gone_stops_the_task_also_when_nothing_follows(site):
    capture = torn(site, 0)
    capture.start()
    site.stops()


@pytest.mark.slow
@pytest.mark.parametrize("site", SERVERS, ids=IDS, indirect=True)
def test_whole_transactions_that_others_replaced_stop_the_task(site):
    """More are written than were lost: each number that was captured is there again."""
    capture = site.d.start("capture")
    site.create()
    site.remember()
    for k in range(5):
        site.source.execute(f"INSERT INTO {site.name}.a VALUES ({k}, 'lost')")
    site.d.wait(lambda: site.keys() == set(range(5)), "they are published")
    capture.stop()
    site.lose()
    for k in range(100, 110):
        site.source.execute(f"INSERT INTO {site.name}.a VALUES ({k}, 'new')")
    capture.start()
    site.stops()
    assert site.keys() == set(range(5))
