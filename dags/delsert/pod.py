"""`delsert` as a pod: secrets come from Kubernetes, the summary through the XCom sidecar."""

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSkipException

from delsert.outcome import PERMANENT, arguments, brief, failure, is_summary


def pod(*, config, source=(), bucket=(), target=(), **pod_arguments):
    """Makes operators that start a pod.

    :param config: path of `con_defs.toml` in the container
    :param source: Kubernetes `Secret`s for tasks that read the source
    :param bucket: the same for the bucket
    :param target: the same for the warehouse
    :param pod_arguments: any others of KubernetesPodOperator: `image`, `namespace`, `container_resources`, …
    """
    secrets = {"source": source, "bucket": bucket, "target": target}

    def worker(ends, **operator):
        needed = [secret for end in ends for secret in secrets[end]]
        return DelsertPodOperator(config=config, secrets=needed, **{**pod_arguments, **operator})

    return worker


class DelsertPodOperator(KubernetesPodOperator):
    """Runs one command of `delsert` in a pod; the summary of `check`, cut to what others need, is its XCom."""

    template_fields = (*KubernetesPodOperator.template_fields, "command", "tables")

    def __init__(self, *, command, tables, config, do_xcom_push=True, **operator):
        # SIGTERM ends the binary within five seconds. A deferred task would come back past `execute`.
        operator = {"cmds": ["delsert"], "name": "delsert", "termination_grace_period": 10, **operator}
        super().__init__(do_xcom_push=do_xcom_push, deferrable=False, **operator)
        self.command, self.tables, self.config = command, tables, config

    def extract_xcom(self, pod, **how):
        # Cut here and not in `execute`: what is found of a pod that failed is pushed, too.
        found = super().extract_xcom(pod, **how)
        return brief(found) if is_summary(found) else None

    def execute(self, context):
        file = "/airflow/xcom/return.json" if self.do_xcom_push else None
        said = ["--termination-log", "/dev/termination-log"]
        self.arguments = [*arguments(self.config, self.command, self.tables, file), *said]
        try:
            found = super().execute(context)
        except AirflowSkipException:
            raise
        except AirflowException as error:
            code = _exit_code(self.remote_pod, self.base_container_name)
            if code in PERMANENT:
                raise failure(code, error) from error
            raise
        if self.do_xcom_push and found is None:
            raise AirflowFailException(
                "the pod left no summary of version 1: DAG and delsert are of different releases"
            )
        return found


def _exit_code(pod, container):
    """The exit code of a pod's container, if it has ended."""
    statuses = (pod.status.container_statuses or []) if pod and pod.status else []
    states = [status.state for status in statuses if status.name == container and status.state]
    return next((state.terminated.exit_code for state in states if state.terminated), None)
