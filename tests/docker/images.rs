//! Images: pinned, of one C library, and the worker's neither root nor more than the binary.

use anyhow::{Context, ensure};

use super::compose::compose;
use super::{entries, read};

/// What a Dockerfile's `ARG NAME=` sets.
fn argument(dockerfile: &str, name: &str) -> anyhow::Result<String> {
    let line = dockerfile.lines().find_map(|line| line.strip_prefix(&format!("ARG {name}=")));
    Ok(line.with_context(|| format!("no ARG {name}"))?.to_owned())
}

/// Whether an image has a tag that names a version.
fn is_pinned(image: &str) -> bool {
    image.rsplit_once(':').is_some_and(|(_, tag)| tag.contains('.') && tag.chars().any(|c| c.is_ascii_digit()))
}

#[test]
fn every_image_is_pinned() -> anyhow::Result<()> {
    let (dockerfile, compose) = (read("Dockerfile")?, compose()?);
    let mut images = vec![];
    for name in ["RUST", "BASE", "AIRFLOW"] {
        images.push(argument(&dockerfile, name)?);
    }
    images
        .extend(entries(&compose["services"]).filter_map(|(_, service)| service["image"].as_str().map(str::to_owned)));
    ensure!(images.len() > 10);
    for image in images {
        ensure!(is_pinned(&image), "{image} is not pinned");
    }
    for line in dockerfile.lines().filter(|line| line.starts_with("FROM ")) {
        ensure!(line.starts_with("FROM ${"), "not pinned by an ARG: {line}");
    }
    Ok(())
}

#[test]
fn the_compiler_is_the_workspaces_and_the_bases_are_debian_12() -> anyhow::Result<()> {
    let dockerfile = read("Dockerfile")?;
    let manifest = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))?;
    let version =
        manifest.lines().find_map(|line| line.strip_prefix("rust-version = \"")).context("no rust-version")?;
    let version = version.trim_end_matches('"');
    ensure!(argument(&dockerfile, "RUST")?.starts_with(&format!("rust:{version}.")), "not of Rust {version}");
    ensure!(
        argument(&dockerfile, "RUST")?.ends_with("-bookworm")
            && argument(&dockerfile, "BASE")?.starts_with("debian:12.")
    );
    Ok(())
}

#[test]
fn the_worker_is_not_root_and_holds_the_binary_alone() -> anyhow::Result<()> {
    let dockerfile = read("Dockerfile")?;
    let (_, worker) = dockerfile.split_once(" AS worker\n").context("no stage worker")?;
    let worker = worker.split("\nFROM ").next().unwrap_or_default();
    let lines: Vec<_> = worker.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let copied: Vec<_> = lines.iter().filter(|line| line.starts_with("COPY ")).collect();
    ensure!(copied.len() == 2 && copied.iter().all(|line| line.starts_with("COPY --from=build /")), "{copied:?}");
    ensure!(!lines.iter().any(|line| line.starts_with("RUN ") || line.starts_with("ADD ")), "{lines:?}");
    ensure!(lines.contains(&"USER 10001:10001") && lines.contains(&"ENTRYPOINT [\"/usr/local/bin/delsert\"]"));
    // Airflow's own user stays.
    let (_, airflow) = dockerfile.split_once(" AS airflow\n").context("no stage airflow")?;
    ensure!(!airflow.contains("USER "), "{airflow}");
    Ok(())
}

/// What cargo needs is sent to the build, and neither what was built nor what is secret.
#[test]
fn the_build_is_sent_what_the_workspace_names() -> anyhow::Result<()> {
    let ignore = read("Dockerfile.dockerignore")?;
    let sent: Vec<_> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();
    ensure!(ignore.lines().any(|line| line == "*"), "everything is sent");
    for needed in ["Cargo.toml", "Cargo.lock", "src", "tests", "examples"] {
        ensure!(sent.contains(&needed), "{needed} is not sent");
    }
    ensure!(
        !sent.iter().any(|name| name.contains("docker") || name.contains("target") || name.contains(".env")),
        "{sent:?}"
    );
    Ok(())
}
