"""The DAG files without a database: they import on both versions of Airflow, and are made as they should be."""

import json
import re
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from airflow.exceptions import AirflowException, AirflowFailException
from lazy_object_proxy import Proxy

import servers
from delsert import delsert_dag, groups_of
from delsert.outcome import arguments, brief, failure
from delsert.pod import DelsertPodOperator
from delsert.process import DelsertOperator, process

try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:
    from airflow.models.dagbag import DagBag

DAGS = servers.ROOT / "dags"
POD_OPERATOR = "airflow.providers.cncf.kubernetes.operators.pod.KubernetesPodOperator"
FILES = {"delsert": "delsert_bash.py", "delsert_kubernetes": "delsert_kubernetes.py"}
EDGES = {
    "resync": set(),
    "check": {"resync"},
    "plan": {"check"},
    "per_table.extract": {"plan"},
    "per_table.load": {"plan", "per_table.extract"},
    "publish": {"per_table.load"},
}


@pytest.fixture(scope="module")
def bag():
    return DagBag(str(DAGS))


@pytest.fixture(params=FILES)
def dag(request, bag):
    return bag.dags[request.param]


def made(task):
    """What an operator is made of, mapped or not."""
    return getattr(task, "partial_kwargs", None) or vars(task)


def test_the_files_import_clean_and_give_one_dag_each(bag):
    assert bag.import_errors == {}
    assert {dag.dag_id: servers.Path(dag.fileloc).name for dag in bag.dags.values()} == FILES


def test_edges_are_exactly_these(dag):
    assert {task.task_id: task.upstream_task_ids for task in dag.tasks} == EDGES


def test_one_run_at_a_time_and_none_for_the_past(dag):
    assert dag.max_active_runs == 1 and dag.catchup is False


def test_without_a_schedule_nothing_runs_by_itself():
    quiet = delsert_dag("quiet", process(config="/c"))
    assert type(quiet.timetable).__name__ == "NullTimetable"


def test_pools_bound_source_and_target(dag):
    pools = {task.task_id: task.pool for task in dag.tasks}
    source, target, none = "delsert_source", "delsert_target", "default_pool"
    assert pools == {
        "resync": source,
        "check": source,
        "per_table.extract": source,
        "per_table.load": target,
        "plan": none,
        "publish": none,
    }


def test_retries_wait_longer_each_time_up_to_a_bound(dag):
    for task in dag.tasks:
        assert task.retries == 4 and task.retry_delay == timedelta(seconds=30)
        assert task.retry_exponential_backoff and task.max_retry_delay == timedelta(minutes=10)
        assert task.execution_timeout == timedelta(hours=6)


def test_callbacks_are_those_of_the_file(bag):
    tasks = bag.dags["delsert"].tasks
    assert all([call.__name__ for call in called(task.on_failure_callback)] == ["notify"] for task in tasks)
    assert called(bag.dags["delsert"].get_task("check").on_execute_callback)


@pytest.mark.parametrize(("minutes", "attempt", "told"), [(None, 1, 0), (59, 1, 0), (61, 1, 1), (61, 2, 0)])
def test_lag_is_told_at_the_first_attempt_of_a_run(minutes, attempt, told):
    lags = []
    quiet = delsert_dag(
        "quiet", process(config="/c"), lag_limit=timedelta(hours=1), on_lag=lambda context, lag: lags.append(lag)
    )
    (watch,) = called(quiet.get_task("check").on_execute_callback)
    since = datetime.now(timezone.utc) - timedelta(minutes=minutes) if minutes else None
    # Airflow gives it as a promise, which is kept when it is looked at.
    watch({"prev_start_date_success": Proxy(lambda: since), "ti": SimpleNamespace(try_number=attempt)})
    assert len(lags) == told


def called(callbacks):
    return callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]


def test_params_name_tables_and_refuse_all_else(dag):
    assert dag.params.dump() == {"tables": [], "resync": []}
    for name in ("tables", "resync"):
        for wrong in ("Sales.Orders", [1], {"a": 1}):
            with pytest.raises((ValueError, AirflowException), match="is not of type"):
                dag.params.get_param(name).resolve(wrong)


def test_all_tasks_of_a_run_share_the_cut_of_check(dag):
    extract = made(dag.get_task("per_table.extract"))
    assert extract["command"] == ["extract", "--until", "{{ ti.xcom_pull(task_ids='check')['cut'] }}"]
    assert made(dag.get_task("per_table.load"))["command"] == ["load"]


def test_only_check_pushes_an_xcom(dag):
    pushes = {task.task_id: made(task).get("do_xcom_push", True) for task in dag.tasks if "delsert" in type_of(task)}
    assert pushes == {"resync": False, "check": True, "per_table.extract": False, "per_table.load": False}


def type_of(task):
    kind = getattr(task, "operator_class", type(task))
    return kind.__module__


def test_each_task_is_given_the_secrets_of_its_ends_and_no_others(bag):
    given = {
        task.task_id: set(made(task)["secrets"]) for task in bag.dags["delsert"].tasks if "delsert" in type_of(task)
    }
    bucket = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    everything = bucket | {"MSSQL_PASSWORD", "TARGET_PASSWORD"}
    assert given == {
        "resync": everything,
        "check": everything,
        "per_table.extract": bucket | {"MSSQL_PASSWORD"},
        "per_table.load": bucket | {"TARGET_PASSWORD"},
    }
    pods = {
        task.task_id: [secret.deploy_target for secret in made(task)["secrets"]]
        for task in bag.dags["delsert_kubernetes"].tasks
        if "delsert" in type_of(task)
    }
    source, target = ["MSSQL_PASSWORD", "MSSQL_ADMIN_PASSWORD"], ["TARGET_PASSWORD"]
    assert pods["per_table.extract"] == source and pods["per_table.load"] == target
    assert pods["check"] == pods["resync"] == source + target
    # No more and no less than what the configuration of the example names.
    example = (servers.ROOT / "docker" / "kubernetes.yaml").read_text()
    assert set(pods["check"]) == set(re.findall(r"\$\{(\w+)\}", example))


def test_no_template_reads_a_connection(dag):
    for task in dag.tasks:
        fields = {name: made(task).get(name) for name in task.template_fields}
        assert not re.search(r"\bconn\.|password|var\.", repr(fields), re.IGNORECASE), fields
    for file in DAGS.rglob("*.py"):
        assert not re.search(r"\{\{[^}]*\b(conn|var)\.", file.read_text()), file


def test_tables_become_arguments_without_a_shell():
    names = ["Sales.Orders", "dbo.[a b]; rm -rf /"]
    expected = ["--config", "/c", "check", "--table", names[0], "--table", names[1], "--summary-file", "/s"]
    assert arguments("/c", ["check"], names, "/s") == arguments("/c", ["check"], json.dumps(names), "/s") == expected


def test_of_exit_codes_only_those_for_a_person_are_not_retried():
    for code in (2, 3):
        assert isinstance(failure(code, ""), AirflowFailException)
    for code in (1, 75, 101, 130, 137, 143, -9):
        assert not isinstance(failure(code, ""), AirflowFailException)
        assert isinstance(failure(code, ""), AirflowException)


def table(name, status="idle", work=False):
    return {"table": name, "status": status, "work": work, "error": None, "upserts": 0}


def test_of_a_summary_only_what_is_needed_goes_into_xcom():
    tables = [table("a", work=True), table("b"), table("c", "blocked", True), table("d", "done", True)]
    summary = {"v": 1, "kind": "summary", "cut": "0x01", "tables": tables}
    assert brief(summary) == {"cut": "0x01", "blocked": ["c"], "work": ["a", "d"]}
    for other in ({**summary, "v": 2}, {**summary, "kind": "log"}, {}):
        with pytest.raises(AirflowFailException):
            brief(other)


@pytest.mark.parametrize("blocked", [0, 1, 700, 3000])
@pytest.mark.parametrize("work", [0, 1, 1023, 1024, 5000])
def test_more_tables_than_airflow_maps_share_tasks(blocked, work):
    names = [f"b{n}" for n in range(blocked)], [f"w{n}" for n in range(work)]
    groups = groups_of(*names, 1, 1024)
    assert len(groups) <= 1024 and [name for group in groups for name in group] == names[0] + names[1]
    # No healthy table waits for one that will fail.
    assert all(len({name[0] for name in group}) == 1 for group in groups)
    if blocked + work < 1024:
        assert all(len(group) == 1 for group in groups)


def test_tables_may_share_tasks_by_choice():
    assert groups_of([], list("abcde"), 2, 1024) == [["a", "b"], ["c", "d"], ["e"]]


def test_tasks_are_pods_or_processes_as_the_file_has_it(bag):
    check = bag.dags["delsert_kubernetes"].get_task("check")
    assert isinstance(check, DelsertPodOperator) and check.cmds == ["delsert"] and check.termination_grace_period == 10
    assert isinstance(bag.dags["delsert"].get_task("check"), DelsertOperator)


def test_a_connection_without_the_field_is_named_before_anything_is_started(monkeypatch):
    connection = SimpleNamespace(login="reader", password=None)
    monkeypatch.setattr("delsert.process.BaseHook.get_connection", lambda name: connection)
    operator = process(binary="/nonexistent", config="/c", source={"MSSQL_PASSWORD": "delsert_source.password"})(
        ["source"], task_id="extract", command=["extract"], tables=["a"]
    )
    with pytest.raises(AirflowFailException, match="delsert_source has no password"):
        operator.execute({})


class Pod:
    """A pod that has ended, as the API of Kubernetes tells it."""

    def __init__(self, code):
        terminated = type("Terminated", (), {"exit_code": code})
        state = type("State", (), {"terminated": terminated})
        container = type("Container", (), {"name": "base", "state": state})
        self.status = type("Status", (), {"container_statuses": [container]})


@pytest.mark.parametrize("code", [2, 3, 75, 143])
def test_a_pod_that_asks_for_a_person_is_not_retried(monkeypatch, code):
    def ended(self, context):
        self.remote_pod = Pod(code)
        raise AirflowException("Pod delsert returned a failure.")

    monkeypatch.setattr(f"{POD_OPERATOR}.execute", ended)
    operator = DelsertPodOperator(task_id="extract", command=["extract"], tables=["a"], config="/c", do_xcom_push=False)
    with pytest.raises(AirflowException) as raised:
        operator.execute({})
    assert type(raised.value) is (AirflowFailException if code in (2, 3) else AirflowException)
    # Without the sidecar there is no folder for a summary.
    said = ["--termination-log", "/dev/termination-log"]
    assert operator.arguments == ["--config", "/c", "extract", "--table", "a", *said]


def check_of_a_pod(monkeypatch, found):
    """A `check` whose sidecar has this; Airflow's operator takes it from there, and returns it."""
    monkeypatch.setattr(f"{POD_OPERATOR}.extract_xcom", lambda self, pod: found)
    monkeypatch.setattr(f"{POD_OPERATOR}.execute", lambda self, context: self.extract_xcom(None))
    return DelsertPodOperator(task_id="check", command=["check"], tables="[]", config="/c")


def test_a_pods_summary_is_cut_to_what_is_needed_where_it_is_read(monkeypatch):
    summary = {"v": 1, "kind": "summary", "cut": "0x01", "tables": [table("a", work=True)], "findings": []}
    operator = check_of_a_pod(monkeypatch, summary)
    # Of a pod that failed the operator pushes this by itself.
    assert operator.extract_xcom(None) == operator.execute({}) == {"cut": "0x01", "blocked": [], "work": ["a"]}


@pytest.mark.parametrize("found", [None, {}, [], "log", {"v": 2, "kind": "summary", "cut": "0x01", "tables": []}])
def test_a_pod_without_a_summary_fails_and_pushes_nothing(monkeypatch, found):
    operator = check_of_a_pod(monkeypatch, found)
    assert operator.extract_xcom(None) is None
    with pytest.raises(AirflowFailException, match="no summary of version 1"):
        operator.execute({})


def test_what_readme_shows_of_airflow_is_in_the_files_that_the_tests_run():
    section = (servers.ROOT / "README.md").read_text().split("\n## Airflow\n")[1].split("\n## ")[0]
    blocks = re.findall(r"^```\w*\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 4
    files = [*DAGS.rglob("*.py"), servers.ROOT / "tests" / "airflow" / "setup.sh"]
    texts = [re.sub(r"^ +(?=[^ ])", "", file.read_text(), flags=re.MULTILINE) for file in files]
    for block in blocks:
        assert any(re.sub(r"^ +(?=[^ ])", "", block, flags=re.MULTILINE) in text for text in texts), block


def pod_of(monkeypatch, bag, task_id):
    """The pod that a task would ask Kubernetes for."""
    asked = {}

    def ask(self, context):
        asked["pod"] = self.build_pod_request_obj(None).to_dict()
        return {"cut": "0x01", "blocked": [], "work": []}

    monkeypatch.setattr(f"{POD_OPERATOR}.execute", ask)
    nothing = lambda: None  # noqa: E731
    hook = SimpleNamespace(
        is_in_cluster=True,
        get_namespace=nothing,
        get_xcom_sidecar_container_image=nothing,
        get_xcom_sidecar_container_resources=nothing,
        get_xcom_sidecar_container_security_context=nothing,
    )
    monkeypatch.setattr(f"{POD_OPERATOR}.hook", hook)
    operator = bag.dags["delsert_kubernetes"].get_task(task_id)
    operator.tables = json.dumps(["Sales.Orders"])
    operator.execute({})
    return asked["pod"]


def test_a_pod_writes_its_summary_for_the_sidecar_and_its_error_for_the_termination_message(monkeypatch, bag):
    check, resync = (pod_of(monkeypatch, bag, task_id)["spec"] for task_id in ("check", "resync"))
    assert [container["name"] for container in check["containers"]] == ["base", "airflow-xcom-sidecar"]
    assert [container["name"] for container in resync["containers"]] == ["base"]
    config, tables = ["--config", "/etc/delsert/con_defs.toml"], ["--table", "Sales.Orders"]
    summary, error = ["--summary-file", "/airflow/xcom/return.json"], ["--termination-log", "/dev/termination-log"]
    base = check["containers"][0]
    assert base["command"] == ["delsert"] and base["args"] == [*config, "check", *tables, *summary, *error]
    assert resync["containers"][0]["args"] == [*config, "resync", "--yes", *tables, *error]
    assert {mount["mount_path"] for mount in base["volume_mounts"]} == {"/etc/delsert", "/airflow/xcom"}


def test_pods_hold_references_to_secrets(monkeypatch, bag):
    base = pod_of(monkeypatch, bag, "check")["spec"]["containers"][0]
    assert {variable["name"]: variable["value_from"]["secret_key_ref"]["key"] for variable in base["env"]} == {
        "MSSQL_PASSWORD": "mssql-password",
        "MSSQL_ADMIN_PASSWORD": "mssql-admin-password",
        "TARGET_PASSWORD": "target-password",
    }
    assert base["resources"]["limits"] == {"memory": "512Mi"}


def test_pods_ask_for_no_more_than_a_restricted_namespace_allows(monkeypatch, bag):
    spec = pod_of(monkeypatch, bag, "check")["spec"]
    of_all = spec["security_context"]
    assert of_all["run_as_non_root"] and of_all["run_as_user"] == of_all["fs_group"] == 10001
    assert of_all["seccomp_profile"]["type"] == "RuntimeDefault"
    assert len(spec["containers"]) == 2
    for container in spec["containers"]:
        of_one = container["security_context"]
        assert of_one["capabilities"]["drop"] == ["ALL"] and of_one["capabilities"]["add"] is None
        assert of_one["allow_privilege_escalation"] is False and of_one["read_only_root_filesystem"]
