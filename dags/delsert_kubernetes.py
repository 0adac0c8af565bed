"""A sync whose tasks are pods: Airflow needs no `delsert` of its own, and its image nothing but the binary."""

from datetime import timedelta

from airflow.providers.cncf.kubernetes.secret import Secret
from kubernetes.client import V1ResourceRequirements, V1SecurityContext, V1Volume, V1VolumeMount
from kubernetes.client import V1ConfigMapVolumeSource

from delsert import delsert_dag
from delsert.pod import pod

worker = pod(
    image="delsert:latest",
    namespace="delsert",
    service_account_name="delsert",
    config="/etc/delsert/con_defs.toml",
    volumes=[V1Volume(name="config", config_map=V1ConfigMapVolumeSource(name="delsert-config"))],
    volume_mounts=[V1VolumeMount(name="config", mount_path="/etc/delsert", read_only=True)],
    # Variables that con_defs.toml names, each with the Secret and the key that it comes from.
    source=[Secret("env", "MSSQL_PASSWORD", "delsert", "mssql-password")],
    target=[Secret("env", "TARGET_PASSWORD", "delsert", "target-password")],
    # The bucket's credentials come from the service account's role.
    container_resources=V1ResourceRequirements(requests={"cpu": "500m", "memory": "256Mi"}, limits={"memory": "512Mi"}),
    container_security_context=V1SecurityContext(run_as_non_root=True, allow_privilege_escalation=False),
    startup_timeout_seconds=300,
)

dag = delsert_dag(
    "delsert_kubernetes",
    worker,
    schedule="*/15 * * * *",
    lag_limit=timedelta(hours=1),
)
