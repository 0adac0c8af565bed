#!/bin/bash
# Installs Python with venv where it is missing. Does nothing, and needs no rights, when it is there.
set -euo pipefail
cd "$(dirname "$0")/.."
python3 -c 'import ensurepip, venv' 2>/dev/null || scripts/apt-install.sh python3 python3-venv
