"""Keeps a warehouse equal to its source: `check`, then `extract` and `load` for each table that has work.

    resync ─► check ─► plan ─┬─► extract ─► load ─┬─► publish
                             └─► extract ─► load ─┘

- Trigger it with `tables` to sync some tables only, with `resync` to copy tables anew.
- All tables of a run stop at the cut that `check` fixed, so that the warehouse stands at one moment of the source.
- A table that needs a person fails alone, without retries; the others are loaded.
- `publish` tells of new data once all of them are: when one failed, or none had work, no asset event is sent.

Clear any task, or kill it, at any time: nothing is lost, nothing doubled.
"""

import logging
from datetime import datetime, timedelta, timezone

from airflow.providers.common.compat.sdk import DAG, AirflowSkipException, Asset, Param, get_current_context, task
from airflow.providers.common.compat.sdk import task_group as group_of_tasks

# What each task needs of the three ends: `worker` gives it these secrets and no others.
ALL_ENDS = ("source", "bucket", "target")

DEFAULTS = {
    "retries": 4,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=10),
    "execution_timeout": timedelta(hours=6),
}

PARAMS = {
    "tables": Param([], type="array", items={"type": "string"}, description="Only these tables, such as Sales.Orders"),
    "resync": Param([], type="array", items={"type": "string"}, description="Tables to copy anew before all else"),
}


def delsert_dag(
    dag_id,
    worker,
    *,
    schedule=None,
    source_pool="delsert_source",
    target_pool="delsert_target",
    tables_per_task=1,
    max_map_length=1024,
    lag_limit=None,
    on_lag=None,
    asset=None,
    default_args=None,
    **dag_arguments,
):
    """Makes the DAG.

    :param worker: makes the operator of a step: `delsert.process.process(…)` or `delsert.pod.pod(…)`
    :param schedule: as of a DAG; None for runs that are triggered
    :param source_pool: pool of `resync`, `check` and `extract`: how many may read the source at once
    :param target_pool: pool of `load`: how many may write to the warehouse at once
    :param tables_per_task: tables that share a task; more when there would be over `max_map_length` tasks
    :param max_map_length: as `[core] max_map_length` of this Airflow
    :param lag_limit: a timedelta: when the newest run that loaded all began longer ago than that …
    :param on_lag: … this is called at a run's begin, with the context and the time since: `on_lag(context, lag)`
    :param asset: URI of the asset event; `delsert://<dag_id>` where it is left out
    :param default_args: for all tasks, beside `DEFAULTS`: `on_failure_callback`, `retries`, `execution_timeout`, …
    :param dag_arguments: any others of a DAG: `tags`, `on_failure_callback`, `dagrun_timeout`, …
    """
    warehouse = Asset(asset or f"delsert://{dag_id}")
    dag_arguments = {"start_date": datetime(2024, 1, 1, tzinfo=timezone.utc), "doc_md": __doc__, **dag_arguments}
    with DAG(
        dag_id,
        # Airflow 2 takes a DAG without one for a daily DAG.
        schedule=schedule,
        catchup=False,
        max_active_runs=1,
        params=PARAMS,
        default_args={**DEFAULTS, **(default_args or {})},
        **dag_arguments,
    ) as dag:
        resync = worker(
            ALL_ENDS,
            task_id="resync",
            command=["resync", "--yes"],
            tables="{{ params.resync | tojson }}",
            pool=source_pool,
            do_xcom_push=False,
            pre_execute=_skip_unless_asked,
        )
        check = worker(
            ALL_ENDS,
            task_id="check",
            command=["check"],
            tables="{{ params.tables | tojson }}",
            pool=source_pool,
            trigger_rule="none_failed",
            on_execute_callback=_lag_watch(lag_limit, on_lag or _log_lag) if lag_limit else None,
        )

        @task
        def plan(found):
            return groups_of(found["blocked"], found["work"], tables_per_task, max_map_length)

        @group_of_tasks
        def per_table(tables):
            named = "{{ task.tables[0] }}{% if task.tables[1:] %} and {{ task.tables[1:] | length }} more{% endif %}"
            extract = worker(
                ("source", "bucket"),
                task_id="extract",
                command=["extract", "--until", "{{ ti.xcom_pull(task_ids='check')['cut'] }}"],
                tables=tables,
                pool=source_pool,
                do_xcom_push=False,
                map_index_template=named,
            )
            load = worker(
                ("bucket", "target"),
                task_id="load",
                command=["load"],
                tables=tables,
                pool=target_pool,
                do_xcom_push=False,
                map_index_template=named,
            )
            extract >> load

        @task(trigger_rule="none_failed_min_one_success", outlets=[warehouse])
        def publish(*, outlet_events):
            context = get_current_context()
            cut = context["ti"].xcom_pull(task_ids="check")["cut"]
            outlet_events[warehouse].extra = {"cut": cut, "tables": list(context["params"]["tables"])}

        resync >> check
        per_table.expand(tables=plan(check.output)) >> publish()
    return dag


def groups_of(blocked, work, size, most):
    """Tables by task, in at most `most` lists. Those that will fail are apart: a task's tables are loaded together."""
    size = max(size, -(-len(blocked + work) // (most - 1)))
    return [some[at : at + size] for some in (blocked, work) for at in range(0, len(some), size)]


def _skip_unless_asked(context):
    if not context["params"]["resync"]:
        raise AirflowSkipException("no tables to copy anew")


def _lag_watch(limit, on_lag):
    def watch(context):
        since = context["prev_start_date_success"]
        lag = datetime.now(timezone.utc) - since if since else timedelta(0)
        # Once a run, not once an attempt.
        if lag > limit and context["ti"].try_number == 1:
            on_lag(context, lag)

    return watch


def _log_lag(context, lag):
    logging.getLogger(__name__).error("the newest run that loaded everything began %s ago", lag)
