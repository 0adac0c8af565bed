#!/bin/bash
# Installs what the tests with independent SQL Server clients need, where it is missing: FreeTDS' tsql and the
# libraries of Microsoft's driver (Debian or Ubuntu packages), and a Python environment in target/clients-venv.
# Does nothing, and needs no rights, when all is there.
set -euo pipefail
cd "$(dirname "$0")/../.."

has_library() { PATH="$PATH:/sbin:/usr/sbin" ldconfig -p | grep -q "$1 "; }

missing=()
command -v tsql >/dev/null || missing+=(freetds-bin)
has_library libltdl.so.7 || missing+=(libltdl7)
has_library libkrb5.so.3 || missing+=(libkrb5-3)
has_library libgssapi_krb5.so.2 || missing+=(libgssapi-krb5-2)
command -v python3 >/dev/null || missing+=(python3)
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)

if [ ${#missing[@]} -gt 0 ]; then
    if ! command -v apt-get >/dev/null; then
        echo "clients: missing here: ${missing[*]}; there is no apt-get, so install them by hand" >&2
        exit 1
    fi
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "clients: missing here: ${missing[*]}; run as root: apt-get install ${missing[*]}" >&2
            exit 1
        fi
        as_root=(sudo)
    fi
    echo "clients: installing with apt-get: ${missing[*]}"
    "${as_root[@]}" apt-get update -qq </dev/null
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -qq -y --no-install-recommends "${missing[@]}" </dev/null
fi

environment=target/clients-venv
wanted=tests/clients/requirements.txt
if ! cmp -s "$wanted" "$environment/installed.txt" || ! "$environment/bin/python" -c '' 2>/dev/null; then
    echo "clients: installing Python packages into $environment"
    rm -rf "$environment"
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check --no-input -r "$wanted"
    cp "$wanted" "$environment/installed.txt"
fi
