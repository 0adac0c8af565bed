"""An Airflow DAG whose tasks are pods: Airflow needs no `delsert` of its own, and its image nothing but the binary."""

from datetime import timedelta

from airflow.providers.cncf.kubernetes.secret import Secret
from kubernetes import client as k8s

from delsert import delsert_dag
from delsert.pod import pod

# As the namespace of ../docker/kubernetes.yaml asks of all that runs there, the XCom sidecar included.
hardened = k8s.V1SecurityContext(
    allow_privilege_escalation=False, read_only_root_filesystem=True, capabilities=k8s.V1Capabilities(drop=["ALL"])
)

worker = pod(
    image="delsert:0.1.0",
    namespace="delsert",
    service_account_name="delsert",
    config="/etc/delsert/con_defs.toml",
    volumes=[k8s.V1Volume(name="config", config_map=k8s.V1ConfigMapVolumeSource(name="delsert-config"))],
    volume_mounts=[k8s.V1VolumeMount(name="config", mount_path="/etc/delsert", read_only=True)],
    # Variables that con_defs.toml names, each with the Secret and the key that it comes from.
    source=[
        Secret("env", "MSSQL_PASSWORD", "delsert", "mssql-password"),
        Secret("env", "MSSQL_ADMIN_PASSWORD", "delsert", "mssql-admin-password"),
    ],
    target=[Secret("env", "TARGET_PASSWORD", "delsert", "target-password")],
    # The bucket's credentials come from the service account's role.
    container_resources=k8s.V1ResourceRequirements(
        requests={"cpu": "500m", "memory": "256Mi"}, limits={"memory": "512Mi"}
    ),
    security_context=k8s.V1PodSecurityContext(
        run_as_non_root=True,
        run_as_user=10001,
        run_as_group=10001,
        fs_group=10001,
        seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault"),
    ),
    container_security_context=hardened,
    xcom_sidecar_container_security_context=hardened,
    startup_timeout_seconds=300,
)

dag = delsert_dag(
    "delsert_kubernetes",
    worker,
    schedule="*/15 * * * *",
    lag_limit=timedelta(hours=1),
)
