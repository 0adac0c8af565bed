#!/bin/bash
# Installs what the build, the tests, the lints and the demo need and what is not there yet: make, a C compiler (some crates
# build C code), PostgreSQL (the tests and the demo start a temporary one of their own) and Python, which are Debian or Ubuntu
# packages, and Rust's formatter and linter. Does nothing, and needs no rights, when all is there.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v cargo >/dev/null; then
    echo "install: cargo is not on PATH; install Rust (rustup) first" >&2
    exit 1
fi
# Rust that did not come with rustup has them as packages of its own; without them only make lint fails, which says so.
if command -v rustup >/dev/null && ! { cargo fmt --version && cargo clippy --version; } >/dev/null 2>&1; then
    echo "install: adding rustfmt and clippy with rustup"
    rustup component add rustfmt clippy
fi

missing=()
command -v make >/dev/null || missing+=(make)
command -v cc >/dev/null && command -v c++ >/dev/null || missing+=(build-essential)
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || missing+=(postgresql)
[ ${#missing[@]} -eq 0 ] || scripts/apt-install.sh "${missing[@]}"
scripts/install-python.sh
