#!/bin/bash
# Runs the DAGs of dags/ with the built binary on real Airflows, 2.11 and 3, against the stand-ins, both at a time. The exit
# code is not 0 when a test failed. Arguments go to pytest, such as: tests/airflow/run.sh -k clear
set -euo pipefail
cd "$(dirname "$0")/../.."
# A home that is not the user's, and no database but those that the tests make.
export AIRFLOW_HOME=$PWD/target/airflow/home AIRFLOW__CORE__LOAD_EXAMPLES=False
export AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=sqlite:////nonexistent/no-database
export PYTHONDONTWRITEBYTECODE=1

tests/airflow/install.sh

of_version() {
    local status=0
    # Nothing that fits -k is no failure of this version.
    target/airflow/"$1"/bin/python -m pytest -q -p no:cacheprovider tests/airflow "${@:2}" </dev/null || status=$?
    [ "$status" -eq 5 ] || return "$status"
}

of_version 2.11 "$@" >target/airflow/2.11.log 2>&1 &
second=$!
# Whatever happens, nothing is left running: each version ends what it started.
trap 'kill -s INT "$second" 2>/dev/null || true' EXIT
failed=0
echo 'airflow: tests on Airflow 3'
of_version 3 "$@" || failed=1
echo 'airflow: tests on Airflow 2.11'
wait "$second" || failed=1
trap - EXIT
cat target/airflow/2.11.log
exit "$failed"
