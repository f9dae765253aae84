# What people and CI call; `make` lists it.

goalpost := $(or $(CARGO_TARGET_DIR),target)/debug/goalpost
release := $(or $(CARGO_TARGET_DIR),target)/release

.DEFAULT_GOAL := help
# No target is a file.
MAKEFLAGS += --always-make

help: ## List this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Install what is missing, build, and run the main job on real purchases
	scripts/install-packages
	cargo build --workspace --bin goalpost
	$(goalpost) demo

test: ## Install what is missing, build, and run every test (CRATE=x: those of one crate)
	scripts/install-packages
	scripts/test build $(CRATE)
	scripts/test run $(CRATE)

chaos: ## Every fault many times over (RUNS=n, MINUTES=n, FAULT=name, SEED=n, PREVIOUS=commit), and a table of what came of it
	scripts/install-packages
	cargo build --workspace --bin goalpost
	previous=$$(scripts/previous $(PREVIOUS)) && GOALPOST_PREVIOUS=$$previous GOALPOST_CHAOS=sweep RUNS=$(or $(RUNS),5) \
	    cargo test -q --workspace --test faults -- --nocapture nothing_is_lost
	test -n "$(FAULT)" || GOALPOST_CHAOS=sweep HISTORIES=100000 cargo test -q --workspace --test model -- --nocapture --test-threads 1
	test -n "$(FAULT)" || GOALPOST_CHAOS=sweep $(goalpost) dev --servers-only -- cargo test -q --workspace --test shutdown -- --nocapture

fuzz: ## Let schemathesis look for answers that no document has (SECONDS=n, SEED=n)
	scripts/install-packages
	cargo build --workspace --bin goalpost
	scripts/fuzz-http --seconds $(or $(SECONDS),600) $(if $(SEED),--seed $(SEED))

check: ## All that CI checks: format, lints, documentation, tests
	scripts/check

coverage: ## Run every test and tell which lines they run (at least 85 %)
	scripts/install-packages
	scripts/coverage

dev: ## Install what is missing, build, and run everything here until Ctrl-C
	scripts/install-packages
	cargo build --workspace --bin goalpost
	$(goalpost) dev

bench: ## Build for speed, and measure every row of the speed table against floors of the same run (about 10 minutes)
	scripts/install-packages
	cargo build --release --workspace --bin goalpost --bin goalpost-bench
	$(release)/goalpost-bench

bench-pure: ## Criterion benches of the pure parts
	cargo bench --package goalpost-domain
