"""What a process of `delsert` answered, as Airflow should take it."""

import json

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

# Of usage or configuration, and of what a person must see to: no retry helps.
PERMANENT = (2, 3)


def arguments(config, command, tables, summary_file=None):
    """The arguments of `delsert`, from names or from the JSON text of a template."""
    names = json.loads(tables) if isinstance(tables, str) else tables
    of_tables = [argument for name in names for argument in ("--table", name)]
    summary = ["--summary-file", summary_file] if summary_file else []
    return ["--config", config, *command, *of_tables, *summary]


def failure(exit_code, reason):
    """The exception for an exit code: with a retry, or without."""
    kind = AirflowFailException if exit_code in PERMANENT else AirflowException
    return kind(f"delsert ended with {exit_code}: {reason}")


def reasons(summary):
    """What a summary says went wrong, for the log and for callbacks."""
    errors = [summary.get("error"), *(table["error"] for table in summary.get("tables", []))]
    return "; ".join(error for error in errors if error)[:2000] or "see the log"


def is_summary(found):
    """Whether this is a summary of the version that `brief` reads."""
    return isinstance(found, dict) and (found.get("v"), found.get("kind")) == (1, "summary")


def brief(summary):
    """What the tasks that follow need of a summary: as little as is good for Airflow's database."""
    if not is_summary(summary):
        raise AirflowFailException("this is no summary of version 1: DAG and delsert are of different releases")
    tables = summary["tables"]
    return {
        "cut": summary["cut"],
        "blocked": [table["table"] for table in tables if table["status"] == "blocked"],
        "work": [table["table"] for table in tables if table["work"] and table["status"] != "blocked"],
    }
