#!/bin/bash
# Runs independent SQL Server clients (FreeTDS' tsql, pymssql, Microsoft's mssql-python, python-tds) against the
# stand-in. The last line says how many tests passed and failed; the exit code is not 0 when one failed.
# Arguments go to pytest, such as: tests/clients/run.sh -k types
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH="$PATH:${HOME:-/root}/.cargo/bin"

tests/clients/install.sh
cargo build --quiet -p standin
export PYTHONDONTWRITEBYTECODE=1
exec target/clients-venv/bin/python -m pytest -q -p no:cacheprovider tests/clients "$@"
