"""Servers as processes of their own, on free ports of this machine, that end when the tests do, however those end."""

import contextlib
import os
import pwd
import random
import signal
import socket
import subprocess
import time
from pathlib import Path

import psycopg

ROOT = Path(__file__).resolve().parents[2]
BINARIES = Path(os.environ.get("DELSERT_BINARIES", ROOT / "target" / "debug"))
# Every process that a test starts, and all that come of it, bear this variable: it tells what is left to be ended.
MARK = "DELSERT_TEST_FOLDER"

# Ends the server's whole group at the end of its own input, which comes also when the tests are killed.
KEEPER = """
trap '' HUP INT TERM
end_signal=$1; shift
setsid "$@" </dev/null &
server=$!
cat >/dev/null
kill -s "$end_signal" -- "-$server" 2>/dev/null
wait "$server"
"""


def free_port():
    """A port that nobody listens on, outside of those that connections are given."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def wait_for(what, condition, seconds=120, pause=0.1):
    """Polls until the condition gives something that is true, and gives that."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"{what}: not after {seconds} seconds"
        time.sleep(pause)
    return found


class Server:
    """A running server."""

    def __init__(self, folder, name, command, environment, end_signal="KILL", **options):
        self.log = folder / f"{name}.log"
        self.name = name
        keeper = ["/bin/sh", "-c", KEEPER, "keeper", end_signal, *map(str, command)]
        with self.log.open("wb") as log:
            self.keeper = subprocess.Popen(
                keeper,
                env={**environment, MARK: str(folder)},
                cwd="/",
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **options,
            )

    def messages(self):
        return self.log.read_text(errors="replace")

    def wait_for(self, text):
        """Waits until it wrote a line that begins so, and gives the rest of that."""

        def look():
            assert self.keeper.poll() is None, f"{self.name} ended: {self.messages()}"
            lines = [line for line in self.messages().splitlines(keepends=True) if line.startswith(text)]
            return lines and lines[0].endswith("\n") and lines[0][len(text) :].strip()

        return wait_for(f"{self.name} to write '{text}'", look)

    def stop(self):
        self.keeper.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.keeper.wait(timeout=60)


def marked(folder):
    """Processes that bear a folder's mark, this one and its keepers aside."""
    mark = f"{MARK}={folder}".encode()
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found[int(process.name)] = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
    found.pop(os.getpid(), None)
    return found


def end_all(folder):
    """Ends what is left, orphans included."""
    for pid in marked(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


class Postgres:
    """A temporary PostgreSQL from the system's package."""

    def __init__(self, folder):
        programs = max(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3])).parent
        # It does not run as root.
        user = {}
        if os.getuid() == 0:
            name = next(name for name in ("postgres", "nobody") if name in [entry.pw_name for entry in pwd.getpwall()])
            entry = pwd.getpwnam(name)
            user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        self.folder = folder / "postgres"
        self.folder.mkdir(mode=0o700)
        if user:
            os.chown(self.folder, user["user"], user["group"])
        self.data = self.folder / "data"
        initialise = [programs / "initdb", "--no-sync", "--encoding=UTF8", "--locale=C", "--auth=trust"]
        subprocess.run(
            [*initialise, "--username=postgres", "--pgdata", self.data],
            check=True,
            stdout=subprocess.PIPE,
            cwd="/",
            stdin=subprocess.DEVNULL,
            **user,
        )
        for attempt in range(5):
            self.port = free_port()
            settings = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200"]
            settings += ["listen_addresses=127.0.0.1", f"unix_socket_directories={self.folder}"]
            # Passwords are asked for by TCP, where a test cannot tell a right one from none otherwise.
            (self.data / "pg_hba.conf").write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
            command = [programs / "postgres", "-D", self.data, "-p", self.port]
            command += [argument for setting in settings for argument in ("-c", setting)]
            self.server = Server(folder, f"postgres-{attempt}", command, dict(os.environ), "QUIT", **user)
            if self._serves():
                return
            self.server.stop()
        raise AssertionError("PostgreSQL found no free port in five tries")

    def _serves(self):
        def look():
            said = self.server.messages()
            return "ready to accept" in said and "yes" or "could not bind" in said and "no"

        return wait_for("PostgreSQL", look) == "yes"

    def admin(self, database="postgres"):
        """Connects as the superuser, over the socket."""
        return psycopg.connect(
            host=str(self.folder), port=self.port, user="postgres", dbname=database, autocommit=True, connect_timeout=30
        )

    def create(self, database, owner, password):
        with self.admin() as connection:
            connection.execute(f"CREATE ROLE {owner} LOGIN PASSWORD '{password}'")
            connection.execute(f"CREATE DATABASE {database} OWNER {owner}")
