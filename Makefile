# What people and CI call; `make` lists it.

goalpost := $(or $(CARGO_TARGET_DIR),target)/debug/goalpost

.DEFAULT_GOAL := help
.PHONY: help demo test check dev

help: ## List this
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Install what is missing, build, and run the main job on real purchases
	scripts/install-packages
	cargo build --workspace --bin goalpost
	$(goalpost) demo

test: ## Install what is missing, build, and run every test (CRATE=x: those of one crate)
	scripts/install-packages
	scripts/test build $(CRATE)
	scripts/test run $(CRATE)

check: ## All that CI checks: format, lints, documentation, tests
	scripts/check

dev: ## Install what is missing, build, and run everything here until Ctrl-C
	scripts/install-packages
	cargo build --workspace --bin goalpost
	$(goalpost) dev
