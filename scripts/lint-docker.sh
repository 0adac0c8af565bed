#!/bin/bash
# Checks docker/ without a container engine: the Dockerfile by hadolint, the compose file by compose itself and against its
# schema, the Kubernetes example against the schemas of Kubernetes. Pinned Python packages go into target/lint-venv, and stay
# there; compose is Docker's own where it is installed, else the distribution's.
set -euo pipefail
cd "$(dirname "$0")/.."

environment=target/lint-venv
scripts/python-environment.sh "$environment" scripts/lint-requirements.txt

# Ubuntu's package is the plugin alone, without a docker that would find it.
plugin=/usr/libexec/docker/cli-plugins/docker-compose
compose() {
    if docker compose version >/dev/null 2>&1; then docker compose "$@"
    elif [ -x "$plugin" ]; then "$plugin" "$@"
    else docker-compose "$@"; fi
}
# Debian has Compose 1.29, which reads this file, too.
compose version >/dev/null 2>&1 || scripts/apt-install.sh 'docker-compose-v2|docker-compose'

"$environment/bin/hadolint" docker/Dockerfile
"$environment/bin/check-jsonschema" --quiet --builtin-schema vendor.compose-spec docker/compose.yaml
compose --env-file docker/.env.example --file docker/compose.yaml config --quiet
"$environment/bin/kubernetes-validate" --quiet --strict docker/kubernetes.yaml docker/kubernetes-task.yaml
for script in docker/init/*.sh scripts/*.sh; do bash -n "$script"; done
