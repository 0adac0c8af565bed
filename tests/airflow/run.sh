#!/bin/bash
# Runs the DAGs of dags/ with the built binary on real Airflows, 2.11 and 3, against the stand-ins, both at a time. The exit
# code is not 0 when a test failed. Arguments go to pytest, such as: tests/airflow/run.sh -k clear
set -euo pipefail
cd "$(dirname "$0")/../.."

tests/airflow/install.sh
export PYTHONDONTWRITEBYTECODE=1
tests=(-m pytest -q -p no:cacheprovider tests/airflow "$@")
failed=0
# 5 is that no test ran, as when -k chose none of this version.
chosen=$#
judge() { [ "$1" -eq 0 ] || { [ "$1" -eq 5 ] && [ "$chosen" -gt 0 ]; } || failed=1; }

target/airflow/2.11/bin/python "${tests[@]}" </dev/null >target/airflow/2.11.log 2>&1 &
second=$!
# However this ends, the other version is told to end what it started.
trap 'kill "$second" 2>/dev/null && wait "$second" || true' EXIT
echo 'airflow: tests on Airflow 3'
status=0 && target/airflow/3/bin/python "${tests[@]}" </dev/null || status=$?
judge "$status"
echo 'airflow: tests on Airflow 2.11'
status=0 && wait "$second" || status=$?
judge "$status"
trap - EXIT
cat target/airflow/2.11.log
exit "$failed"
