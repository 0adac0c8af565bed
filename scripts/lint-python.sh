#!/bin/bash
# Checks dags/ and its tests by ruff, with Airflow's own rules.
set -euo pipefail
cd "$(dirname "$0")/.."

environment=target/lint-venv
scripts/python-environment.sh "$environment" scripts/lint-requirements.txt
"$environment/bin/ruff" check --quiet --no-cache dags tests/airflow
"$environment/bin/ruff" format --quiet --no-cache --check dags tests/airflow
