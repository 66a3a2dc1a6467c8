"""S3 in the tests: the service as another client (botocore) sees it, our storage as a process, and a proxy that fails.

    with Proxy(server.endpoint) as proxy, Driver(binaries, "s3://b", options(server, proxy.endpoint)) as d:
        proxy.fail("PUT", "lost", times=1); d.run(op="put", location="s3://b/k", hex="00")
"""

import http.client
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import botocore.session
from botocore.config import Config

from lib import lake
from stack import Ports


def client(endpoint, key="test", secret="testtest", region="us-east-1"):
    return botocore.session.get_session().create_client(
        "s3", endpoint_url=endpoint, aws_access_key_id=key, aws_secret_access_key=secret, region_name=region,
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 5}))


def make_bucket(server, name):
    client(server.endpoint).create_bucket(Bucket=name)
    return name


def keys(server, bucket, prefix=""):
    """Key -> size."""
    pages = client(server.endpoint).get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {o["Key"]: o["Size"] for page in pages for o in page.get("Contents", [])}


def content(server, bucket, key):
    return client(server.endpoint).get_object(Bucket=bucket, Key=key)["Body"].read()


def uploads(server, bucket):
    """Keys of uploads that were not completed."""
    return [u["Key"] for u in client(server.endpoint).list_multipart_uploads(Bucket=bucket).get("Uploads", [])]


def options(server, endpoint=None, more=None):
    return {"s3.endpoint": endpoint or server.endpoint, "s3.region": "us-east-1", "s3.access-key-id": server.key,
            "s3.secret-access-key": server.secret, **(more or {})}


class Driver(lake.Driver):
    """tests/bench/storage_driver.c."""

    def __init__(self, binaries, location, settings, **environment):
        program = binaries.folder.parent / "bench" / "storage_driver"
        super().__init__(program, location, *(f"{k}={v}" for k, v in settings.items()), **environment)

    @property
    def peak_rss(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


ERROR = """<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>{}</Code><Message>{}</Message><RequestId>0</RequestId></Error>"""


class Fault:
    """times: how often; None: until it is taken away. skip: matches let through before."""

    def __init__(self, method, kind, times, skip, match):
        self.method, self.kind, self.times, self.skip, self.match = method, kind, times, skip, match

    def takes(self, method, path):
        if self.method not in (None, method) or self.match not in path or self.times == 0:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times = None if self.times is None else self.times - 1
        return True


class Proxy:
    """In front of an S3 server. Kinds of faults: an error (503, "SlowDown"), "lost": done, but the answer never comes;
    "cut": the answer ends in its middle; "refused": the connection ends before anything is done; "half": it ends in the
    middle of what is sent; "stall": nothing comes back and nothing is done; ("slow", bytes per second)."""

    def __init__(self, endpoint, port=None):
        self.upstream = urlsplit(endpoint)
        self.faults, self.requests, self.lock = [], [], threading.Lock()
        self.hit = 0
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = lambda self: proxy.serve(self)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", port or Ports.take()), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.closed = threading.Event()

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.closed.set()
        self.server.shutdown()
        self.server.server_close()

    def fail(self, method, kind, times=1, skip=0, match=""):
        fault = Fault(method, kind, times, skip, match)
        with self.lock:
            self.faults.append(fault)
        return fault

    def heal(self):
        with self.lock:
            self.faults.clear()

    def fault_of(self, method, path):
        with self.lock:
            self.requests.append((method, path))
            found = next((f.kind for f in self.faults if f.takes(method, path)), None)
            self.hit += found is not None
            return found

    def forward(self, h, body):
        upstream = http.client.HTTPConnection(self.upstream.hostname, self.upstream.port, timeout=60)
        upstream.putrequest(h.command, h.path, skip_host=True, skip_accept_encoding=True)
        for name, value in h.headers.items():
            if name.lower() != "connection":
                upstream.putheader(name, value)
        upstream.endheaders(body)
        answer = upstream.getresponse()
        return answer, answer.read()

    def serve(self, h):
        fault = self.fault_of(h.command, h.path)
        length = int(h.headers.get("Content-Length") or 0)
        if fault in ("refused", "half"):
            h.rfile.read(length // 2 if fault == "half" else 0)
            return self.end(h)
        body = h.rfile.read(length)
        if isinstance(fault, tuple) and isinstance(fault[0], int):
            return self.answer(h, fault[0], ERROR.format(fault[1], "told by the proxy").encode(), {})
        if fault == "stall":
            self.closed.wait(60)
            return self.end(h)
        answer, content = self.forward(h, body)
        if fault == "lost":
            return self.end(h)
        headers = {k: v for k, v in answer.getheaders() if k.lower() not in ("connection", "transfer-encoding", "content-length")}
        if h.command == "HEAD":
            headers["Content-Length"] = answer.getheader("Content-Length") or "0"
        self.answer(h, answer.status, content, headers, fault)

    def answer(self, h, status, content, headers, fault=None):
        h.send_response_only(status)
        for name, value in headers.items():
            h.send_header(name, value)
        if "Content-Length" not in headers:
            h.send_header("Content-Length", str(len(content)))
        h.end_headers()
        if h.command == "HEAD":
            return
        if fault == "cut":
            h.wfile.write(content[:len(content) // 2])
            return self.end(h)
        if isinstance(fault, tuple):  # slow
            step = max(1, fault[1] // 20)
            for at in range(0, len(content), step):
                h.wfile.write(content[at:at + step])
                h.wfile.flush()
                time.sleep(0.05)
            return
        h.wfile.write(content)

    @staticmethod
    def end(h):
        h.close_connection = True
        try:
            h.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
