#!/usr/bin/env bash
# What `make bench` does: installs what is missing, and measures in a release build.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

scripts/parts.sh compiler nextest wrk >&2
exec cargo nextest run --release --profile bench --package mainstay-traffic --locked
