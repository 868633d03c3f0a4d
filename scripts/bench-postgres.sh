#!/usr/bin/env bash
# What `make bench-postgres` does: the PostgreSQL link beside PostgreSQL's own logical replication,
# on two servers of its own, in a release build; the figures also go to target/bench/postgres.json.
#
#   scripts/bench-postgres.sh                  everything, about 20 minutes on a quiet machine
#   scripts/bench-postgres.sh --quick          a tenth of the work: does it run, not how fast
#   scripts/bench-postgres.sh --only inserts   one work: tpcb, inserts, updates, deletes, large,
#                                              steady or copy; may be given several times
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

scripts/parts.sh compiler postgres >&2
# Only one of the figures needs it; without it the benchmark says so.
scripts/parts.sh pgcopydb >&2 || echo "bench: going on without pgcopydb" >&2
exec cargo bench --package mainstay-stores --bench postgres --locked -- \
    --json "$PWD/target/bench/postgres.json" "$@"
