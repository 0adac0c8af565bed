"""`delsert` as a process of the Airflow worker: started without a shell, secrets in its environment alone."""

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from airflow.providers.common.compat.sdk import AirflowFailException, BaseHook, BaseOperator
from airflow.providers.standard.hooks.subprocess import SubprocessHook

from delsert.outcome import arguments, brief, failure, reasons


def process(*, config, binary="delsert", source=None, bucket=None, target=None, env=None):
    """Makes operators that start the binary.

    :param config: absolute path of `con_defs.toml`
    :param binary: path of the binary, or its name on the path
    :param source: variables for tasks that read the source, each from a connection:
        `{"MSSQL_PASSWORD": "mssql_shop.password"}`; also `login`, `host`, `port`, `schema`
    :param bucket: the same for the bucket
    :param target: the same for the warehouse
    :param env: more variables for all tasks, such as `{"RUST_LOG": "debug"}`; no secrets
    """
    secrets = {"source": source or {}, "bucket": bucket or {}, "target": target or {}}

    def worker(ends, **operator):
        needed = {name: place for end in ends for name, place in secrets[end].items()}
        return DelsertOperator(binary=binary, config=config, secrets=needed, env=env or {}, **operator)

    return worker


class DelsertOperator(BaseOperator):
    """Runs one command of `delsert`; its summary, cut to what others need, is the XCom."""

    template_fields = ("command", "tables")

    def __init__(self, *, command, tables, binary, config, secrets, env, **operator):
        super().__init__(**operator)
        self.command, self.tables = command, tables
        self.binary, self.config, self.secrets, self.env = binary, config, secrets, env

    def execute(self, context):
        # Read here and not in a template, so that Airflow never stores them.
        secrets = {name: _secret(*place.rsplit(".", 1)) for name, place in self.secrets.items()}
        self.hook = SubprocessHook()
        with TemporaryDirectory(prefix="delsert-") as folder:
            file = Path(folder, "summary.json")
            command = [self.binary, *arguments(self.config, self.command, self.tables, str(file))]
            ended = self.hook.run_command(command, env={**os.environ, **self.env, **secrets})
            summary = json.loads(file.read_text()) if file.exists() else {}
        if ended.exit_code:
            raise failure(ended.exit_code, reasons(summary))
        return brief(summary)

    def on_kill(self):
        if hasattr(self, "hook"):
            self.hook.send_sigterm()


def _secret(connection, field):
    value = getattr(BaseHook.get_connection(connection), field)
    if value is None:
        raise AirflowFailException(f"Airflow's connection {connection} has no {field}: set it, and clear this task")
    return str(value)
