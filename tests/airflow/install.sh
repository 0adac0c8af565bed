#!/bin/bash
# Installs what the tests of dags/ need, where it is missing: python3-venv (a Debian or Ubuntu package), and a Python
# environment in target/airflow for each version of Airflow, from its constraints file. Does nothing when all is there.
set -euo pipefail
cd "$(dirname "$0")/../.."

if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    if ! command -v apt-get >/dev/null; then
        echo "airflow: missing here: python3-venv; there is no apt-get, so install it by hand" >&2
        exit 1
    fi
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "airflow: missing here: python3-venv; run as root: apt-get install python3 python3-venv" >&2
            exit 1
        fi
        as_root=(sudo)
    fi
    echo "airflow: installing with apt-get: python3 python3-venv"
    "${as_root[@]}" apt-get update -qq </dev/null
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -qq -y --no-install-recommends python3 python3-venv </dev/null
fi
if ! python3 -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))'; then
    echo "airflow: Airflow 2.11 and 3.3 together run on Python 3.10 to 3.12, and this is $(python3 --version)" >&2
    exit 1
fi

for version in 3 2.11; do
    environment=target/airflow/$version
    wanted=tests/airflow/constraints-$version.txt
    if ! cmp -s "$wanted" "$environment/installed.txt" || ! "$environment/bin/python" -c '' 2>/dev/null; then
        echo "airflow: installing Airflow $version into $environment, which takes a minute or two"
        rm -rf "$environment"
        python3 -m venv "$environment"
        "$environment/bin/pip" install --quiet --disable-pip-version-check --no-input -r "$wanted"
        cp "$wanted" "$environment/installed.txt"
    fi
done
