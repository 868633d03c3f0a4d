#!/usr/bin/env bash
# What `make lab` does: installs what is missing, builds, and runs the lab with the given arguments.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

parts=(compiler postgres)
case " $* " in *"--coordinator etcd "* | *"--coordinator=etcd "*) parts+=(etcd) ;; esac
scripts/parts.sh "${parts[@]}" >&2
cargo build --package mainstay --locked
exec "${CARGO_TARGET_DIR:-target}/debug/mainstay" lab "$@"
