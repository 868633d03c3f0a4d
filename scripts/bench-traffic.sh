#!/usr/bin/env bash
# What `make bench-traffic` does: the gate beside HAProxy and nginx on the same cores, in a release
# build; the figures also go to target/bench/traffic.json.
#
#   scripts/bench-traffic.sh                  everything, about 10 minutes on a quiet machine
#   scripts/bench-traffic.sh --quick          a part of the work: does it run, not how fast
#   scripts/bench-traffic.sh --only http      one work: http, tcp, postgres, switch or idle; may be
#                                             given several times
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

scripts/parts.sh compiler postgres proxies wrk >&2
# Thousands of connections, each with two descriptors in the gate.
ulimit -n "$(ulimit -Hn)"
exec cargo bench --package mainstay-traffic --bench traffic --locked -- \
    --json "$PWD/target/bench/traffic.json" "$@"
