#!/usr/bin/env bash
# What `make bench-dns` does: Mainstay's own DNS server beside Knot, asked by dnsperf, in a release
# build.
#
#   scripts/bench-dns.sh            five rounds of 5 s each, in turn: a minute
#   scripts/bench-dns.sh --quick    rounds of 1 s: does it run, not how fast
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

scripts/parts.sh compiler dns dnsperf >&2
exec cargo bench --package mainstay-traffic --bench dns --locked -- "$@"
