"""Fixtures of the real-server tests: one server of each kind a session, started when first asked for, and the binaries.

MILLRACE_BUILD    folder of the binaries (build/faults/bin)
MILLRACE_WORK     where the servers' data and logs go (a temporary folder, removed when all tests passed)

Several pytest processes (-n) have servers, ports and folders of their own.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from stack import IcebergRest, Kafka, Mariadb, Mariadb118, Mysql57, Mysql80, Mysql97, Postgres15, Versitygw

ROOT = Path(__file__).resolve().parents[2]


def pytest_addoption(parser):
    parser.addoption("--seeds", help="A-B: the generator's seeds of this run")


@pytest.fixture(scope="session")
def work(request):
    given = os.environ.get("MILLRACE_WORK")
    process = os.environ.get("PYTEST_XDIST_WORKER", "")
    folder = Path(given) / process if given else Path(tempfile.mkdtemp(prefix="millrace-"))
    folder.mkdir(parents=True, exist_ok=True)
    yield folder
    if given or request.session.testsfailed:
        with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            print(f"\nlogs kept in {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder, ignore_errors=True)


def serve(server):
    with server:
        yield server


@pytest.fixture(scope="session")
def kafka(work):
    yield from serve(Kafka(work))


@pytest.fixture(scope="session")
def mysql97(work):
    yield from serve(Mysql97(work))


@pytest.fixture(scope="session")
def mysql80(work):
    yield from serve(Mysql80(work))


@pytest.fixture(scope="session")
def mysql57(work):
    yield from serve(Mysql57(work))


@pytest.fixture(scope="session")
def mariadb(work):
    yield from serve(Mariadb(work))


@pytest.fixture(scope="session")
def mariadb118(work):
    yield from serve(Mariadb118(work))


@pytest.fixture(scope="session")
def pg15(work):
    yield from serve(Postgres15(work))


@pytest.fixture(scope="session")
def icebergrest(work):
    yield from serve(IcebergRest(work))


@pytest.fixture(scope="session")
def versitygw(work):
    yield from serve(Versitygw(work))


@pytest.fixture(scope="session")
def binaries():
    """Paths of the programs: binaries.millrace, .capture, .apply."""
    folder = Path(os.environ.get("MILLRACE_BUILD", ROOT / "build" / "faults" / "bin")).resolve()
    paths = {"millrace": "millrace", "capture": "millrace-capture", "apply": "millrace-apply"}
    missing = [name for name in paths.values() if not os.access(folder / name, os.X_OK)]
    if missing:
        pytest.fail(f"not built in {folder}: {', '.join(missing)}")
    return SimpleNamespace(folder=folder, **{key: str(folder / name) for key, name in paths.items()})
