# On a fresh Debian or Ubuntu with Rust, `make lab` and `make test` install what they need, or say
# what to type when they may not.

.DEFAULT_GOAL := help
.PHONY: help lab test soak bench bench-postgres bench-redis bench-traffic bench-dns build lint fmt parts clean

# Arguments: make lab ARGS="--seed 7 --output json", make soak ARGS="5 100" (runs, first seed),
# make soak ARGS="lab 3" (3 seeds, each with several disasters, crashes and losses in the return)
# make soak ARGS=compare (an hour of pgbench, with comparisons that must all say equal)
# make soak ARGS="lost 1" (1 seed, 50,000 transactions that never arrive: 10 minutes)
# make soak ARGS="control isolated 20" (one fault, 20 seeds; without a name every scene and Patroni)
# make soak ARGS=link (the PostgreSQL link's long tests; ARGS="link kills" some of them)
# make soak ARGS=dns (a thousand switches while clients ask the DNS server)
# make soak ARGS=agents (whole labs that take a minute each: clocks, health, approvals, a cut)
# make soak ARGS=engine (what a step of a runbook costs, on a machine with little else to do)
# make soak ARGS=model (the large families of the decision's exploration), make soak ARGS=mutants
# make soak ARGS="sim 0 1000" (whole agents under the simulation: first seed, count)
# make soak SEED=7 (one of those runs, printed: the same bytes each time)
# make bench-postgres ARGS="--only inserts"
# make bench-traffic ARGS="--only tcp"
ARGS ?=

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

lab: ## Kill a site and bring the application back: two sites and a witness on this machine
	@scripts/lab.sh $(ARGS)

test: ## Check everything, edit nothing: formatting, lints, tests on real servers
	@scripts/test.sh

soak: ## The lab 20 times, each with another seed, until one run misses an objective: 20 minutes
	@$(if $(SEED),MAINSTAY_SEED=$(SEED) scripts/soak.sh sim,scripts/soak.sh $(ARGS))

bench: ## Measure what the gate costs, in a release build
	@scripts/bench.sh

bench-postgres: ## Measure the PostgreSQL link beside PostgreSQL's own replication: 20 minutes
	@scripts/bench-postgres.sh $(ARGS)

bench-dns: ## Measure the DNS server beside Knot
	@scripts/bench-dns.sh $(ARGS)
bench-traffic: ## Measure the gate beside HAProxy and nginx: 10 minutes
	@scripts/bench-traffic.sh $(ARGS)
bench-redis: ## Measure the Redis link beside Redis's own replication: 5 minutes
	@scripts/bench-redis.sh $(ARGS)

build: ## Build the binary: target/debug/mainstay
	@scripts/parts.sh compiler
	cargo build --package mainstay --locked

lint: ## Clippy with warnings denied, and what no compiler checks
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo xtask verify

fmt: ## Format the code
	cargo fmt --all

parts: ## Fetch the real servers and tools that lab and tests run
	@scripts/parts.sh all

clean: ## Remove what was built; the fetched parts stay
	cargo clean
