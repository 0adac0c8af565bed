#!/bin/bash
# Installs the Debian or Ubuntu packages that the build, the tests and the demo need and that are not there yet:
# a C compiler (some crates build C code) and PostgreSQL (the tests and the demo start a temporary one of their own).
# Does nothing, and needs no rights, when all is there.
set -euo pipefail

missing=()
command -v cc >/dev/null && command -v c++ >/dev/null || missing+=(build-essential)
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || missing+=(postgresql)

if ! command -v cargo >/dev/null; then
    echo "install: cargo is not on PATH; install Rust (rustup) first" >&2
    exit 1
fi
if [ ${#missing[@]} -eq 0 ]; then
    exit 0
fi

if ! command -v apt-get >/dev/null; then
    echo "install: missing here: ${missing[*]}; there is no apt-get, so install them by hand" >&2
    exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "install: missing here: ${missing[*]}; run as root: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
echo "install: installing with apt-get: ${missing[*]}"
"${as_root[@]}" apt-get update -qq </dev/null
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" </dev/null
