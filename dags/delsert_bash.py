"""An Airflow DAG whose tasks are processes of the worker: `delsert` is installed beside Airflow."""

import os
from datetime import timedelta

from delsert import delsert_dag
from delsert.process import process

worker = process(
    binary=os.environ.get("DELSERT_BINARY", "delsert"),
    config=os.environ.get("DELSERT_CONFIG", "/etc/delsert/con_defs.toml"),
    # Variables that con_defs.toml names, each with the Airflow connection that it comes from.
    source={"MSSQL_PASSWORD": "delsert_source.password"},
    target={"TARGET_PASSWORD": "delsert_target.password"},
    # Leave these out where the worker's role may use the bucket.
    bucket={"AWS_ACCESS_KEY_ID": "delsert_bucket.login", "AWS_SECRET_ACCESS_KEY": "delsert_bucket.password"},
)


def notify(context):
    """Called for each task that failed for good: put your pager or chat here."""
    print(f"{context['ti'].task_id}: {context['exception']}")


def late(context, lag):
    """Called at a run's begin when the warehouse is behind for too long."""
    print(f"the newest run that loaded everything began {lag} ago")


dag = delsert_dag(
    "delsert",
    worker,
    schedule="*/15 * * * *",
    lag_limit=timedelta(hours=1),
    on_lag=late,
    default_args={"on_failure_callback": notify},
)
