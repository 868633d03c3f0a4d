#!/usr/bin/env bash
# What `make bench-redis` does: the Redis link beside Redis's own replication and a copy by SCAN,
# on two servers of its own, in a release build.
#
#   scripts/bench-redis.sh            everything, a few minutes on a quiet machine
#   scripts/bench-redis.sh --quick    a tenth of the work: does it run, not how fast
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

scripts/parts.sh compiler redis >&2
exec cargo bench --package mainstay-stores --bench redis --locked -- "$@"
