#!/bin/bash
# Checks dags/ and its tests by ruff, with Airflow's own rules. Pinned, in target/ruff, where it stays.
set -euo pipefail
cd "$(dirname "$0")/.."

pin=ruff==0.17.5
environment=target/ruff
if [ "$(cat "$environment/installed.txt" 2>/dev/null)" != "$pin" ] || ! "$environment/bin/ruff" --version >/dev/null 2>&1; then
    scripts/install-python.sh
    echo "lint: installing $pin into $environment"
    rm -rf "$environment"
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check --no-input "$pin"
    echo "$pin" >"$environment/installed.txt"
fi
"$environment/bin/ruff" check --quiet --no-cache dags tests/airflow
"$environment/bin/ruff" format --quiet --no-cache --check dags tests/airflow
