#!/bin/bash
# Installs Debian or Ubuntu packages, as root or by sudo: scripts/apt-install.sh PACKAGE… Of 'one|other' it is the first that
# there is.
set -euo pipefail

if ! command -v apt-get >/dev/null; then
    echo "install: missing here: $*; there is no apt-get, so install it by hand" >&2
    exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "install: missing here: $*; there is no sudo, so run as root: $0 ${*@Q}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
# What there is, apt knows only after this.
"${as_root[@]}" apt-get update -qq </dev/null
packages=()
for wanted in "$@"; do
    found=''
    for package in ${wanted//|/ }; do
        if apt-cache show "$package" >/dev/null 2>&1; then found=$package && break; fi
    done
    if [ -z "$found" ]; then
        echo "install: missing here: $wanted; apt-get has no such package, so install it by hand" >&2
        exit 1
    fi
    packages+=("$found")
done
echo "install: installing with apt-get: ${packages[*]}"
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${packages[@]}" </dev/null
