#!/bin/bash
# Installs Python with venv (Debian or Ubuntu packages) where it is missing. Does nothing, and needs no rights, when it is there.
set -euo pipefail

if python3 -c 'import ensurepip, venv' 2>/dev/null; then
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "install: missing here: python3-venv; there is no apt-get, so install it by hand" >&2
    exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "install: missing here: python3-venv; run as root: apt-get install python3 python3-venv" >&2
        exit 1
    fi
    as_root=(sudo)
fi
echo "install: installing with apt-get: python3 python3-venv"
"${as_root[@]}" apt-get update -qq </dev/null
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends python3 python3-venv </dev/null
