#!/bin/bash
# Makes a Python environment of pinned packages: scripts/python-environment.sh FOLDER PINS [PYTHON]. It is kept, and made anew
# only when the pins have changed.
set -euo pipefail
cd "$(dirname "$0")/.."
environment=$1 pins=$2 python=${3:-python3}
if cmp -s "$pins" "$environment/installed.txt" && "$environment/bin/python" -c '' 2>/dev/null; then exit 0; fi
scripts/install-python.sh
echo "install: installing the Python packages of $pins into $environment"
rm -rf "$environment"
"$python" -m venv "$environment"
"$environment/bin/pip" install --quiet --disable-pip-version-check --no-input -r "$pins"
cp "$pins" "$environment/installed.txt"
