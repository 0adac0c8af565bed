"""One Airflow, one shop and one PostgreSQL for all scenarios."""

import os
import signal
import sys
import tempfile
from pathlib import Path

import pytest

# A home that is not the user's, and no database but those that the scenarios make.
os.environ["AIRFLOW_HOME"] = str(Path(__file__).parents[2] / "target" / "airflow" / "home")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = "sqlite:////nonexistent/no-database"
sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "dags"))

import scheduled  # noqa: E402
import servers  # noqa: E402
import shop as shops  # noqa: E402


def _interrupt(*_):
    raise KeyboardInterrupt


# What was started is ended, too, when this process is told to end.
signal.signal(signal.SIGTERM, _interrupt)


@pytest.fixture(scope="session")
def folder():
    with tempfile.TemporaryDirectory(prefix="delsert-airflow-", ignore_cleanup_errors=True) as made:
        # PostgreSQL's user has to reach its own folder below.
        Path(made).chmod(0o755)
        yield Path(made)
        servers.end_all(made)
        servers.wait_for("all processes to end", lambda: not servers.marked(made), 30)


@pytest.fixture(scope="session")
def postgres(folder):
    running = servers.Postgres(folder)
    yield running
    running.server.stop()


@pytest.fixture(scope="session")
def shop(folder, postgres):
    running = shops.Shop(folder, postgres)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def airflow(folder, postgres, shop):
    running = (scheduled.Airflow3 if scheduled.IS_3 else scheduled.Airflow2)(folder, postgres, shop)
    yield running
    running.stop()
