"""What happens to a real DAG with the real binary: tests in this order, on one shop, which each leaves equal."""

import os
import signal

import pytest

import servers
import shop as shops
from scheduled import IS_3

ALL = list(shops.TABLES)
# What alone the statement holds that reads a table's changes.
READS = {
    "Sales.Orders": "c.[__$operation], c.[OrderID], c.[CustomerID]",
    "Sales.OrderLines": "c.[__$operation], c.[OrderID], c.[Line]",
}
# What a load refuses: a trigger that could drop rows unseen.
MEDDLE = """
    CREATE FUNCTION sales.meddle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER meddle BEFORE INSERT ON sales.orderlines FOR EACH ROW EXECUTE FUNCTION sales.meddle()
"""
MEND = "DROP FUNCTION sales.meddle CASCADE"
long = pytest.mark.skipif(not IS_3, reason="the long scenarios run on Airflow 3")


@pytest.fixture(autouse=True)
def equal_at_the_end(shop):
    yield
    assert shop.differing() == []


def wait_for_worker(shop, table):
    """The process of `delsert extract` for a table."""

    def look():
        found = servers.marked(shop.folder).items()
        return [pid for pid, command in found if command[0].endswith("/delsert") and {"extract", table} <= set(command)]

    return servers.wait_for(f"delsert extract of {table}", look)[0]


def test_first_sync_by_schedule_of_the_file_that_people_copy(airflow, shop):
    airflow.pause("delsert", False)
    run = airflow.first_run("delsert")
    tasks = airflow.finish("delsert", run)
    airflow.pause("delsert")
    assert tasks["resync"] == [("skipped", 1)]
    assert tasks["check"] == tasks["plan"] == tasks["publish"] == [("success", 1)]
    for task in ("extract", "load"):
        assert airflow.metadata.by_table("delsert", run, task) == {table: ("success", 1) for table in ALL}
    assert airflow.events() == 1
    airflow.pause("shop", False)


def test_a_change_moves_only_what_changed_and_all_of_a_run_stop_at_its_cut(airflow, shop):
    shop.change(
        "UPDATE Sales.Orders SET Ordered = '2025-01-01' WHERE OrderID = 11",
        "DELETE FROM Sales.OrderLines WHERE OrderID = 10 AND Line = 2",
        "INSERT INTO Sales.OrderLines VALUES (12, 2, 7.5)",
    )
    run, tasks = airflow.sync()
    changed = {"Sales.Orders": ("success", 1), "Sales.OrderLines": ("success", 1)}
    for task in ("extract", "load"):
        assert airflow.metadata.by_table("shop", run, task) == changed
    assert tasks["publish"] == [("success", 1)]
    (extra,) = airflow.metadata(f"SELECT extra FROM {airflow.event_table} ORDER BY id DESC LIMIT 1")[0]
    extracts = [log for path, log in airflow.logs("shop", run).items() if "extract" in path]
    assert len(extracts) == 2
    assert all(f"'--until', '{extra['cut']}'" in log and extra["cut"].startswith("0x") for log in extracts)


def test_a_table_that_fails_for_good_fails_alone_and_is_cleared_when_mended(airflow, shop):
    events = airflow.events()
    shop.warehouse(MEDDLE)
    shop.change(
        "UPDATE Sales.Orders SET CustomerID = 3 WHERE OrderID = 11",
        "UPDATE Sales.OrderLines SET Quantity = 5 WHERE OrderID = 11",
        "INSERT INTO Sales.Customers VALUES (4, N'Barbara Liskov', 250.00)",
    )
    run, tasks = airflow.sync(state="failed")
    others = {"Sales.Orders": ("success", 1), "Sales.Customers": ("success", 1)}
    loads = airflow.metadata.by_table("shop", run, "load")
    # One try: no retry helps.
    assert loads == {**others, "Sales.OrderLines": ("failed", 1)}
    assert tasks["check"] == [("success", 1)] and tasks["publish"][0][0] == "upstream_failed"
    assert shop.differing() == ["Sales.OrderLines"] and airflow.events() == events
    told = (shop.folder / "failed.txt").read_text().splitlines()
    assert len(told) == 1 and f"{run} per_table.load delsert ended with 3: " in told[0] and "meddle" in told[0]

    shop.warehouse(MEND)
    airflow.clear_failed("shop", run)
    tasks = airflow.finish("shop", run)
    assert airflow.metadata.by_table("shop", run, "load") == {**others, "Sales.OrderLines": ("success", 2)}
    assert tasks["publish"][0][0] == "success" and airflow.events() == events + 1


def test_a_subset_by_param_and_a_copy_anew(airflow, shop):
    shop.change(
        "UPDATE Sales.Customers SET Credit = 7 WHERE CustomerID = 1",
        "UPDATE Sales.Orders SET Ordered = NULL WHERE OrderID = 10",
    )
    # A row is lost in the warehouse: no change will bring it back.
    shop.warehouse("DELETE FROM sales.customers WHERE customerid = 2")
    run, tasks = airflow.sync(tables=["Sales.Customers"], resync=["Sales.Customers"])
    assert tasks["resync"] == [("success", 1)]
    assert airflow.metadata.by_table("shop", run, "load") == {"Sales.Customers": ("success", 1)}
    assert shop.differing() == ["Sales.Orders"]
    run, _ = airflow.sync()
    assert airflow.metadata.by_table("shop", run, "load") == {"Sales.Orders": ("success", 1)}


@long
def test_a_name_that_is_no_table_fails_at_once(airflow, shop):
    run, tasks = airflow.sync(state="failed", tables=["Sales.Odrers; rm -rf /"])
    assert tasks["check"] == [("failed", 1)] and tasks["publish"][0][0] == "upstream_failed"


def test_a_transient_failure_is_mended_by_a_retry(airflow, shop):
    shop.change("UPDATE Sales.Orders SET CustomerID = 1", "UPDATE Sales.OrderLines SET Quantity = 1.5")
    shop.sql(f"EXEC sys.sp_standin_inject @number = 1205, @text = N'{READS['Sales.Orders']}', @times = 1")
    run, tasks = airflow.sync()
    extracts = airflow.metadata.by_table("shop", run, "extract")
    assert extracts == {"Sales.Orders": ("success", 2), "Sales.OrderLines": ("success", 1)}
    assert run not in (shop.folder / "failed.txt").read_text()


def test_an_empty_run_maps_nothing_and_tells_nobody(airflow, shop):
    events = airflow.events()
    _, tasks = airflow.sync()
    assert tasks["check"] == tasks["plan"] == [("success", 1)]
    assert [tasks[task][0][0] for task in ("extract", "load", "publish")] == ["skipped"] * 3
    assert airflow.events() == events


@long
def test_a_finished_task_may_be_cleared_at_any_time(airflow, shop):
    shop.change("UPDATE Sales.Orders SET Ordered = '2024-05-05'")
    old, _ = airflow.sync()
    shop.change("UPDATE Sales.Orders SET Ordered = '2024-06-06'")
    airflow.sync()
    airflow.clear("shop", old, task_ids=["per_table.extract", "per_table.load"], include_downstream=True)
    tasks = airflow.finish("shop", old)
    assert tasks["extract"] == tasks["load"] == [("success", 2)]


@long
def test_a_load_whose_extract_had_nothing_new_applies_what_is_pending(airflow, shop):
    shop.warehouse(MEDDLE)
    shop.change("UPDATE Sales.OrderLines SET Quantity = 2.5")
    run, _ = airflow.sync(state="failed")
    shop.warehouse(MEND)
    assert shop.differing() == ["Sales.OrderLines"]
    airflow.clear("shop", run, task_ids=["per_table.extract"], include_downstream=True)
    tasks = airflow.finish("shop", run)
    assert tasks["extract"] == tasks["load"] == [("success", 2)]
    said = airflow.logs("shop", run)
    again = next(log for path, log in said.items() if "extract" in path and "attempt=2" in path)
    assert r"\"status\":\"idle\"" in again


@long
def test_two_runs_triggered_together_wait_for_each_other(airflow, shop):
    shop.change("DELETE FROM Sales.Orders WHERE OrderID = 12")
    runs = [airflow.trigger("shop"), airflow.trigger("shop")]
    first, second = (airflow.finish("shop", run) for run in runs)
    assert first["load"] == [("success", 1)] and second["load"][0][0] == "skipped"
    times = "SELECT start_date, end_date FROM dag_run WHERE dag_id = 'shop' AND run_id = ANY(%s) ORDER BY start_date"
    (_, ended), (began, _) = airflow.metadata(times, runs)
    assert began >= ended


@long
def test_a_task_cleared_while_it_runs_ends_and_runs_again(airflow, shop):
    shop.change("UPDATE Sales.Orders SET Ordered = '2024-07-07'")
    shop.sql(f"EXEC sys.sp_standin_slow_rows @milliseconds = 300000, @times = 1, @text = N'{READS['Sales.Orders']}'")
    run = airflow.trigger("shop")
    worker = wait_for_worker(shop, "Sales.Orders")
    servers.wait_for("the read", lambda: "extracting" in "".join(airflow.logs("shop", run).values()))
    airflow.clear("shop", run, task_ids=["per_table.extract"], include_downstream=True)
    servers.wait_for("the worker to end", lambda: worker not in servers.marked(shop.folder), 60)
    airflow.finish("shop", run)
    ((state, tries),) = airflow.metadata.by_table("shop", run, "extract").values()
    assert state == "success" and tries >= 2
    assert any("ended by a signal" in log for path, log in airflow.logs("shop", run).items() if "extract" in path)


@long
def test_a_timeout_ends_the_worker_and_the_retry_goes_on(airflow, shop):
    airflow.pause("impatient", False)
    shop.change("UPDATE Sales.Orders SET Ordered = '2024-08-08'")
    shop.sql(f"EXEC sys.sp_standin_slow_rows @milliseconds = 300000, @times = 1, @text = N'{READS['Sales.Orders']}'")
    run, _ = airflow.sync("impatient")
    state, tries = airflow.metadata.by_table("impatient", run, "extract")["Sales.Orders"]
    assert state == "success" and tries >= 2
    assert not [pid for pid, command in servers.marked(shop.folder).items() if "extract" in command]
    assert not (shop.folder / "late.txt").exists()


@long
def test_lag_over_the_limit_is_told_once(airflow, shop):
    run, _ = airflow.sync("impatient")
    (told,) = (shop.folder / "late.txt").read_text().splitlines()
    told, lag = told.rsplit(" ", 1)
    assert told == run and float(lag) > 1


@long
def test_a_killed_task_runner_leaves_an_orphan_that_does_no_harm(airflow, shop):
    shop.change("UPDATE Sales.Orders SET Ordered = '2024-09-09'")
    shop.sql(f"EXEC sys.sp_standin_slow_rows @milliseconds = 5000, @times = 1, @text = N'{READS['Sales.Orders']}'")
    run = airflow.trigger("shop")
    orphan = wait_for_worker(shop, "Sales.Orders")
    servers.wait_for("the read", lambda: "extracting" in "".join(airflow.logs("shop", run).values()))
    os.kill(orphan, signal.SIGSTOP)
    runner = int((servers.Path("/proc") / str(orphan) / "stat").read_text().rsplit(") ", 1)[1].split()[1])
    os.kill(runner, signal.SIGKILL)
    airflow.finish("shop", run)
    assert airflow.metadata.by_table("shop", run, "extract") == {"Sales.Orders": ("success", 2)}
    # The orphan wakes when all is done, finds the batch of another, and goes.
    shop.change("UPDATE Sales.Orders SET Ordered = '2024-10-10' WHERE OrderID = 10")
    assert orphan in servers.marked(shop.folder)
    os.kill(orphan, signal.SIGCONT)
    servers.wait_for("the orphan to end", lambda: orphan not in servers.marked(shop.folder), 60)
    run, _ = airflow.sync()
    assert airflow.metadata.by_table("shop", run, "load") == {"Sales.Orders": ("success", 1)}


def stored(text, row):
    return text in row or text.encode().hex() in row


def test_no_secret_is_in_what_airflow_stores(airflow, shop):
    known = {"xcom": "cut", "rendered_task_instance_fields": "Sales.Orders", "connection": "delsert_source"}
    found = set()
    for table, row in airflow.metadata.everything():
        assert not [secret for secret in shops.CANARIES if stored(secret, row)], f"a secret is in table {table}"
        if table in known and stored(known[table], row):
            found.add(table)
    assert found == set(known)
    commands = (shop.folder / "commands.txt").read_text()
    assert all(f" {command} " in commands for command in ("check", "extract", "load", "resync"))
    assert not [secret for secret in shops.CANARIES if secret in commands]
    logs = list((shop.folder / "home" / "logs").rglob("*.log"))
    said = "".join(path.read_text(errors="replace") for path in logs)
    assert "Running command: ['" in said and not [secret for secret in shops.CANARIES if secret in said]
