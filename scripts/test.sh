#!/usr/bin/env bash
# What `make test` does: installs what is missing, then checks everything and edits nothing.
# It stops at the first thing that does not hold; its exit status is that of the last step run.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

step() { printf '\n== %s\n' "$1" >&2; }

step "tools"
scripts/parts.sh rust compiler nextest postgres postgres-15 postgres-17 etcd dns redis redis-6 valkey aiosmtpd moto alertmanager
# Scenes take root; without it their tests say that they were not played.
[ "$(id -u)" != 0 ] || scripts/parts.sh network

step "formatting (cargo fmt mends it)"
cargo fmt --all --check

step "what no compiler checks (crates/xtask)"
cargo xtask verify

step "clippy"
cargo clippy --workspace --all-targets --locked -- -D warnings

step "tests"
cargo nextest run --workspace --locked
