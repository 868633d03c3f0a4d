#!/usr/bin/env bash
# What `make soak` does: installs what is missing, builds, and runs the lab again and again.
#
#   scripts/soak.sh [RUNS] [FIRST_SEED]   the lab, each run with another seed
#   scripts/soak.sh lab [RUNS] [FIRST_SEED]   each seed with several disasters, with crashes during
#                                         the return, with the new active site lost as well, and
#                                         with etcd as the coordinator
#   scripts/soak.sh lost [RUNS] [FIRST_SEED]   each seed with 50,000 transactions that never arrive
#   scripts/soak.sh control [SCENE] [RUNS] [FIRST_SEED] [--long] [--output json]   one fault at a
#                                         time on sites with networks of their own, 20 seeds each,
#                                         and Patroni in our place; as root; JOBS=2 plays two at once
#   scripts/soak.sh link [FILTER]         the long forms of the links' tests: 100 kills, random
#                                         transactions, ten million rows, every case within
#                                         PostgreSQL 15 and within 17; each prints its
#                                         seed, and MAINSTAY_SEED=N in front plays that again
#   scripts/soak.sh rdb                   the reader of Redis's snapshots on 300,000 damaged ones
#   scripts/soak.sh compare               an hour of pgbench with comparisons all the time (seconds:
#                                         MAINSTAY_SOAK_SECONDS; transactions a second: …_RATE)
#   scripts/soak.sh agents [FILTER]       whole labs: clocks that run wrong (faketime), health that comes
#                                         and goes, clients that fail while probes pass, requests that
#                                         nobody approves in time or that end with their agent, losses
#                                         after the claim, a site that is cut off and stopped
#   scripts/soak.sh engine                what a step of a runbook costs, on a machine with little to do
#   scripts/soak.sh dns                   a thousand switches while clients ask the DNS server
#   scripts/soak.sh model                 the large families of the decision's exploration
#   scripts/soak.sh sim [FIRST] [COUNT]   whole agents under the simulation, COUNT seeds from FIRST on
#                                         (100,000 from 0); MAINSTAY_SEED=N in front prints one run
#   scripts/soak.sh mutants [WORD]        each guard of the decision taken away in turn, or those
#                                         whose words hold WORD; half an hour
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

if [ "${1:-}" = link ]; then
    shift
    scripts/parts.sh compiler nextest postgres postgres-15 postgres-17 redis redis-6 valkey >&2
    exec cargo nextest run --profile soak --package mainstay-stores --locked "$@"
fi

if [ "${1:-}" = rdb ]; then
    scripts/parts.sh nextest redis redis-6 valkey >&2
    exec cargo nextest run --profile soak --package mainstay-wire --locked
fi

if [ "${1:-}" = compare ]; then
    scripts/parts.sh compiler nextest postgres >&2
    exec cargo nextest run --profile soak --package mainstay --locked -E 'test(/^alarms::/)'
fi

if [ "${1:-}" = agents ]; then
    shift
    scripts/parts.sh compiler nextest postgres faketime >&2
    exec cargo nextest run --profile soak --package mainstay --locked \
        -E 'test(/^(lab|people|watching)::/)' "$@"
fi

if [ "${1:-}" = engine ]; then
    scripts/parts.sh nextest >&2
    exec cargo nextest run --profile soak --package mainstay-agent --locked -E 'test(/^runbook::/)'
fi

if [ "${1:-}" = dns ]; then
    scripts/parts.sh compiler nextest dns >&2
    exec cargo nextest run --profile soak --package mainstay-traffic --locked -E 'test(/^dns_server::/)'
fi

if [ "${1:-}" = model ]; then
    scripts/parts.sh nextest >&2
    exec cargo nextest run --profile soak --package mainstay-core --locked
fi

if [ "${1:-}" = sim ]; then
    scripts/parts.sh compiler nextest >&2
    export MAINSTAY_FIRST="${2:-0}" MAINSTAY_COUNT="${3:-100000}"
    exec cargo nextest run --profile soak --package mainstay-agent --locked -E 'test(/^sim::/)'
fi

if [ "${1:-}" = mutants ]; then
    shift
    scripts/parts.sh nextest >&2
    exec cargo xtask mutants "$@"
fi

scripts/parts.sh compiler postgres etcd >&2
if [ "${1:-}" = control ]; then
    scripts/parts.sh network patroni faketime dns >&2
fi
cargo build --package mainstay --locked
exec cargo xtask soak "$@"
