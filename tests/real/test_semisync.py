"""A full load while every commit is in the binlog, and read by capture, long before it can be seen: semi-sync with
AFTER_SYNC and a replica that acknowledges late. A chunk then shows rows older than what was streamed, which the windows
must notice: no version of any key may come twice, go back, or be skipped, in the topic or at the target."""

import collections
import random
import socket
import struct
import threading
import time

import pymysql
import pytest

from lib import topics
from lib.deploy import Deployment
from lib.workload import new_seed
from stack import wait_until

DELAY = 0.25
KEYS = 24000
WRITERS = 12


class LateReplica:
    """A semi-sync replica that acknowledges DELAY after it received. Protocol: MySQL's replication protocol, COM_BINLOG_DUMP;
    semi-sync packets carry EF and a flag before the event, the answer is EF, position (8 bytes), file name."""

    def __init__(self, server, word):
        self.connection = server.connect(user="repl")
        self.acks, self.received = 0, collections.deque()
        with self.connection.cursor() as cursor:
            try:
                cursor.execute("SHOW BINARY LOG STATUS")
            except pymysql.err.MySQLError:
                cursor.execute("SHOW MASTER STATUS")
            self.file, position = cursor.fetchone()[:2]
            cursor.execute(f"SET @rpl_semi_sync_{word} = 1, @source_binlog_checksum = 'NONE', "
                           "@master_binlog_checksum = 'NONE', @mariadb_slave_capability = 4")
        self.connection._execute_command(0x12, struct.pack("<IHI", position, 0, 4711) + self.file.encode())
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=target, daemon=True) for target in (self.read, self.answer)]
        for thread in self.threads:
            thread.start()

    def packet(self):
        header = self.connection._rfile.read(4)
        if len(header) < 4:
            return b""
        return self.connection._rfile.read(int.from_bytes(header[:3], "little"))

    def read(self):
        try:
            while data := self.packet():
                assert data[0] == 0, data[:80]
                flag, event = 0, data[1:]
                if event[0] == 0xEF:
                    flag, event = event[1], event[2:]
                kind, position = event[4], struct.unpack("<I", event[13:17])[0]
                if kind == 4:  # Rotate
                    self.file = event[27:].decode()
                if flag & 1:
                    self.received.append((time.monotonic() + DELAY, position, self.file))
        except (OSError, ValueError, AttributeError):
            assert self.stopping.is_set()

    def answer(self):
        while not self.stopping.wait(0.005):
            newest = None
            while self.received and self.received[0][0] <= time.monotonic():
                newest = self.received.popleft()
            if newest:
                body = b"\xef" + struct.pack("<Q", newest[1]) + newest[2].encode()
                self.connection._sock.sendall(struct.pack("<I", len(body)) + body)  # length, and sequence 0
                self.acks += 1

    def stop(self):
        self.stopping.set()
        self.connection._sock.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join()
        self.connection._force_close()


class SemiSync:
    """AFTER_SYNC on a server, with the replica above."""

    def __init__(self, server, maria):
        self.server = server
        self.plugin = not maria
        self.main, self.word = ("master", "slave") if maria else ("source", "replica")

    def set(self, name, value):
        self.server.execute(f"SET GLOBAL rpl_semi_sync_{self.main}_{name} = {value}")

    def status(self, name):
        return self.server.execute(f"SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_{self.main}_{name}'")[0][1]

    def __enter__(self):
        if self.plugin and not self.server.execute("SELECT 1 FROM information_schema.PLUGINS "
                                                   "WHERE PLUGIN_NAME = 'rpl_semi_sync_source'"):
            # It stays: it cannot be unloaded while any session of a replica lives.
            self.server.execute("INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'")
        self.set("wait_point", "'AFTER_SYNC'")
        self.set("timeout", 120000)
        self.replica = LateReplica(self.server, self.word)
        self.set("enabled", 1)
        wait_until(lambda: self.status("clients") == "1" and self.status("status") == "ON", 30, "semi-sync is on")
        return self

    def __exit__(self, *_):
        self.set("enabled", 0)
        self.replica.stop()


class Writer(threading.Thread):
    """Keys of its own; each change of a key is its last version + 1, an insert after a delete too."""

    def __init__(self, server, database, number, seed):
        super().__init__(daemon=True)
        self.server, self.table = server, f"{database}.ladder"
        self.random = random.Random(seed * 100 + number)
        self.keys = list(range(number, KEYS, WRITERS))
        self.gone = {}
        self.stopping = threading.Event()
        self.commits, self.waited, self.failure = 0, 0.0, None

    def step(self, cursor):
        chosen = self.random.sample(self.keys, 40)
        back = [k for k in chosen if k in self.gone]
        if back:
            cursor.executemany(f"INSERT INTO {self.table} VALUES (%s, %s, 'again')", [(k, self.gone.pop(k) + 1) for k in back])
        there = [k for k in chosen if k not in back]
        self.random.shuffle(there)
        leave, change = there[:3], there[3:]
        places = ",".join(map(str, leave))
        cursor.execute(f"SELECT k, v FROM {self.table} WHERE k IN ({places})")
        self.gone.update(cursor.fetchall())
        cursor.execute(f"DELETE FROM {self.table} WHERE k IN ({places})")
        cursor.execute(f"UPDATE {self.table} SET v = v + 1 WHERE k IN ({','.join(map(str, change))})")

    def run(self):
        try:
            connection = self.server.connect(autocommit=False)
            with connection.cursor() as cursor:
                while not self.stopping.is_set():
                    self.step(cursor)
                    began = time.monotonic()
                    connection.commit()
                    self.waited += time.monotonic() - began
                    self.commits += 1
            connection.close()
        except Exception as error:
            self.failure = error

    def stop(self):
        self.stopping.set()
        self.join(60)
        if self.failure:
            raise self.failure


class NeverBack(threading.Thread):
    """Looks at the target all the time: the version of a key never goes back."""

    def __init__(self, server, database):
        super().__init__(daemon=True)
        self.server, self.database = server, database
        self.best, self.back, self.looks = {}, [], 0
        self.stopping = threading.Event()

    def look(self, cursor):
        try:
            cursor.execute(f"SELECT k, v FROM {self.database}.ladder")
        except pymysql.err.MySQLError:
            return
        for k, v in cursor.fetchall():
            if v < self.best.get(k, v):
                self.back.append((k, self.best[k], v))
            self.best[k] = v
        self.looks += 1

    def run(self):
        connection = self.server.connect()
        with connection.cursor() as cursor:
            while not self.stopping.wait(0.1):
                self.look(cursor)
        connection.close()

    def stop(self):
        self.stopping.set()
        self.join()
        assert self.looks > 3 and not self.back, self.back[:10]


def make(source, target, database):
    for server in (source, target):
        server.execute(f"DROP DATABASE IF EXISTS {database}")
    source.execute(f"CREATE DATABASE {database}", f"CREATE TABLE {database}.ladder (k INT PRIMARY KEY, v BIGINT NOT NULL, "
                   f"pad VARCHAR(200) NOT NULL)")
    connection = source.connect()
    with connection.cursor() as cursor:
        for i in range(0, KEYS, 6000):
            cursor.executemany(f"INSERT INTO {database}.ladder VALUES (%s, 1, %s)", [(k, "x" * 150) for k in range(i, i + 6000)])
    connection.close()


@pytest.mark.slow
@pytest.mark.parametrize("source", ["mysql97", "mariadb"])
def test_a_load_among_commits_that_are_logged_before_they_are_seen(request, binaries, kafka, tmp_path, source):
    name, seed = f"semi_{source}", new_seed("semisync")
    maria = source == "mariadb"
    target = request.getfixturevalue("mysql97" if maria else "mariadb")
    source = request.getfixturevalue(source)
    make(source, target, name)
    # Small chunks and few connections: the load lasts some seconds, many windows among waiting commits.
    settings = {"load.chunk.bytes": "64KiB", "load.connections": 2}
    with Deployment(binaries, kafka, tmp_path, settings) as d, SemiSync(source, maria) as semi:
        d.start_both()
        writers = [Writer(source, name, i, seed) for i in range(WRITERS)]
        never_back = NeverBack(target, name)
        for thread in [*writers, never_back]:
            thread.start()
        wait_until(lambda: all(w.commits > 2 or w.failure for w in writers), 60, "the writers write")
        prefix = f"s{int(time.time())}"
        before = sum(w.commits for w in writers)
        task = d.create(name, source, target, databases=name, prefix=prefix)
        d.wait_state(task, 240, phase="Incremental Sync")
        during = sum(w.commits for w in writers) - before
        wait_until(lambda: sum(w.commits for w in writers) > before + during + 5 * WRITERS, 60, "changes after the load")
        for writer in writers:
            writer.stop()
        commits = sum(w.commits for w in writers)
        waited = sum(w.waited for w in writers) / commits
        print(f"{commits} commits, {during} during the load, each waited {waited * 1000:.0f} ms, {semi.replica.acks} acks")
        assert semi.status("no_tx") == "0" and waited > DELAY * 0.8 and during > 2 * WRITERS
        d.caught_up(task, source, target, [name], 120)
        never_back.stop()
        rows = dict(source.execute(f"SELECT k, v FROM {name}.ladder"))
        found = topics.check_ladder(kafka.bootstrap, f"{prefix}.{name}.ladder", rows)
        print(found.counts)
        assert found.counts["r"] > KEYS / 2 and found.counts["u"] > 500
