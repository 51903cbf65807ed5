# The commands of the project. `make` alone lists them.

PREFIX ?= /usr/local
target := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help demo test chaos bench check setup platforms install

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

demo: ## build, start a private farm, build a real SRPM on two platforms (KEEP=1: leave it running)
	@KEEP=$(KEEP) exec deploy/demo/run

test: platforms ## install what is missing and run every test
	farm-store/tests/get-s3-server
	cargo build --workspace --bins
	FARM_PROGRAMS=$(abspath $(target))/debug cargo test --workspace --no-fail-fast

chaos: platforms ## let everything happen to a farm that can (MINUTES=10, SEED=N: the same again)
	cargo build --workspace --bins
	FARM_PROGRAMS=$(abspath $(target))/debug $(target)/debug/chaos --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED))

bench: platforms ## measure queue, submission, upload, login and builds, and a simulated day
	cargo bench --workspace --bench queue --bench fleet --bench dispatch --bench upload --bench receive --bench login --bench builder --bench day

check: ## format and lints, warnings denied
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

setup: ## install the system packages that are missing
	@deploy/setup build run test

platforms: setup ## make the mini distributions that tests and demo build on (not where dnf has real ones)
	@if command -v apt-get >/dev/null; then deploy/mini-distro/make; fi

install: ## build for release and install the programs below PREFIX
	@deploy/setup build
	cargo build --release --workspace --bins
	@find $(target)/release -maxdepth 1 -type f -executable -name 'farm*' \
		-exec install -v -D -t $(DESTDIR)$(PREFIX)/bin {} +
