#!/bin/bash
# Runs a binary on the C library of Debian 11 (glibc 2.31), which is fetched with apt from the mirrors of this machine into
# target/old-glibc and not installed: scripts/old-glibc.sh BINARY [ARGUMENT…]. Without arguments it asks for its version.
# Where there is no apt, or Debian 11 is on its mirror no more, it says that nothing was tried.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD/target/old-glibc
if [ ! -x "$root/files/lib/x86_64-linux-gnu/ld-2.31.so" ]; then
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 2>/dev/null | grep '/debian/$' | head -n 1 || true)
    if [ -z "$mirror" ]; then
        echo "release: no mirror of Debian here: not tried on an older C library"
        exit 0
    fi
    mkdir -p "$root"/{lists/partial,cache/archives/partial,files}
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bullseye main" >"$root/sources.list"
    apt=(apt-get -qq -o Dir::Etc::SourceList="$root/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o Dir::State::Lists="$root/lists" -o Dir::Cache="$root/cache" -o APT::Sandbox::User=root)
    # Of an older Debian the lists are no longer renewed.
    if ! "${apt[@]}" -o Acquire::Check-Valid-Until=false update || ! (cd "$root" && "${apt[@]}" download libc6=2.31-\* libgcc-s1=10.\*); then
        echo "release: Debian 11 is not on this machine's mirror: not tried on an older C library"
        exit 0
    fi
    for package in "$root"/*.deb; do dpkg-deb --extract "$package" "$root/files"; done
fi
libraries=$root/files/lib/x86_64-linux-gnu
binary=$1
shift
[ $# -gt 0 ] || set -- --version
exec "$libraries/ld-2.31.so" --library-path "$libraries:$root/files/usr/lib/x86_64-linux-gnu" "$binary" "$@"
