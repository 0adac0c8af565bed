#!/bin/bash
# What README says of setting up the DAGs, as the tests do it: in the repository's folder, AIRFLOW_HOME being set.
set -euo pipefail
cp -r dags/. "$AIRFLOW_HOME/dags/"
airflow pools import dags/pools.json
