//! `docker/compose.yaml`: what it names is there, and it tells no secret.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use delsert::config::Config;
use serde_json::Value;

use super::{documents, entries, path, read, taken, texts, variables};

/// The file, its `<<` merged.
pub fn compose() -> anyhow::Result<Value> {
    documents(&read("compose.yaml")?)?.pop().context("no document")
}

#[test]
fn services_wait_for_what_there_is_to_wait_for() -> anyhow::Result<()> {
    let compose = compose()?;
    let mut waits = 0;
    for (name, service) in entries(&compose["services"]) {
        for (other, how) in entries(&service["depends_on"]) {
            let awaited = &compose["services"][other];
            ensure!(awaited.is_object(), "{name} waits for {other}, which is not there");
            match how["condition"].as_str() {
                Some("service_healthy") => ensure!(awaited["healthcheck"].is_object(), "{other} has no health check"),
                Some("service_completed_successfully") => {
                    let ends = awaited["restart"].is_null() || awaited["restart"] == "no";
                    ensure!(ends, "{name} waits for the end of {other}, which is started again");
                }
                other => anyhow::bail!("{name}: {other:?}"),
            }
            waits += 1;
        }
    }
    ensure!(waits > 8, "{waits} waits");
    Ok(())
}

#[test]
fn volumes_are_declared_and_files_are_there() -> anyhow::Result<()> {
    let compose = compose()?;
    let declared: BTreeSet<_> = entries(&compose["volumes"]).map(|(name, _)| name).collect();
    let mut used = BTreeSet::new();
    for (name, service) in entries(&compose["services"]) {
        for volume in texts(&service["volumes"]) {
            let (from, _) = volume.split_once(':').with_context(|| volume.to_owned())?;
            if from.starts_with('.') {
                // Airflow's DAGs come with another part of the project.
                ensure!(from == "../dags" || path(from).exists(), "{name} mounts {from}, which is not there");
                ensure!(volume.ends_with(":ro"), "{name} may write to {from}");
            } else {
                used.insert(from);
            }
        }
        if let Some(build) = service["build"].as_object() {
            ensure!(path("..").join(build["dockerfile"].as_str().unwrap_or_default()).is_file(), "{name}: {build:?}");
        }
    }
    ensure!(used == declared, "used {used:?}, declared {declared:?}");
    Ok(())
}

#[test]
fn what_listens_does_so_for_this_machine_only() -> anyhow::Result<()> {
    let compose = compose()?;
    let ports: Vec<_> = entries(&compose["services"]).flat_map(|(_, service)| texts(&service["ports"])).collect();
    ensure!(ports.len() == 4 && ports.iter().all(|port| port.starts_with("127.0.0.1:")), "{ports:?}");
    Ok(())
}

#[test]
fn secrets_are_in_the_env_file_alone_and_each_is_needed() -> anyhow::Result<()> {
    let (text, variables) = (read("compose.yaml")?, variables()?);
    let set: BTreeSet<_> = variables.keys().cloned().collect();
    let needed = taken(&text);
    ensure!(needed == set, "needed and not set: {:?}; set and not needed: {:?}", &needed - &set, &set - &needed);
    for name in &needed {
        let places = text.matches(&format!("${{{name}")).count();
        let told = text.matches(&format!("${{{name}:?copy .env.example to .env}}")).count();
        ensure!(places == told, "{name} may be empty somewhere without a word");
    }
    for (name, secret) in &variables {
        ensure!(
            secret.len() > 10 && secret.to_lowercase().contains("development") || name.ends_with("FERNET_KEY"),
            "{name}"
        );
        for file in ["compose.yaml", "con_defs.toml", "Dockerfile", "init/sqlserver.sh", "init/warehouse.sh"] {
            ensure!(!read(file)?.contains(secret.as_str()), "{file} tells {name}");
        }
    }
    Ok(())
}

/// What the binary looks up is in the environment of whoever runs it: by itself, or through Airflow's connections.
#[test]
fn the_configuration_finds_its_secrets() -> anyhow::Result<()> {
    let compose = compose()?;
    let config = read("con_defs.toml")?;
    let needed = taken(&config);
    ensure!(needed.len() == 3, "{needed:?}");
    let by_hand: BTreeSet<_> =
        entries(&compose["services"]["delsert"]["environment"]).map(|(name, _)| name.to_owned()).collect();
    ensure!(needed.is_subset(&by_hand), "{needed:?} are not all in {by_hand:?}");
    let airflow: BTreeSet<_> =
        entries(&compose["services"]["airflow-scheduler"]["environment"]).map(|(name, _)| name.to_owned()).collect();
    // What the connections give, each to the tasks that need it.
    let given = ["MSSQL_PASSWORD".to_owned(), "TARGET_PASSWORD".to_owned()].into();
    ensure!((&needed - &airflow) == given, "{:?}", &needed - &airflow);
    let parsed = Config::parse(&needed.iter().fold(config, |text, name| text.replace(&format!("${{{name}}}"), "x")))?;
    parsed.source()?;
    parsed.bucket()?;
    parsed.target()?;
    // Services are found by their names.
    for host in ["sqlserver", "rustfs", "warehouse"] {
        ensure!(compose["services"][host].is_object() && read("con_defs.toml")?.contains(host), "{host}");
    }
    Ok(())
}

/// All of Airflow's services must agree, or tasks fail though all is healthy.
#[test]
fn airflows_services_share_their_settings() -> anyhow::Result<()> {
    let compose = compose()?;
    let services = &compose["services"];
    let common = |name: &str| -> Vec<(String, String)> {
        let all = entries(&services[name]["environment"]).filter(|(name, _)| name.starts_with("AIRFLOW__"));
        all.map(|(name, value)| (name.to_owned(), value.to_string())).collect()
    };
    let expected = common("airflow-init");
    ensure!(expected.len() >= 9, "{expected:?}");
    for (name, what) in [("apiserver", "api-server"), ("scheduler", "scheduler"), ("dag-processor", "dag-processor")] {
        let name = format!("airflow-{name}");
        ensure!(common(&name) == expected && services[&name]["command"] == what, "{name}");
        ensure!(services[&name]["image"] == services["airflow-init"]["image"], "{name}");
    }
    let alone = &services["airflow-scheduler"]["environment"]["DUMB_INIT_SETSID"];
    ensure!(alone == "0", "SIGTERM ends the tasks that the scheduler would wait for: {alone}");
    Ok(())
}

/// Builds that export one tag at the same time are in each other's way, and our own images are nowhere to be pulled.
#[test]
fn each_image_of_our_own_is_built_by_one_service() -> anyhow::Result<()> {
    let compose = compose()?;
    for (name, service) in entries(&compose["services"]) {
        let same = entries(&compose["services"]).filter(|(_, other)| other["image"] == service["image"]);
        let builders: Vec<_> = same.filter(|(_, other)| other["build"].is_object()).map(|(name, _)| name).collect();
        let own = service["image"].as_str().is_some_and(|image| image.starts_with("delsert"));
        ensure!(builders.len() == usize::from(own), "{name}: {} is built by {builders:?}", service["image"]);
        ensure!(
            !own || builders == [name] || service["pull_policy"] == "never",
            "{name} may pull {}",
            service["image"]
        );
    }
    Ok(())
}
