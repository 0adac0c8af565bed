#!/bin/bash
# Builds the binary that is shipped, target/dist/delsert: for the C library (glibc) 2.28 and all newer ones, which is Debian
# 10, Ubuntu 20.04, Red Hat Enterprise Linux 8, and Airflow's image. A binary that cargo links by itself asks for the C
# library of the machine that built it.
#
# zig's linker has the symbols of each version of glibc; it and cargo-zigbuild come as Python packages into target/release-venv,
# and stay there. Then the binary is looked at: which versions it asks for; and it is run on an older C library where
# scripts/old-glibc.sh finds one.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:${HOME:-/root}/.cargo/bin"
most=2.28

environment=$PWD/target/release-venv
scripts/python-environment.sh "$environment" scripts/release-requirements.txt

target=$(rustc --version --verbose | sed -n 's/^host: //p')
PATH="$environment/bin:$PATH" cargo zigbuild --release --locked --bin delsert --target "$target.$most"
mkdir -p target/dist
cp "target/$target/release/delsert" target/dist/delsert
scripts/needs-glibc.sh target/dist/delsert "$most"
scripts/old-glibc.sh target/dist/delsert
ls -l target/dist/delsert
