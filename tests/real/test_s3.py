"""S3 as a storage (lake/storage_s3.c): a server that checks signatures, and a proxy that fails; botocore looks."""

import datetime
import json
import random
import subprocess
import threading
import time

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from lib import s3
from lib.lake import Died, Refused
from stack import Versitygw

PART = 5 << 20
PARTS = {"s3.multipart.part-size-bytes": str(PART)}
ODD = ["a b", "k=v", "plus+and%25", "é/ü/李", "a&b<c>'\"", "tilde~-_.!*()", "dots/..x/.y", "@:,;$?#[]"]


def generated(size):
    return bytes((i * 31 + (i >> 8)) & 255 for i in range(size))


@pytest.fixture(scope="module")
def bucket(versitygw):
    return s3.make_bucket(versitygw, "storage")


@pytest.fixture
def proxy(versitygw):
    with s3.Proxy(versitygw.endpoint) as proxy:
        yield proxy


@pytest.fixture
def open_driver(binaries, versitygw, bucket):
    """(options, endpoint, fault) -> a driver that is closed at the end."""
    opened = []

    def make(more=None, endpoint=None, fault=None):
        environment = {"MILLRACE_FAULT": fault} if fault else {}
        opened.append(s3.Driver(binaries, f"s3://{bucket}", s3.options(versitygw, endpoint, more), **environment))
        return opened[-1]
    yield make
    for driver in opened:
        driver.close()


def refused(driver, **command):
    with pytest.raises(Refused) as caught:
        driver.run(**command)
    return caught.value


def test_signatures_are_those_of_botocore(open_driver):
    driver, rng = open_driver(), random.Random(4)
    alphabet = "abcXYZ019 -_.~/=+%&?#@:,;!*'()[]$éü李😀"

    def text(most):
        return "".join(rng.choice(alphabet) for _ in range(rng.randrange(1, most)))
    from urllib.parse import quote
    for n in range(400):
        method, host = rng.choice(["GET", "PUT", "POST", "DELETE", "HEAD"]), rng.choice(["h:9000", "b.s3.eu-west-1.amazonaws.com"])
        path = "/" + quote(text(30), safe="/-_.~")
        query = [[text(9), text(9) if rng.random() < 0.8 else ""] for _ in range(rng.randrange(4))]
        query = [[k, v] for k, v in {k: v for k, v in query}.items()]
        headers = {"range": "bytes=0-9", "if-none-match": "*", "x-amz-meta-millrace": f"{n}  x"}
        headers = {k: v for k, v in headers.items() if rng.random() < 0.5}
        body = rng.randbytes(rng.randrange(50))
        when = datetime.datetime(2020, 1, 1) + datetime.timedelta(seconds=rng.randrange(10**8))
        token = text(20).encode("ascii", "ignore").decode().strip() or None if rng.random() < 0.5 else None
        request = AWSRequest(method, f"http://{host}{path}", headers, body, params={k: v for k, v in query})
        request.headers["host"] = host
        request.context["timestamp"] = when.strftime("%Y%m%dT%H%M%SZ")
        request.context["payload_signing_enabled"] = True
        signer = S3SigV4Auth(Credentials("AKID", "s3cr/et+", token), "s3", "eu-west-1")
        request.headers["X-Amz-Date"] = request.context["timestamp"]
        if token:
            request.headers["X-Amz-Security-Token"] = token
        request.headers["X-Amz-Content-SHA256"] = signer.payload(request)
        want = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
        signed = [[k, v] for k, v in request.headers.items()]
        got = driver.run(op="sign", method=method, path=path, query=query, headers=signed,
                         hash=request.headers["X-Amz-Content-SHA256"], time=request.context["timestamp"], region="eu-west-1",
                         service="s3", id="AKID", secret="s3cr/et+")
        assert got["authorization"].endswith(f"Signature={want}"), (method, path, query, signed)


@pytest.mark.parametrize("style", ["path", "host"])
def test_an_object_is_written_once_read_in_ranges_listed_and_removed(open_driver, versitygw, bucket, style):
    if style == "host":
        driver = open_driver({"s3.path-style-access": "false"}, f"http://localhost:{versitygw.port}")
    else:
        driver = open_driver()
    at = f"s3://{bucket}/{style}"
    for name in ODD:
        driver.run(op="put", location=f"{at}/{name}", hex=name.encode().hex())
        assert s3.content(versitygw, bucket, f"{style}/{name}") == name.encode()
        assert driver.run(op="size", location=f"{at}/{name}")["size"] == len(name.encode())
    driver.run(op="put", location=f"{at}/empty", hex="")
    assert driver.run(op="size", location=f"{at}/empty")["size"] == 0
    listed = {e[0]: e[1] for e in driver.run(op="list", location=at)["entries"]}
    assert listed == {**{f"{at}/{n}": len(n.encode()) for n in ODD}, f"{at}/empty": 0}
    assert abs(driver.run(op="list", location=at)["entries"][0][2] / 1000 - time.time()) < 600
    assert driver.run(op="read", location=f"{at}/{ODD[0]}", offset=1, n=2)["hex"] == b" b".hex()
    assert refused(driver, op="read", location=f"{at}/a b", offset=1, n=3).code == 3025
    assert refused(driver, op="read", location=f"{at}/a b", offset=9, n=1).code == 3025
    assert refused(driver, op="put", location=f"{at}/a b", hex="00").code == 3024
    assert s3.content(versitygw, bucket, f"{style}/a b") == b"a b"
    for _ in range(2):
        driver.run(op="remove", location=f"{at}/a b")
    assert refused(driver, op="size", location=f"{at}/a b").code == 3023
    assert f"{style}/a b" not in s3.keys(versitygw, bucket)
    assert driver.run(op="list", location=f"{at}/nowhere")["entries"] == []


def test_a_large_object_goes_in_parts_with_one_part_in_memory(open_driver, versitygw, bucket):
    driver, size = open_driver(PARTS), 5 * PART + 12345
    driver.run(op="put", location=f"s3://{bucket}/warm", size=PART - 1)
    small = driver.peak_rss
    driver.run(op="put", location=f"s3://{bucket}/large", size=size)
    assert driver.peak_rss - small < 2 * PART, "more than about a part in memory"
    assert s3.content(versitygw, bucket, "large") == generated(size)
    assert driver.run(op="read", location=f"s3://{bucket}/large", offset=PART - 1, n=3)["hex"] == generated(PART + 2)[-3:].hex()
    assert refused(driver, op="put", location=f"s3://{bucket}/large", size=2 * PART).code == 3024
    driver.run(op="put", location=f"s3://{bucket}/left", size=2 * PART, abandon=True)
    assert s3.uploads(versitygw, bucket) == [] and "left" not in s3.keys(versitygw, bucket)


def test_a_list_goes_on_over_its_pages(open_driver, versitygw, bucket):
    folder = versitygw.data / "buckets" / bucket / "many"  # its objects are files
    folder.mkdir()
    for i in range(1100):
        (folder / f"{i:04} x").touch()
    assert len(s3.keys(versitygw, bucket, "many/")) == 1100
    entries = open_driver().run(op="list", location=f"s3://{bucket}/many/")["entries"]
    assert [e[0] for e in entries] == [f"s3://{bucket}/many/{i:04} x" for i in range(1100)]


def test_a_writer_that_dies_leaves_nothing_but_an_upload_that_is_swept_when_it_is_old(open_driver, versitygw, bucket):
    for n, fault in enumerate(["lake.storage.after_part:1", "lake.storage.before_complete"]):
        with pytest.raises(Died):
            open_driver(PARTS, fault=fault).run(
                op="put", location=f"s3://{bucket}/dead/millrace-{n}", size=3 * PART)
    s3.client(versitygw.endpoint).create_multipart_upload(Bucket=bucket, Key="dead/foreign")
    driver, wanted = open_driver(), {"dead/millrace-0", "dead/millrace-1", "dead/foreign"}
    assert s3.keys(versitygw, bucket, "dead") == {} and set(s3.uploads(versitygw, bucket)) == wanted
    assert driver.run(op="list", location=f"s3://{bucket}/dead")["entries"] == []
    sweep = {"op": "sweep", "location": f"s3://{bucket}/dead", "names": "millrace-"}
    driver.run(**sweep, older_than_ms=int(time.time() * 1000) - 3600_000)
    assert set(s3.uploads(versitygw, bucket)) == wanted
    driver.run(**sweep, older_than_ms=int(time.time() * 1000) + 3600_000)
    assert s3.uploads(versitygw, bucket) == ["dead/foreign"]
    driver.run(**{**sweep, "names": ""}, older_than_ms=int(time.time() * 1000) + 3600_000)
    assert s3.uploads(versitygw, bucket) == []


@pytest.mark.parametrize("kind", [(503, "SlowDown"), "lost", *(pytest.param(kind, marks=pytest.mark.slow) for kind in (
    (500, "InternalError"), "refused", "half", "cut"))])
def test_what_passes_is_tried_again_and_the_object_is_right(open_driver, versitygw, bucket, proxy, kind):
    driver, at = open_driver(PARTS, proxy.endpoint), f"again-{proxy.endpoint[-5:]}"
    for method in ("PUT", "POST"):
        proxy.fail(method, kind, times=2)
    driver.run(op="put", location=f"s3://{bucket}/{at}/small", size=1000)
    proxy.fail("PUT", kind, times=2, skip=1)
    proxy.fail("POST", kind, skip=1)
    driver.run(op="put", location=f"s3://{bucket}/{at}/large", size=2 * PART + 5)
    for method in ("GET", "DELETE"):
        proxy.fail(method, kind, times=2)
    assert driver.run(op="read", location=f"s3://{bucket}/{at}/small", offset=0, n=1000)["hex"] == generated(1000).hex()
    proxy.fail("GET", kind, times=1)
    assert len(driver.run(op="list", location=f"s3://{bucket}/{at}")["entries"]) == 2
    driver.run(op="remove", location=f"s3://{bucket}/{at}/small")
    assert s3.keys(versitygw, bucket, at) == {f"{at}/large": 2 * PART + 5}
    assert s3.content(versitygw, bucket, f"{at}/large") == generated(2 * PART + 5)
    assert proxy.hit >= 10


def test_an_object_of_somebody_else_is_not_taken_for_a_lost_answer(open_driver, versitygw, bucket, proxy):
    driver = open_driver(None, proxy.endpoint)
    s3.client(versitygw.endpoint).put_object(Bucket=bucket, Key="theirs", Body=b"theirs")
    proxy.fail("PUT", (503, "SlowDown"))
    assert refused(driver, op="put", location=f"s3://{bucket}/theirs", hex="00").code == 3024
    assert s3.content(versitygw, bucket, "theirs") == b"theirs"


def test_what_does_not_pass_is_a_coded_error(open_driver, versitygw, bucket, proxy):
    at = f"s3://{bucket}/x"
    open_driver().run(op="check", location=f"s3://{bucket}/any/where")
    for more, code in [({"s3.secret-access-key": "wrong"}, 3021), ({"s3.access-key-id": "nobody"}, 3021)]:
        driver = open_driver(more)
        assert [refused(driver, op=op, location=at).code for op in ("check", "size", "remove", "list")] == [code] * 4
        assert refused(driver, op="put", location=at, hex="00").code == code
    assert refused(open_driver(), op="check", location="s3://no-such-bucket/x").code == 3090
    assert refused(open_driver(), op="put", location="s3://no-such-bucket/x", hex="00").code == 3090
    assert refused(open_driver(), op="size", location="s3://no-such-bucket/x").code == 3090
    assert refused(open_driver({"s3.region": "eu-north-1"}), op="size", location=at).code in (3021, 3094)
    driver = open_driver(None, proxy.endpoint)
    for (status, word), code in {(403, "AccessDenied"): 3021, (403, "RequestTimeTooSkewed"): 3092, (400, "ExpiredToken"): 3093,
                                 (301, "PermanentRedirect"): 3094, (507, "XMinioStorageFull"): 3022,
                                 (400, "InvalidArgument"): 3025}.items():
        proxy.fail(None, (status, word), times=1)
        error = refused(driver, op="size", location=at)
        assert error.code == code and word in str(error), (status, word)


@pytest.mark.slow
def test_a_service_that_stays_away_is_told_in_bounded_time(open_driver, bucket, proxy):
    driver = open_driver(None, proxy.endpoint)
    proxy.fail(None, (503, "SlowDown"), times=None)
    began = time.monotonic()
    error = refused(driver, op="put", location=f"s3://{bucket}/away", hex="00")
    assert error.code == 3020 and "SlowDown" in str(error) and time.monotonic() - began < 25
    assert len(proxy.requests) < 20


@pytest.mark.slow
def test_a_stalled_answer_is_given_up_and_asked_for_again(open_driver, versitygw, bucket, proxy):
    driver = open_driver(None, proxy.endpoint)
    proxy.fail("PUT", "stall")
    driver.run(op="put", location=f"s3://{bucket}/stalled", hex="01")
    assert s3.content(versitygw, bucket, "stalled") == b"\1" and len(proxy.requests) == 2


def test_a_slow_answer_is_not_given_up(open_driver, bucket, proxy):
    driver = open_driver(None, proxy.endpoint)
    driver.run(op="put", location=f"s3://{bucket}/slow", size=60000)
    proxy.fail("GET", ("slow", 20000))
    assert driver.run(op="read", location=f"s3://{bucket}/slow", offset=0, n=60000)["hex"] == generated(60000).hex()


def test_expired_credentials_are_renewed_by_who_gave_them(open_driver, versitygw, bucket, proxy, tmp_path):
    fresh = tmp_path / "fresh"
    fresh.write_text(json.dumps({"s3.access-key-id": versitygw.key, "s3.secret-access-key": versitygw.secret}))
    old = {"renew": str(fresh), "s3.session-token": "old", "s3.secret-access-key": "old"}
    driver = open_driver(old, proxy.endpoint)
    proxy.fail(None, (400, "ExpiredToken"))
    driver.run(op="put", location=f"s3://{bucket}/renewed", hex="01")
    assert s3.content(versitygw, bucket, "renewed") == b"\1"
    before = len(proxy.requests)
    soon = str(int(time.time() * 1000) + 30_000)
    driver = open_driver({**old, "s3.session-token-expires-at-ms": soon}, proxy.endpoint)
    driver.run(op="size", location=f"s3://{bucket}/renewed")
    assert len(proxy.requests) == before + 1, "it asked with a token that was about to expire"


def test_two_writers_of_one_name_have_one_winner(open_driver, versitygw, bucket):
    drivers, results = [open_driver() for _ in range(4)], []

    def put(n):
        try:
            drivers[n].run(op="put", location=f"s3://{bucket}/race", hex=f"{n:02}" * 1000)
            results.append(n)
        except Refused as error:
            assert error.code == 3024
    threads = [threading.Thread(target=put, args=(n,)) for n in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(results) == 1 and s3.content(versitygw, bucket, "race") == bytes([results[0]]) * 1000


def certificate(folder):
    """(certificate, key) of 127.0.0.1, as files."""
    files = [str(folder / "cert.pem"), str(folder / "key.pem")]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=millrace", "-addext", "subjectAltName=IP:127.0.0.1", "-out", files[0], "-keyout", files[1]],
                   check=True, capture_output=True)
    return files


@pytest.mark.slow
def test_a_service_with_tls_is_trusted_by_its_certificate_only(binaries, tmp_path):
    cert, key = certificate(tmp_path)
    server = Versitygw(tmp_path, "tls")
    server.start("--cert", cert, "--key", key)
    try:
        endpoint = f"https://127.0.0.1:{server.port}"
        (server.data / "buckets" / "safe").mkdir()
        with s3.Driver(binaries, "s3://safe", s3.options(server, endpoint, {"s3.ca": cert})) as driver:
            driver.run(op="put", location="s3://safe/k", hex="00")
            assert driver.run(op="size", location="s3://safe/k")["size"] == 1
        with s3.Driver(binaries, "s3://safe", s3.options(server, endpoint)) as driver:
            error = refused(driver, op="size", location="s3://safe/k")
            assert error.code == 3020 and "certificate" in str(error)
    finally:
        server.stop()
