#!/bin/bash
# Installs what the tests of dags/ need, where it is missing: Python 3.11 or 3.12 with venv (Debian or Ubuntu packages), and a
# Python environment in target/airflow for each version of Airflow, from its constraints file. Does nothing when all is there.
set -euo pipefail
cd "$(dirname "$0")/../.."

scripts/install-python.sh
# The pins are for these: Airflow 2.11 knows no newer one, and some packages no older one.
fits='import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 13))'
find_python() {
    local name
    for name in python3 python3.12 python3.11; do
        if "$name" -c "$fits" 2>/dev/null; then echo "$name" && return; fi
    done
    return 1
}
if ! python=$(find_python); then
    scripts/apt-install.sh 'python3.12-venv|python3.11-venv' || true
    if ! python=$(find_python); then
        echo "airflow: Python 3.11 or 3.12 is needed, with venv, as python3, python3.12 or python3.11; this is $(python3 -V)" >&2
        exit 1
    fi
fi

for version in 3 2.11; do
    scripts/python-environment.sh "target/airflow/$version" "tests/airflow/constraints-$version.txt" "$python"
done
