#!/bin/bash
# Fuzzes the configuration's parser, the manifest's reader, names and listings: RUNS inputs each (200000), or of TARGET
# alone. What must hold of every input stands in tests/corpus/promises.
#
# libFuzzer needs a nightly compiler (rustup) and cargo-fuzz (cargo install): both are installed where they are missing.
#
# A broken promise ends it; the input is in fuzz/artifacts. Once mended, it goes to fuzz/found under a name that says what
# it shows, and `make test` holds it. KEEP=1 puts the inputs that reach more than fuzz/corpus does there.
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${RUNS:-200000}

if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "fuzz: installing a nightly compiler with rustup"
    rustup toolchain install nightly --profile minimal
fi
if ! command -v cargo-fuzz >/dev/null; then
    echo "fuzz: installing cargo-fuzz"
    cargo install --locked cargo-fuzz
fi

# The versions that are shipped are the ones that are fuzzed.
cp Cargo.lock fuzz/Cargo.lock
for target in ${TARGET:-config manifest names listing}; do
    echo "fuzz: $target, $runs inputs"
    corpus=fuzz/corpus/$target reached=fuzz/reached/$target
    mkdir -p "$reached"
    # Without a sanitizer: there is no unsafe code here that it could find fault with.
    fuzz() { cargo +nightly fuzz run --sanitizer none "$target" "$@"; }
    fuzz "$reached" "$corpus" "fuzz/found/$target" -- \
        -dict="fuzz/dictionaries/$target" -runs="$runs" -timeout=20 -print_final_stats=1
    if [ "${KEEP:-}" = 1 ]; then
        fuzz "$corpus" "$reached" -- -set_cover_merge=1 -use_counters=0 -max_len=3000
    fi
done
