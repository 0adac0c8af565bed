#!/bin/bash
# Fails if a binary asks for a newer C library (glibc) than a version: scripts/needs-glibc.sh BINARY 2.28
set -euo pipefail
needs=$(objdump -T "$1" | grep -o 'GLIBC_[0-9.]*' | sed 's/GLIBC_//' | sort -uV | tail -n 1)
[ -n "$needs" ] || { echo "release: $1 asks for no version of glibc, so it is not what it should be" >&2; exit 1; }
newest=$(printf '%s\n' "$needs" "$2" | sort -V | tail -n 1)
echo "release: $1 needs glibc $needs"
[ "$newest" = "$2" ] || { echo "release: that is newer than $2" >&2; exit 1; }
