#!/usr/bin/env bash
# What `make soak` does: installs what is missing, builds, and runs the lab again and again.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

scripts/parts.sh compiler postgres >&2
cargo build --package mainstay --locked
exec cargo xtask soak "$@"
