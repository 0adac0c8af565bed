"""Starts the stand-in, and says how to reach it with each client."""

import itertools
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent))

import clients  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
STANDIN = Path(os.environ.get("STANDIN", ROOT / "target" / "debug" / "standin"))
_counts = {"passed": 0, "failed": 0}
_numbers = itertools.count(1)


def start(directory, *arguments):
    """Starts a stand-in on a free port."""
    log = open(directory / "standin.log", "ab")
    command = [str(STANDIN), "sqlserver", "--listen", "127.0.0.1:0", "--user", clients.USER]
    command += ["--password", clients.PASSWORD, "--database", clients.DATABASE, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    ready = process.stdout.readline()
    assert ready.startswith("ready 127.0.0.1:"), (directory / "standin.log").read_text()
    return types.SimpleNamespace(process=process, port=int(ready.rsplit(":", 1)[1]), directory=directory)


def stop(server):
    """Ends it, as an operator would."""
    server.process.terminate()
    assert server.process.wait(timeout=10) == 0


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    directory = tmp_path_factory.mktemp("standin")
    running = start(directory, "--capture-interval", "50ms", "--tls-cert-dir", str(directory))
    yield running
    stop(running)


@pytest.fixture(params=clients.ALL, ids=lambda client: client.name)
def client(request):
    return request.param


@pytest.fixture
def connection(server, client):
    """A connection that commits each statement by itself."""
    opened = client.connect(server.port, autocommit=True)
    yield opened
    opened.close()


@pytest.fixture
def table():
    """A name no other test uses."""
    return f"dbo.T{next(_numbers)}"


def pytest_runtest_logreport(report):
    if report.failed:
        _counts["failed"] += 1
    elif report.passed and report.when == "call":
        _counts["passed"] += 1


def pytest_unconfigure():
    print(f"\n{_counts['passed']} passed, {_counts['failed']} failed")
