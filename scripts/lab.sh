#!/usr/bin/env bash
# What `make lab` does: installs what is missing, builds, and runs the lab with the given arguments.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

scripts/parts.sh compiler postgres >&2
cargo build --package mainstay --locked
exec "${CARGO_TARGET_DIR:-target}/debug/mainstay" lab "$@"
