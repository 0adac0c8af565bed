"""Airflow with everything it needs for real runs: scheduler, LocalExecutor, a database of PostgreSQL."""

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import datetime, timezone
from importlib.metadata import version

import servers
import shop as shops

HERE = servers.Path(__file__).resolve().parent
PROGRAM = servers.Path(sys.executable).parent / "airflow"
# Airflow masks what it logs of a command line, so that is written down where the binary starts.
WRITTEN_DOWN = """#!/bin/sh
printf '%s\\n' "$*" >>"$DELSERT_TEST_FOLDER/commands.txt"
exec {binary} "$@"
"""
DONE = ("success", "failed")
IS_3 = version("apache-airflow").startswith("3.")
CONNECTIONS = {
    "delsert_source": {"password": shops.SOURCE_PASSWORD},
    "delsert_target": {"password": shops.TARGET_PASSWORD},
    "delsert_bucket": {"login": shops.ACCESS_KEY, "password": shops.SECRET_KEY},
}


def environment(folder, postgres, shop):
    """What every process of this Airflow finds in its environment."""
    home = folder / "home"
    shutil.copytree(HERE / "dags", home / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    binary = folder / "delsert"
    binary.write_text(WRITTEN_DOWN.format(binary=servers.BINARIES / "delsert"))
    binary.chmod(0o755)
    keep = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    return {
        **keep,
        "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}",
        servers.MARK: str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "6",
        "AIRFLOW__CORE__FERNET_KEY": "ZGVsc2VydC1kZWxzZXJ0LWRlbHNlcnQtZGVsc2VydC0=",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://airflow:airflow@127.0.0.1:{postgres.port}/airflow",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "DELSERT_BINARY": str(binary),
        "DELSERT_CONFIG": str(shop.config),
        "AWS_EC2_METADATA_DISABLED": "true",
    }


class Metadata:
    """A look into Airflow's database."""

    def __init__(self, postgres):
        self.postgres = postgres

    def __call__(self, statement, *arguments):
        with self.postgres.admin("airflow") as connection:
            return connection.execute(statement, arguments).fetchall()

    def tasks(self, dag_id, run_id):
        """Each task's states, by map index and try: `{"check": [("success", 1)]}`."""
        found = {}
        for task_id, state, tries in self(
            "SELECT task_id, state, try_number FROM task_instance WHERE dag_id = %s AND run_id = %s "
            "ORDER BY task_id, map_index",
            dag_id,
            run_id,
        ):
            found.setdefault(task_id.removeprefix("per_table."), []).append((state, tries))
        return found

    def by_table(self, dag_id, run_id, task_id):
        """State and try of a mapped task for each table, by what the task names its instances."""
        rows = self(
            "SELECT rendered_map_index, state, try_number FROM task_instance WHERE dag_id = %s AND run_id = %s "
            "AND task_id = %s AND map_index >= 0",
            dag_id,
            run_id,
            f"per_table.{task_id}",
        )
        return {table: (state, tries) for table, state, tries in rows}

    def run(self, dag_id, run_id):
        """A run's state."""
        return self("SELECT state FROM dag_run WHERE dag_id = %s AND run_id = %s", dag_id, run_id)[0][0]

    def everything(self):
        """All rows of all tables, as text; what is stored as bytes stands in them by its hexadecimal digits."""
        with self.postgres.admin("airflow") as connection:
            tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            for (table,) in tables:
                for (row,) in connection.execute(f'SELECT t::text FROM "{table}" t').fetchall():
                    yield table, row


class Airflow:
    """A running Airflow; what differs between 2.11 and 3 is in the classes below."""

    parts = ()

    def __init__(self, folder, postgres, shop):
        postgres.create("airflow", "airflow", "airflow")
        self.folder, self.metadata = folder, Metadata(postgres)
        self.environment = {**environment(folder, postgres, shop), **self.settings()}
        self.run(PROGRAM, "db", "migrate")
        self.run(HERE / "setup.sh")
        self.start()
        servers.wait_for("the DAGs to be parsed", lambda: len(self.metadata("SELECT dag_id FROM serialized_dag")) >= 4)
        assert not self.metadata("SELECT * FROM import_error")

    def run(self, *arguments):
        """Runs a command to its end, in the repository's folder."""
        done = subprocess.run(
            arguments,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
            cwd=servers.ROOT,
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout.decode(errors='replace')[-5000:]}"

    def serve(self, *names):
        self.parts = [*self.parts, *(servers.Server(self.folder, n, [PROGRAM, n], self.environment) for n in names)]

    def stop(self):
        for part in reversed(self.parts):
            part.stop()

    def finish(self, dag_id, run_id, state="success", seconds=300):
        """Waits until a run has ended, which must be so, and gives its tasks."""

        def look():
            for part in self.parts:
                assert part.keeper.poll() is None, f"{part.name} ended: {part.messages()[-3000:]}"
            return self.metadata.run(dag_id, run_id) in DONE

        servers.wait_for(f"{dag_id} {run_id} to end", look, seconds, 0.2)
        tasks = self.metadata.tasks(dag_id, run_id)
        assert self.metadata.run(dag_id, run_id) == state, tasks
        return tasks

    def sync(self, dag_id="shop", state="success", **params):
        """Triggers a run, waits until it has ended, and gives its id and its tasks."""
        run_id = self.trigger(dag_id, **params)
        return run_id, self.finish(dag_id, run_id, state)

    def first_run(self, dag_id):
        """The run that the schedule began."""
        began = "SELECT run_id FROM dag_run WHERE dag_id = %s AND run_type = 'scheduled' ORDER BY run_id"
        return servers.wait_for(f"{dag_id} to be scheduled", lambda: self.metadata(began, dag_id))[0][0]

    def events(self):
        """How many asset events there are."""
        return self.metadata(f"SELECT count(*) FROM {self.event_table}")[0][0]

    def logs(self, dag_id, run_id):
        """The logs of a run's tasks, by path."""
        folder = self.folder / "home" / "logs" / f"dag_id={dag_id}" / f"run_id={run_id}"
        return {str(path.relative_to(folder)): path.read_text(errors="replace") for path in folder.rglob("*.log")}


class Airflow3(Airflow):
    """Airflow 3: told what to do through its API."""

    event_table = "asset_event"

    def settings(self):
        port = servers.free_port()
        self.url, self.token = f"http://127.0.0.1:{port}", None
        return {
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": "delsert-tests",
            "AIRFLOW__API_AUTH__JWT_SECRET": "delsert-tests-of-airflow-on-loopback-only-0123456789abcdef0123456789",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(servers.free_port()),
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            # What a killed task runner leaves open is waited for less long than in production (60).
            "AIRFLOW__WORKERS__SOCKET_CLEANUP_TIMEOUT": "5",
        }

    def start(self):
        self.serve("api-server", "dag-processor", "scheduler")
        self.token = servers.wait_for("the API server", self._log_in)
        for name, secrets in CONNECTIONS.items():
            self.call("POST", "connections", {"connection_id": name, "conn_type": "generic", **secrets})

    def _log_in(self):
        try:
            return self._ask("GET", "/auth/token")["access_token"]
        except OSError:
            return None

    def call(self, method, path, body=None):
        """Asks the API."""
        return self._ask(method, f"/api/v2/{path}", body)

    def _ask(self, method, path, body=None):
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            error.add_note(error.read().decode(errors="replace"))
            raise

    def pause(self, dag_id, paused=True):
        self.call("PATCH", f"dags/{dag_id}", {"is_paused": paused})

    def trigger(self, dag_id, **params):
        """Triggers a run as a person does in the UI."""
        body = {"logical_date": datetime.now(timezone.utc).isoformat(), "conf": params}
        return self.call("POST", f"dags/{dag_id}/dagRuns", body)["dag_run_id"]

    def clear_failed(self, dag_id, run_id):
        self.clear(dag_id, run_id, only_failed=True)

    def clear(self, dag_id, run_id, only_failed=False, **which):
        """Clears tasks of a run as a person does in the UI."""
        body = {"dry_run": False, "dag_run_id": run_id, "only_failed": only_failed, "only_running": False, **which}
        self.call("POST", f"dags/{dag_id}/clearTaskInstances", body)


class Airflow2(Airflow):
    """Airflow 2.11: told what to do by its command line."""

    event_table = "dataset_event"

    def settings(self):
        return {
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(servers.free_port()),
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            "AIRFLOW__SCHEDULER__MIN_FILE_PROCESS_INTERVAL": "5",
        }

    def start(self):
        connections = self.folder / "connections.json"
        connections.write_text(json.dumps({name: {"conn_type": "generic", **s} for name, s in CONNECTIONS.items()}))
        self.run(PROGRAM, "connections", "import", str(connections))
        self.serve("scheduler")

    def pause(self, dag_id, paused=True):
        self.run(PROGRAM, "dags", "pause" if paused else "unpause", dag_id)

    def trigger(self, dag_id, **params):
        run_id = f"by_hand_{datetime.now(timezone.utc):%H:%M:%S.%f}"
        self.run(PROGRAM, "dags", "trigger", dag_id, "--run-id", run_id, "--conf", json.dumps(params))
        return run_id

    def clear_failed(self, dag_id, run_id):
        # The command line knows no run ids: all that failed.
        self.run(PROGRAM, "tasks", "clear", dag_id, "--yes", "--only-failed")
