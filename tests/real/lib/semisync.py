"""A semi-synchronous replica that acknowledges late, so that commits are in the log long before they are visible.

Wire: COM_BINLOG_DUMP; with @rpl_semi_sync_replica each event is preceded by 0xEF and a flag that asks for an
acknowledgement: 0xEF, 8-byte position, file name, in a packet of number 0 (MySQL, sql/semisync_source_ack_receiver)."""

import random
import struct
import threading
import time

ROTATE_EVENT = 4


class LateReplica:
    def __init__(self, server, low_ms, high_ms, seed=1):
        self.server, self.low, self.high = server, low_ms / 1000, high_ms / 1000
        self.random = random.Random(seed)
        self.acknowledged = 0
        self.connection = server.connect()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        server = self.server
        if not server.execute("SELECT 1 FROM information_schema.PLUGINS WHERE PLUGIN_NAME = 'rpl_semi_sync_source'"):
            server.execute("INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'")
        server.execute("SET GLOBAL rpl_semi_sync_source_timeout = 60000",
                       "SET GLOBAL rpl_semi_sync_source_wait_point = 'AFTER_SYNC'")
        self.dump()
        self.thread.start()
        server.execute("SET GLOBAL rpl_semi_sync_source_enabled = ON")
        return self

    def __exit__(self, *_):
        self.server.execute("SET GLOBAL rpl_semi_sync_source_enabled = OFF")
        self.connection._sock.close()

    def dump(self):
        with self.connection.cursor() as cursor:
            cursor.execute("SET @source_binlog_checksum = 'NONE', @master_binlog_checksum = 'NONE', "
                           "@rpl_semi_sync_replica = 1, @rpl_semi_sync_slave = 1, @slave_uuid = UUID(), @replica_uuid = UUID()")
            cursor.execute("SHOW BINARY LOG STATUS")
            self.file, position = cursor.fetchone()[:2]
        self.send(b"\x12" + struct.pack("<IHI", position, 0, 77777) + self.file.encode())

    def send(self, payload):
        self.connection._sock.sendall(struct.pack("<I", len(payload))[:3] + b"\x00" + payload)

    def read(self):
        """A packet; parts of 16 MiB are joined."""
        whole = b""
        while True:
            head = self.connection._rfile.read(4)
            size = int.from_bytes(head[:3], "little")
            whole += self.connection._rfile.read(size)
            if size < 0xFFFFFF:
                return whole

    def run(self):
        try:
            while True:
                packet = self.read()
                if packet[0] == 0xFE:
                    return
                assert packet[0] == 0, packet[:60]
                wants, event = packet[2], packet[3:]
                position = int.from_bytes(event[13:17], "little")
                if event[4] == ROTATE_EVENT:
                    self.file = event[27:].decode()
                if wants:
                    time.sleep(self.random.uniform(self.low, self.high))
                    self.send(b"\xef" + struct.pack("<Q", position) + self.file.encode())
                    self.acknowledged += 1
        except (OSError, ValueError, IndexError):
            pass
