"""Airflow 3 with everything it needs for real runs: scheduler, DAG processor, API server, a database of PostgreSQL."""

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request

import psycopg

import servers

HERE = servers.Path(__file__).resolve().parent
PROGRAM = servers.Path(sys.executable).parent / "airflow"
DONE = ("success", "failed")


def environment(folder, postgres, shop):
    """What every process of this Airflow finds in its environment."""
    shutil.copytree(servers.ROOT / "dags", folder / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(HERE / "dags", folder / "dags", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {
        **keep,
        servers.MARK: str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AIRFLOW_HOME": str(folder / "home"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "6",
        "AIRFLOW__CORE__FERNET_KEY": "ZGVsc2VydC1kZWxzZXJ0LWRlbHNlcnQtZGVsc2VydC0=",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://airflow:airflow@127.0.0.1:{postgres.port}/airflow",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "DELSERT_BINARY": str(servers.BINARIES / "delsert"),
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
            "ORDER BY task_id, map_index", dag_id, run_id,
        ):
            found.setdefault(task_id.removeprefix("per_table."), []).append((state, tries))
        return found

    def by_table(self, dag_id, run_id, task_id):
        """State and try of a mapped task for each table, by what the task names its instances."""
        rows = self(
            "SELECT rendered_map_index, state, try_number FROM task_instance WHERE dag_id = %s AND run_id = %s "
            "AND task_id = %s AND map_index >= 0", dag_id, run_id, f"per_table.{task_id}",
        )
        return {table: (state, tries) for table, state, tries in rows}

    def run(self, dag_id, run_id):
        """A run's state."""
        return self("SELECT state FROM dag_run WHERE dag_id = %s AND run_id = %s", dag_id, run_id)[0][0]

    def everything(self):
        """All rows of all tables, as text."""
        with self.postgres.admin("airflow") as connection:
            tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            for (table,) in tables:
                for (row,) in connection.execute(f'SELECT t::text FROM "{table}" t').fetchall():
                    yield table, row


class Airflow:
    """A running Airflow 3."""

    def __init__(self, folder, postgres, shop):
        postgres.create("airflow", "airflow", "airflow")
        self.metadata = Metadata(postgres)
        port, worker_logs = servers.free_port(), servers.free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.environment = {
            **environment(folder, postgres, shop),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": "delsert-tests",
            "AIRFLOW__API_AUTH__JWT_SECRET": "delsert-tests-of-airflow-on-loopback-only-0123456789abcdef0123456789",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(worker_logs),
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            # What a killed task runner leaves open is waited for less long than in production (60).
            "AIRFLOW__WORKERS__SOCKET_CLEANUP_TIMEOUT": "5",
        }
        migrate = [PROGRAM, "db", "migrate"]
        done = subprocess.run(
            migrate, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert done.returncode == 0, done.stdout.decode()[-5000:]
        self.parts = [
            servers.Server(folder, name, [PROGRAM, name], self.environment)
            for name in ("api-server", "dag-processor", "scheduler")
        ]
        self.token = None
        self.token = servers.wait_for("the API server", self._log_in)

    def stop(self):
        for part in reversed(self.parts):
            part.stop()

    def _log_in(self):
        try:
            return self.call("GET", "/auth/token")["access_token"]
        except (urllib.error.URLError, ConnectionError):
            return None

    def call(self, method, path, body=None):
        """Asks the API."""
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            error.add_note(error.read().decode(errors="replace"))
            raise

    def trigger(self, dag_id, **params):
        """Triggers a run."""
        body = {"logical_date": None, "conf": params}
        return self.call("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)["dag_run_id"]

    def clear(self, dag_id, run_id, **which):
        """Clears tasks of a run, as a person does in the UI."""
        body = {"dry_run": False, "dag_run_id": run_id, "only_failed": False, "only_running": False, **which}
        return self.call("POST", f"/api/v2/dags/{dag_id}/clearTaskInstances", body)

    def finish(self, dag_id, run_id, state="success", seconds=240):
        """Waits until a run has ended, which must be so, and gives its tasks."""

        def look():
            for part in self.parts:
                assert part.keeper.poll() is None, f"{part.name} ended: {part.messages()[-3000:]}"
            return self.metadata.run(dag_id, run_id) in DONE

        servers.wait_for(f"{dag_id} {run_id} to end", look, seconds, 0.2)
        tasks = self.metadata.tasks(dag_id, run_id)
        assert self.metadata.run(dag_id, run_id) == state, tasks
        return tasks
