#!/usr/bin/env python3
"""A fault proxy for one Kafka broker that understands the frames of the protocol.

    kproxy.py LISTEN UPSTREAM CONTROL        each HOST:PORT; start the broker with LISTEN as its advertised address

Commands, one a line, over a TCP connection to CONTROL; each is answered by one line ("ok", "error ...", or JSON):

    hold API N SECONDS      the next N requests of API: cut the client, deliver the request to the broker SECONDS later
    drop API N              deliver the next N requests of API, discard the answer, cut the client (an unknown outcome)
    lose API N              cut the client at the next N requests of API, deliver nothing
    latency MS [API]        delay every answer (of API) by MS; the order within a connection stays
    blackhole on|off [API]  accept, but pass nothing on (nothing behind a request of API on its connection)
    deny on|off TOPIC       in answers of Metadata there is no such topic
    refuse on|off           close new connections at once
    cut                     close every connection
    log on|off              log every request
    events                  what happened so far, a JSON list of {at, event, api, ...}
    reset                   forget every fault

Kinds of request (API): 0 Produce, 1 Fetch, 3 Metadata, 10 FindCoordinator, 22 InitProducerId, 24 AddPartitionsToTxn,
26 EndTxn, 28 TxnOffsetCommit; names or numbers. Standard library only.
"""

import asyncio
import json
import re
import struct
import sys
import time

APIS = {
    "produce": 0, "fetch": 1, "listoffsets": 2, "metadata": 3, "offsetcommit": 8, "findcoordinator": 10,
    "createtopics": 19, "initproducerid": 22, "addpartitionstotxn": 24, "endtxn": 26, "txnoffsetcommit": 28,
}
FRAME_MAX = 1 << 28


def api_number(word):
    return int(word) if word.isdigit() else APIS[word.lower()]


class Faults:
    """What is to go wrong, and what did."""

    def __init__(self):
        self.begin = time.monotonic()
        self.events = []
        self.reset()

    def reset(self):
        self.held = {}       # api -> [how many, seconds]
        self.dropped = {}    # api -> how many
        self.lost = {}       # api -> how many
        self.latency = {}    # api, or None for every one -> seconds
        self.black = set()   # apis; None for all
        self.denied = set()  # topics
        self.refuse = False
        self.log = False

    def note(self, event, **fields):
        entry = {"at": round(time.monotonic() - self.begin, 3), "event": event, **fields}
        self.events.append(entry)
        print(json.dumps(entry), flush=True)

    @staticmethod
    def take(table, api):
        if table.get(api, 0) <= 0:
            return False
        table[api] -= 1
        return True

    def take_hold(self, api):
        entry = self.held.get(api)
        if not entry or entry[0] <= 0:
            return None
        entry[0] -= 1
        return entry[1]

    def delay(self, api):
        return self.latency.get(api, self.latency.get(None, 0.0))

    def disguise(self, api, frame):
        """Asks for another topic instead of a denied one; the same in the answer gives back the name that was asked for."""
        for topic in self.denied if api == APIS["metadata"] else ():
            other = b"-" * len(topic)
            frame = re.sub(topic + b"|" + other, lambda found: other if found[0] == topic else topic, frame)
        return frame

    async def gate(self, api):
        while None in self.black or api in self.black:
            await asyncio.sleep(0.01)


async def read_frame(reader):
    head = await reader.readexactly(4)
    (size,) = struct.unpack(">i", head)
    if not 0 <= size <= FRAME_MAX:
        raise ConnectionError(f"frame of {size} bytes")
    return head + await reader.readexactly(size)


class Connection:
    """One client connection and its twin to the broker."""

    def __init__(self, faults, client, broker):
        self.faults = faults
        self.client_reader, self.client_writer = client
        self.broker_reader, self.broker_writer = broker
        self.pending = {}          # correlation id -> api
        self.discard = set()       # correlation ids whose answer is withheld
        self.holding = False
        self.answers = asyncio.Queue()

    def close(self):
        self.client_writer.close()
        self.broker_writer.close()

    async def run(self):
        tasks = [asyncio.create_task(step()) for step in (self.requests, self.responses, self.deliver)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if self.holding:
                await asyncio.wait(tasks[:1])
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.close()

    async def requests(self):
        while True:
            frame = await read_frame(self.client_reader)
            api, version, correlation = struct.unpack(">hhi", frame[4:12])
            if self.faults.log:
                self.faults.note("request", api=api, version=version, bytes=len(frame))
            await self.faults.gate(api)
            seconds = self.faults.take_hold(api)
            if seconds is not None:
                return await self.hold(frame, api, seconds)
            if self.faults.take(self.faults.lost, api):
                self.faults.note("lost", api=api)
                return
            if self.faults.take(self.faults.dropped, api):
                self.discard.add(correlation)
            self.pending[correlation] = api
            self.broker_writer.write(self.faults.disguise(api, frame))
            await self.broker_writer.drain()

    async def hold(self, frame, api, seconds):
        """The client sees a cut connection; the broker gets the request late, and its answer is only noted."""
        self.holding = True
        self.faults.note("held", api=api, seconds=seconds)
        self.client_writer.close()
        await asyncio.sleep(seconds)
        (correlation,) = struct.unpack(">i", frame[8:12])
        self.pending[correlation] = api
        self.late = asyncio.get_running_loop().create_future()
        self.broker_writer.write(frame)
        await self.broker_writer.drain()
        self.faults.note("delivered", api=api)
        await asyncio.wait([self.late], timeout=10)

    async def responses(self):
        while True:
            frame = await read_frame(self.broker_reader)
            (correlation,) = struct.unpack(">i", frame[4:8])
            api = self.pending.pop(correlation, None)
            if self.holding:
                self.faults.note("late_answer", api=api, bytes=frame[8:24].hex())
                if getattr(self, "late", None) and not self.late.done():
                    self.late.set_result(True)
                continue
            await self.faults.gate(api)
            if correlation in self.discard:
                self.faults.note("dropped", api=api)
                return
            due = asyncio.get_running_loop().time() + self.faults.delay(api)
            self.answers.put_nowait((due, self.faults.disguise(api, frame)))

    async def deliver(self):
        loop = asyncio.get_running_loop()
        while True:
            due, frame = await self.answers.get()
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            if not self.holding:
                self.client_writer.write(frame)
                await self.client_writer.drain()


class Proxy:
    def __init__(self, upstream):
        self.upstream = upstream
        self.faults = Faults()
        self.connections = set()

    async def client(self, reader, writer):
        if self.faults.refuse:
            writer.close()
            return
        try:
            broker = await asyncio.open_connection(*self.upstream, limit=1 << 22)
        except OSError:
            writer.close()
            return
        connection = Connection(self.faults, (reader, writer), broker)
        self.connections.add(connection)
        try:
            await connection.run()
        finally:
            self.connections.discard(connection)

    def command(self, line):
        verb, *words = line.split()
        faults = self.faults
        if verb == "hold":
            faults.held[api_number(words[0])] = [int(words[1]), float(words[2])]
        elif verb == "drop":
            faults.dropped[api_number(words[0])] = int(words[1])
        elif verb == "lose":
            faults.lost[api_number(words[0])] = int(words[1])
        elif verb == "latency":
            faults.latency[api_number(words[1]) if words[1:] else None] = float(words[0]) / 1000
        elif verb == "blackhole":
            change = faults.black.add if words[0] == "on" else faults.black.discard
            change(api_number(words[1]) if words[1:] else None)
        elif verb == "deny":
            change = faults.denied.add if words[0] == "on" else faults.denied.discard
            change(words[1].encode())
        elif verb in ("refuse", "log"):
            setattr(faults, verb, words[0] == "on")
        elif verb == "cut":
            for connection in list(self.connections):
                connection.close()
        elif verb == "reset":
            faults.reset()
        elif verb == "events":
            return json.dumps(faults.events)
        else:
            return f"error unknown command {verb}"
        faults.note("command", line=line)
        return "ok"

    async def control(self, reader, writer):
        while line := (await reader.readline()).decode().strip():
            try:
                answer = self.command(line)
            except (ValueError, KeyError, IndexError) as error:
                answer = f"error {error!r}"
            writer.write(answer.encode() + b"\n")
            await writer.drain()
        writer.close()


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


async def main(listen, upstream, control):
    proxy = Proxy(address(upstream))
    server = await asyncio.start_server(proxy.client, *address(listen), limit=1 << 22)
    await asyncio.start_server(proxy.control, *address(control))
    proxy.faults.note("ready")
    await server.serve_forever()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    try:
        asyncio.run(main(*sys.argv[1:]))
    except KeyboardInterrupt:
        pass
