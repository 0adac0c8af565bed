# The daily commands. Each one stands alone: it installs what is missing (apt), builds, and runs.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
export PATH := $(PATH):$(HOME)/.cargo/bin

.DEFAULT_GOAL := help
.PHONY: help install build release demo test test-airflow model lint fmt memory idle soak fuzz

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install:
	@scripts/install.sh

build: install
	cargo build --workspace --bins

release: install ## Build target/dist/delsert for glibc 2.28 and newer, and try it on an older one
	scripts/release.sh

demo: build ## Watch delsert do its whole job on a small shop; KEEP=1 leaves all running to play with
	KEEP=$(KEEP) cargo run --quiet --example demo

test: install ## Run all tests: Rust, and independent SQL Server clients against the stand-in
	cargo build --profile unoptimized --no-default-features --bin delsert
	cargo build --workspace --bins --features crash-points
	cargo test --workspace --features crash-points
	tests/clients/run.sh

test-airflow: install ## Run the DAGs with the real binary on Airflow 2.11 and 3, against the stand-ins
	cargo build --workspace --bins --features crash-points
	tests/airflow/run.sh

model: install ## Explore the protocol's model deeper than the tests do
	MODEL_DEEPER=1 cargo test -p model -- --nocapture the_protocol

lint: install ## Check format, lints and documentation, the DAGs, and docker/
	cargo fmt --all --check
	rustfmt --check --edition 2024 fuzz/src/lib.rs fuzz/fuzz_targets/*.rs
	cargo clippy --workspace --bins -- -D warnings
	cargo clippy --no-default-features --bin delsert -- -D warnings
	cargo clippy --workspace --all-targets --all-features -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps
	@if command -v cargo-deny >/dev/null; then cargo deny check; else echo 'lint: cargo-deny is not installed: licences and advisories not checked'; fi
	scripts/lint-python.sh
	scripts/lint-docker.sh

fmt: ## Format the code
	cargo fmt --all
	rustfmt --edition 2024 fuzz/src/lib.rs fuzz/fuzz_targets/*.rs

memory: install ## Measure the peak memory of check, extract and load of 1,000,000 rows (release build)
	cargo build --workspace --bins --release
	cargo run --release --quiet --example memory

idle: build ## Count the statements of an extract of 1,000 idle tables, and how long it takes
	cargo test --features crash-points --test main -- --ignored --exact idle::thousand::a_thousand_idle_tables_cost_twenty_statements

soak: install ## Kill real processes KILLS times (1000) under writes; or run HISTORIES=n, one HISTORY=seed, or VALUES=n; SEED=s replays, TARGET=redshift changes the warehouse
	@if [ -n "$(VALUES)" ]; then \
		cargo build --workspace --bins && VALUES=$(VALUES) SEED=$(SEED) TARGET=$(TARGET) cargo run --quiet --example soak; \
	elif [ -n "$(HISTORIES)" ]; then \
		HISTORIES=$(HISTORIES) SEED=$(SEED) DEFINITIONS=$(DEFINITIONS) TARGET=$(TARGET) cargo run --release --quiet --example soak; \
	elif [ -n "$(HISTORY)" ]; then \
		HISTORY=$(HISTORY) DEFINITIONS=$(DEFINITIONS) TARGET=$(TARGET) cargo run --quiet --example soak; \
	else \
		cargo build --workspace --bins && KILLS=$(KILLS) SEED=$(SEED) TARGET=$(TARGET) cargo run --quiet --example soak; \
	fi

fuzz: install ## Fuzz configuration, manifests, names and listings: RUNS=n inputs each (200000), TARGET=name for one
	@RUNS=$(RUNS) TARGET=$(TARGET) KEEP=$(KEEP) scripts/fuzz.sh
