"""A REST catalog for tests, in memory, with the faults that real ones have. Metadata is changed by PyIceberg's own
code, row ids too; PyIceberg's client checks the server first.

    with RestCatalog(folder) as catalog: catalog.uri; catalog.fault("lost-reply")

Faults of the next commit: `lost-reply` (done, no answer), `error-after` (done, 503), `error-before` (not done, 502),
`late` (no answer, done when the next request comes), `twice` (done, and answered as a second copy of it: 409).
`with catalog.trouble(random):` every third commit has one of them, and now and then a token is no longer taken.
"""

import datetime
import ipaddress
import json
import ssl
import threading
import time
import urllib.parse
import uuid
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from pyiceberg.io import load_file_io
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
from pyiceberg.schema import Schema
from pyiceberg.table import CommitTableRequest
from pyiceberg.table.metadata import new_table_metadata
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER
from pyiceberg.table.update import update_table_metadata
from pyiceberg.typedef import IcebergBaseModel

FAULTS = ["lost-reply", "error-after", "error-before", "late", "twice"]
ID, SECRET = "millrace", "s3:cr/et"


def text_of(metadata):
    """PyIceberg refuses to write version 3, though its model holds it whole."""
    return IcebergBaseModel.model_dump_json(metadata)


class Failure(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def make_certificate(folder):
    """A certificate for 127.0.0.1 that is its own authority, with its key: one file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "catalog")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
                   .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
                   .not_valid_after(now + datetime.timedelta(days=1))
                   .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
                   .add_extension(x509.BasicConstraints(True, None), True).sign(key, hashes.SHA256()))
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "catalog.pem"
    file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                       serialization.NoEncryption()) + certificate.public_bytes(serialization.Encoding.PEM))
    return file


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
    def __init__(self, folder, idempotent=False, life=3600, tls=False, warehouse=None, vended=None):
        """warehouse: where tables lie, if not in the folder; vended: properties of its storage, given with every table
        that is loaded (s3.session-token-expires-at-ms: a function)."""
        self.warehouse, self.vended = warehouse or f"file://{folder}/lake", vended or {}
        self.folder, self.idempotent, self.life = Path(folder), idempotent, life
        self.ca = make_certificate(self.folder) if tls else None
        self.tokens, self.used, self.tables, self.namespaces = set(), set(), {}, set()
        self.faults, self.held, self.replays, self.chance = [], None, {}, None
        self.counts = {"tokens": 0, "commits": 0, "not-modified": 0, "replayed": 0, "conflicts": 0, "faults": 0, "vended": 0}
        self.closed, self.away = False, False  # no new namespaces; nobody answers
        self.lock = threading.Lock()

    def __enter__(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.catalog = self
        if self.ca:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.ca)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        self.credentials = f"{ID}:{urllib.parse.quote(SECRET, safe='')}"
        self.uri = f"iceberg+rest://{self.credentials}@{self.address}/api?warehouse={self.warehouse}"
        (self.folder / "lake").mkdir(parents=True, exist_ok=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def fault(self, *names):
        self.faults += names

    @contextmanager
    def trouble(self, random):
        self.chance = random
        try:
            yield self
        finally:
            self.chance = None

    def next_fault(self):
        if self.faults or not self.chance:
            return self.faults.pop(0) if self.faults else None
        if self.chance.random() < 0.1:
            self.expire_tokens()
        if self.chance.random() > 0.33:
            return None
        self.counts["faults"] += 1
        return self.chance.choice(FAULTS)

    def expire_tokens(self):
        """Those that were used: a client that has just fetched one is served."""
        self.tokens -= self.used

    def pyiceberg(self):
        from pyiceberg.catalog.rest import RestCatalog as Client
        return Client("t", uri=f"http://{self.address}/api", credential=f"{ID}:{SECRET}",
                      **{"oauth2-server-uri": f"http://{self.address}/api/v1/oauth/tokens"},
                      warehouse=self.warehouse, **self.storage())

    # Requests.

    def handle(self, method, path, headers, body):
        url = urllib.parse.urlsplit(path)
        parts = [urllib.parse.unquote(p) for p in url.path.split("/")[1:]]
        with self.lock:
            if self.away:
                return None, None, {}
            if parts[:2] != ["api", "v1"]:
                raise Failure(404, path)
            if parts[2:] == ["oauth", "tokens"]:
                return self.give_token(dict(urllib.parse.parse_qsl(body.decode())))
            token = headers.get("Authorization", "").removeprefix("Bearer ")
            if token not in self.tokens:
                raise Failure(401, "the token is not valid")
            self.used.add(token)
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
        return 200, {"access_token": token, "token_type": "bearer", "expires_in": self.life}, {}

    def route(self, method, parts, headers, body):
        if parts == [] and method == "POST":
            space, = body["namespace"]
            if space in self.namespaces:
                raise Failure(409, "it exists")
            if self.closed:
                raise Failure(403, "you may not make namespaces")
            self.namespaces.add(space)
            return 200, {"namespace": [space], "properties": {}}, {}
        if len(parts) == 1 and method in ("GET", "HEAD"):
            if parts[0] not in self.namespaces:
                raise Failure(404, f"no namespace {parts[0]}")
            return 200, {"namespace": parts, "properties": {}}, {}
        if len(parts) == 2 and parts[1] == "tables" and method == "POST":
            return self.create(parts[0], body)
        if len(parts) != 3 or parts[1] != "tables":
            raise Failure(404, "no such resource")
        name = (parts[0], parts[2])
        if method == "POST" and {"type": "assert-create"} in body["requirements"]:
            return self.create_as_told(name, body["updates"])
        if name not in self.tables:
            raise Failure(404, f"no table {name}")
        if method == "POST":
            return self.commit(name, headers, body)
        if method == "DELETE":
            del self.tables[name]
            return 204, None, {}
        etag = f'"{self.tables[name][0]}"'
        if headers.get("If-None-Match") == etag:
            self.counts["not-modified"] += 1
            return 304, None, {"ETag": etag}
        return 200, {**self.table(name), **self.granted(self.tables[name][1].location)}, {"ETag": etag}

    def table(self, name):
        location, metadata = self.tables[name]
        return {"metadata-location": location, "metadata": json.loads(text_of(metadata)), "config": {}}

    def store(self, name, metadata):
        location = f"{metadata.location}/metadata/{time.time_ns()}-{uuid.uuid4()}.metadata.json"
        with load_file_io(self.storage(), location).new_output(location).create() as file:
            file.write(text_of(metadata).encode())
        self.tables[name] = (location, metadata)

    def storage(self):
        return {k: str(v() if callable(v) else v) for k, v in self.vended.items()}

    def granted(self, location):
        """What a loaded table brings; its prefix is the table's, and a wider one that is of no use comes first."""
        if not self.vended:
            return {}
        self.counts["vended"] += 1
        useless = {**self.storage(), "s3.secret-access-key": "wrong"}
        return {"config": {"s3.region": "nowhere"}, "storage-credentials": [
            {"prefix": self.warehouse, "config": useless}, {"prefix": location, "config": self.storage()}]}

    def create(self, space, body):
        name = (space, body["name"])
        if space not in self.namespaces:
            raise Failure(404, f"no namespace {space}")
        if name in self.tables:
            raise Failure(409, "it exists")
        location = body.get("location") or f"{self.warehouse}/{space}/{body['name']}"
        # As real catalogs do, it numbers the columns anew.
        metadata = new_table_metadata(
            schema=Schema.model_validate(body["schema"]), partition_spec=UNPARTITIONED_PARTITION_SPEC,
            sort_order=UNSORTED_SORT_ORDER, location=location, properties=body["properties"])
        # PyIceberg leaves it out.
        if metadata.format_version >= 3:
            metadata = metadata.model_copy(update={"next_row_id": 0})
        if body.get("stage-create"):
            return 200, {"metadata": json.loads(text_of(metadata)), "config": {}, **self.granted(location)}, {}
        self.store(name, metadata)
        return 200, self.table(name), {}

    def create_as_told(self, name, updates):
        """The end of a staged creation: its updates are all there is, and the columns keep their ids."""
        if name[0] not in self.namespaces:
            raise Failure(404, f"no namespace {name[0]}")
        if name in self.tables:
            raise Failure(409, "it exists")
        told = {u["action"]: u for u in updates}
        schemas = [Schema.model_validate({**u["schema"], "schema-id": i})
                   for i, u in enumerate(u for u in updates if u["action"] == "add-schema")]
        version = told["upgrade-format-version"]["format-version"]
        metadata = new_table_metadata(
            schema=schemas[0], partition_spec=UNPARTITIONED_PARTITION_SPEC, sort_order=UNSORTED_SORT_ORDER,
            location=told["set-location"]["location"], properties={"format-version": str(version)},
            table_uuid=uuid.UUID(told["assign-uuid"]["uuid"]))
        more = {"next_row_id": 0} if version >= 3 else {}
        self.store(name, metadata.model_copy(update={
            **more, "schemas": schemas, "last_column_id": max(s.highest_field_id for s in schemas),
            "properties": told["set-properties"]["updates"]}))
        return 200, self.table(name), {}

    def apply(self, name, body):
        location, metadata = self.tables[name]
        there = {s.snapshot_id for s in metadata.snapshots}
        for update in body["updates"]:  # one that is gone already is no error in the reference
            if update["action"] == "remove-snapshots":
                update["snapshot-ids"] = [i for i in update["snapshot-ids"] if i in there]
        request = CommitTableRequest.model_validate({**body, "identifier": {"namespace": [name[0]], "name": name[1]}})
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
        assert not key or uuid.UUID(key).version == 7  # PyIceberg sends none
        if self.idempotent and key in self.replays:
            self.counts["replayed"] += 1
            return self.replays[key]
        fault = self.next_fault()
        if fault == "error-before":
            raise Failure(502, "try later")
        if fault == "late":
            self.held = (name, body)
            return None, None, {}
        self.apply(name, body)
        answer = 200, self.table(name), {}
        if self.idempotent and key:
            self.replays[key] = answer
        if fault == "lost-reply":
            return None, None, {}
        if fault == "error-after":
            raise Failure(503, "it may be done")
        if fault == "twice":
            raise Failure(409, "another copy of the request came first")
        return answer
