"""A REST catalog for tests, in memory, with the faults that real ones have. Metadata is changed by PyIceberg's own
code, row ids too; PyIceberg's client checks the server first.

    with RestCatalog(folder) as catalog: catalog.uri; catalog.fault("lost-reply")

Faults of the next commit: `lost-reply` (done, no answer), `error-after` (done, 503), `error-before` (not done, 502),
`late` (no answer, done when the next request comes), `twice` (done, and answered as a second copy of it: 409).
"""

import json
import threading
import time
import urllib.parse
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
from pyiceberg.schema import Schema
from pyiceberg.table import CommitTableRequest
from pyiceberg.table.metadata import new_table_metadata
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER
from pyiceberg.table.update import update_table_metadata
from pyiceberg.typedef import IcebergBaseModel

ID, SECRET = "millrace", "s3:cr/et"


def text_of(metadata):
    """PyIceberg refuses to write version 3, though its model holds it whole."""
    return IcebergBaseModel.model_dump_json(metadata)


class Failure(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.serve()

    do_POST = do_DELETE = do_HEAD = do_GET

    def serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            status, answer, headers = self.server.catalog.handle(self.command, self.path, self.headers, body)
        except Failure as failure:
            status, headers = failure.status, {}
            answer = {"error": {"message": str(failure), "type": "Failure", "code": failure.status}}
        if status is None:
            self.close_connection = True
            self.connection.close()
            return
        text = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Type": "application/json", "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)


class RestCatalog:
    def __init__(self, folder, idempotent=False):
        self.folder, self.idempotent = Path(folder), idempotent
        self.tokens, self.tables, self.namespaces = set(), {}, set()
        self.faults, self.held, self.replays = [], None, {}
        self.counts = {"tokens": 0, "commits": 0, "not-modified": 0, "replayed": 0, "conflicts": 0}
        self.lock = threading.Lock()

    def __enter__(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.catalog = self
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        credentials = f"{ID}:{urllib.parse.quote(SECRET, safe='')}"
        self.uri = f"iceberg+rest://{credentials}@{self.address}/api?warehouse=file://{self.folder}/lake"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def fault(self, *names):
        self.faults += names

    def expire_tokens(self):
        self.tokens.clear()

    def pyiceberg(self):
        from pyiceberg.catalog.rest import RestCatalog as Client
        return Client("t", uri=f"http://{self.address}/api", credential=f"{ID}:{SECRET}",
                      **{"oauth2-server-uri": f"http://{self.address}/api/v1/oauth/tokens"},
                      warehouse=f"file://{self.folder}/lake")

    # Requests.

    def handle(self, method, path, headers, body):
        url = urllib.parse.urlsplit(path)
        parts = [urllib.parse.unquote(p) for p in url.path.split("/")[1:]]
        with self.lock:
            if parts[:2] != ["api", "v1"]:
                raise Failure(404, path)
            if parts[2:] == ["oauth", "tokens"]:
                return self.give_token(dict(urllib.parse.parse_qsl(body.decode())))
            if headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
                raise Failure(401, "the token is not valid")
            if parts[2:] == ["config"]:
                extra = {"idempotency-key-lifetime": "PT30M"} if self.idempotent else {}
                return 200, {"defaults": {}, "overrides": {"prefix": "p"}, **extra}, {}
            if parts[2:4] != ["p", "namespaces"]:
                raise Failure(404, path)
            if self.held:
                held, self.held = self.held, None
                self.try_held(held)
            return self.route(method, parts[4:], headers, json.loads(body) if body else None)

    def give_token(self, form):
        if form.get("client_id") != ID or form.get("client_secret") != SECRET:
            raise Failure(401, "no such client")
        token = uuid.uuid4().hex
        self.tokens.add(token)
        self.counts["tokens"] += 1
        return 200, {"access_token": token, "token_type": "bearer", "expires_in": 3600}, {}

    def route(self, method, parts, headers, body):
        if parts == [] and method == "POST":
            space, = body["namespace"]
            if space in self.namespaces:
                raise Failure(409, "it exists")
            self.namespaces.add(space)
            return 200, {"namespace": [space], "properties": {}}, {}
        if len(parts) == 2 and parts[1] == "tables" and method == "POST":
            return self.create(parts[0], body)
        if len(parts) != 3 or parts[1] != "tables":
            raise Failure(404, "no such resource")
        name = (parts[0], parts[2])
        if name not in self.tables:
            raise Failure(404, f"no table {name}")
        if method == "POST":
            return self.commit(name, headers, body)
        etag = f'"{self.tables[name][0]}"'
        if headers.get("If-None-Match") == etag:
            self.counts["not-modified"] += 1
            return 304, None, {"ETag": etag}
        return 200, self.table(name), {"ETag": etag}

    def table(self, name):
        location, metadata = self.tables[name]
        return {"metadata-location": location, "metadata": json.loads(text_of(metadata)), "config": {}}

    def store(self, name, metadata):
        location = f"{metadata.location}/metadata/{time.time_ns()}-{uuid.uuid4()}.metadata.json"
        path = Path(location.removeprefix("file://"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text_of(metadata))
        self.tables[name] = (location, metadata)

    def create(self, space, body):
        name = (space, body["name"])
        if space not in self.namespaces:
            raise Failure(404, f"no namespace {space}")
        if name in self.tables:
            raise Failure(409, "it exists")
        location = body.get("location") or f"file://{self.folder}/lake/{space}/{body['name']}"
        metadata = new_table_metadata(
            schema=Schema.model_validate(body["schema"]), partition_spec=UNPARTITIONED_PARTITION_SPEC,
            sort_order=UNSORTED_SORT_ORDER, location=location, properties=body["properties"])
        # PyIceberg leaves it out.
        self.store(name, metadata.model_copy(update={"next_row_id": 0}) if metadata.format_version >= 3 else metadata)
        return 200, self.table(name), {}

    def apply(self, name, body):
        request = CommitTableRequest.model_validate({**body, "identifier": {"namespace": [name[0]], "name": name[1]}})
        location, metadata = self.tables[name]
        try:
            for requirement in request.requirements:
                requirement.validate(metadata)
        except Exception as why:
            self.counts["conflicts"] += 1
            raise Failure(409, str(why)) from why
        self.store(name, update_table_metadata(metadata, request.updates, metadata_location=location))
        self.counts["commits"] += 1

    def try_held(self, held):
        try:
            self.apply(*held)
        except Failure:
            pass

    def commit(self, name, headers, body):
        key = headers.get("Idempotency-Key")
        assert not self.idempotent or uuid.UUID(key).version == 7
        if self.idempotent and key in self.replays:
            self.counts["replayed"] += 1
            return self.replays[key]
        fault = self.faults.pop(0) if self.faults else None
        if fault == "error-before":
            raise Failure(502, "try later")
        if fault == "late":
            self.held = (name, body)
            return None, None, {}
        self.apply(name, body)
        answer = 200, self.table(name), {}
        if self.idempotent:
            self.replays[key] = answer
        if fault == "lost-reply":
            return None, None, {}
        if fault == "error-after":
            raise Failure(503, "it may be done")
        if fault == "twice":
            raise Failure(409, "another copy of the request came first")
        return answer
