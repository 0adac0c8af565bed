#!/bin/bash
# Prepares Airflow: its database, the pools and connections that dags/delsert_bash.py names, and the bucket. Again does no
# harm. Runs in Airflow's image, which has the AWS library.
set -euo pipefail
init=${INIT:-/init}
airflow db migrate

# Pools bound how many tasks read the source, and write to the warehouse, at once.
airflow pools import "$init/pools.json"

# By a file that nobody else may read, since arguments are seen by everybody.
umask 077
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python "$init/connections.py" >"$folder/connections.json"
airflow connections import --overwrite "$folder/connections.json"

python "$init/bucket.py"
