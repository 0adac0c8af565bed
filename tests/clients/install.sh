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
[ ${#missing[@]} -eq 0 ] || scripts/apt-install.sh "${missing[@]}"
scripts/python-environment.sh target/clients-venv tests/clients/requirements.txt
