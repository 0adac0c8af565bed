//! `docker/kubernetes.yaml` and `kubernetes-task.yaml`: what their parts name in each other is there, the command is one.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use clap::Parser;
use delsert::cli::Cli;
use delsert::config::Config;
use serde_json::Value;

use super::{documents, entries, read, taken, texts};

/// The documents of both files.
fn all() -> anyhow::Result<Vec<Value>> {
    Ok([documents(&read("kubernetes.yaml")?)?, documents(&read("kubernetes-task.yaml")?)?].concat())
}

/// The one of a kind.
fn one<'a>(all: &'a [Value], kind: &str) -> anyhow::Result<&'a Value> {
    let found: Vec<_> = all.iter().filter(|document| document["kind"] == kind).collect();
    ensure!(found.len() == 1, "{} of kind {kind}", found.len());
    Ok(found[0])
}

/// A Pod's containers, sidecars first.
fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    items(&spec["initContainers"]).iter().chain(items(&spec["containers"]))
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[test]
fn its_parts_find_each_other() -> anyhow::Result<()> {
    let all = all()?;
    let namespace = &one(&all, "Namespace")?["metadata"]["name"];
    for document in all.iter().filter(|document| document["kind"] != "Namespace") {
        ensure!(&document["metadata"]["namespace"] == namespace, "{}", document["metadata"]);
    }
    let (secret, pod, config) = (one(&all, "Secret")?, one(&all, "Pod")?, one(&all, "ConfigMap")?);
    let spec = &pod["spec"];
    ensure!(spec["serviceAccountName"] == one(&all, "ServiceAccount")?["metadata"]["name"]);
    let base = &spec["containers"][0];
    let mut given = BTreeSet::new();
    for variable in items(&base["env"]) {
        let reference = &variable["valueFrom"]["secretKeyRef"];
        ensure!(reference["name"] == secret["metadata"]["name"], "{variable}");
        let key = reference["key"].as_str().context("no key")?;
        ensure!(secret["stringData"][key] == "CHANGE_ME", "{key}");
        given.insert(variable["name"].as_str().unwrap_or_default().to_owned());
    }
    let text = config["data"]["con_defs.toml"].as_str().context("no con_defs.toml")?;
    ensure!(taken(text) == given, "{:?} are needed, {given:?} given", taken(text));
    let parsed =
        Config::parse(&given.iter().fold(text.to_owned(), |text, name| text.replace(&format!("${{{name}}}"), "x")))?;
    parsed.source()?;
    parsed.bucket()?;
    parsed.target()?;
    let volumes: BTreeSet<_> = items(&spec["volumes"]).iter().filter_map(|volume| volume["name"].as_str()).collect();
    for container in containers(spec) {
        for mount in items(&container["volumeMounts"]) {
            ensure!(volumes.contains(mount["name"].as_str().unwrap_or_default()), "{mount}");
        }
    }
    ensure!(spec["volumes"][0]["configMap"]["name"] == config["metadata"]["name"]);
    Ok(())
}

/// Whoever tries it by hand gets a new Pod each time, no Secret is set anew, and the Pod ends though its sidecar waits.
#[test]
fn the_pod_is_made_as_often_as_wanted_and_ends() -> anyhow::Result<()> {
    let task = documents(&read("kubernetes-task.yaml")?)?;
    ensure!(task.len() == 1 && documents(&read("kubernetes.yaml")?)?.iter().all(|document| document["kind"] != "Pod"));
    let pod = one(&task, "Pod")?;
    ensure!(pod["metadata"]["generateName"].is_string() && pod["metadata"]["name"].is_null(), "{}", pod["metadata"]);
    let (spec, sidecars) = (&pod["spec"], items(&pod["spec"]["initContainers"]));
    ensure!(spec["restartPolicy"] == "Never" && items(&spec["containers"]).len() == 1);
    ensure!(sidecars.len() == 1 && sidecars[0]["restartPolicy"] == "Always", "Kubernetes does not end the sidecar");
    ensure!(
        sidecars[0]["volumeMounts"][0]["mountPath"] == "/airflow/xcom" && sidecars[0]["name"] == "airflow-xcom-sidecar"
    );
    Ok(())
}

/// What Airflow's provider asks of Kubernetes' API for a pod, and no more, is lent to its account.
#[test]
fn airflow_may_start_pods_and_read_them() -> anyhow::Result<()> {
    let all = all()?;
    let (role, binding) = (one(&all, "Role")?, one(&all, "RoleBinding")?);
    ensure!(binding["roleRef"]["name"] == role["metadata"]["name"] && binding["roleRef"]["kind"] == "Role");
    ensure!(binding["subjects"][0]["kind"] == "ServiceAccount" && items(&binding["subjects"]).len() == 1);
    let mut rights = BTreeSet::new();
    for rule in items(&role["rules"]) {
        let verbs = texts(&rule["verbs"]).join(" ");
        rights.extend(texts(&rule["resources"]).into_iter().map(|resource| (resource, verbs.clone())));
    }
    let expected = [
        ("events", "list"),
        ("pods", "create get list watch patch delete"),
        ("pods/exec", "create get"),
        ("pods/log", "get list"),
    ];
    let expected = BTreeSet::from(expected.map(|(resource, verbs)| (resource, verbs.to_owned())));
    ensure!(rights == expected, "{rights:?}");
    Ok(())
}

#[test]
fn its_command_is_one_and_writes_where_kubernetes_and_airflow_look() -> anyhow::Result<()> {
    let all = all()?;
    let base = &one(&all, "Pod")?["spec"]["containers"][0];
    let arguments = texts(&base["args"]);
    Cli::try_parse_from([&["delsert"], arguments.as_slice()].concat())?;
    let after = |option: &str| arguments.iter().skip_while(|argument| **argument != option).nth(1).copied();
    ensure!(after("--termination-log") == base["terminationMessagePath"].as_str());
    ensure!(after("--summary-file") == Some("/airflow/xcom/return.json"));
    let mounts: Vec<_> = items(&base["volumeMounts"]).iter().filter_map(|mount| mount["mountPath"].as_str()).collect();
    ensure!(mounts == ["/etc/delsert", "/airflow/xcom"] && after("--config") == Some("/etc/delsert/con_defs.toml"));
    ensure!(base["name"] == "base", "KubernetesPodOperator looks for the container 'base'");
    Ok(())
}

#[test]
fn its_containers_may_do_no_more_than_they_need() -> anyhow::Result<()> {
    let all = all()?;
    let spec = &one(&all, "Pod")?["spec"];
    ensure!(spec["securityContext"]["runAsNonRoot"] == true && spec["automountServiceAccountToken"] == false);
    ensure!(spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault");
    ensure!(containers(spec).count() == 2);
    for container in containers(spec) {
        let context = &container["securityContext"];
        ensure!(context["allowPrivilegeEscalation"] == false && context["readOnlyRootFilesystem"] == true, "{context}");
        ensure!(context["capabilities"]["drop"][0] == "ALL", "{context}");
        let resources = &container["resources"];
        ensure!(
            entries(&resources["requests"]).count() == 2 && resources["limits"]["memory"].is_string(),
            "{resources}"
        );
        let image = container["image"].as_str().unwrap_or_default();
        ensure!(image.contains(':') && !image.ends_with(":latest"), "{image}");
    }
    Ok(())
}
