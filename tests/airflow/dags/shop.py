"""The Airflow DAG of the scenarios: as `delsert_bash.py`, but triggered by hand, and in a hurry."""

import os
from datetime import timedelta
from pathlib import Path

from delsert import delsert_dag
from delsert.process import process

FOLDER = Path(os.environ["DELSERT_TEST_FOLDER"])

worker = process(
    binary=os.environ["DELSERT_BINARY"],
    config=os.environ["DELSERT_CONFIG"],
    source={"MSSQL_PASSWORD": "delsert_source.password"},
    target={"TARGET_PASSWORD": "delsert_target.password"},
    bucket={"AWS_ACCESS_KEY_ID": "delsert_bucket.login", "AWS_SECRET_ACCESS_KEY": "delsert_bucket.password"},
)


def tell(file, text):
    with (FOLDER / file).open("a") as out:
        out.write(f"{text}\n")


def failed(context):
    tell("failed.txt", f"{context['run_id']} {context['ti'].task_id} {context['exception']}")


def late(context, lag):
    tell("late.txt", f"{context['run_id']} {lag.total_seconds()}")


in_a_hurry = {"retries": 2, "retry_delay": timedelta(seconds=1), "on_failure_callback": failed}

shop = delsert_dag("shop", worker, default_args=in_a_hurry)
impatient = delsert_dag(
    "impatient",
    worker,
    default_args={**in_a_hurry, "execution_timeout": timedelta(seconds=15)},
    lag_limit=timedelta(seconds=1),
    on_lag=late,
)
