# Every target works on a fresh clone: `bootstrap` makes .venv first, in no time where it is there.
# `make demo` is the place to begin.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTEST_ARGS ?=
RECIPE ?= custom-html
BIN := .venv/bin

.PHONY: help bootstrap demo test chaos mutate lint format bench lock clean

help: ## show the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

bootstrap: ## make .venv as requirements/dev.lock says
	@scripts/bootstrap

demo: bootstrap ## bring up a lab and run the cold and the quick lane on it
	@$(BIN)/ccci lab up --recipes $(RECIPE)
	@$(BIN)/ccci play cold --recipe $(RECIPE)
	@$(BIN)/ccci play quick --recipe $(RECIPE)
	@echo
	@echo "Proven, on a real Swarm:"
	@echo "  the newest release of $(RECIPE) installs from nothing, upgrades from the release before it, and serves;"
	@echo "  its default branch upgrades the warm data of that release; afterwards those were as before, by proof."
	@echo "Kept: the lab, and in it the canonical of $(RECIPE) with its known-good snapshot. Next:"
	@echo "  $(BIN)/ccci canonical show $(RECIPE)      what known-good is"
	@echo "  $(BIN)/ccci play quick --recipe $(RECIPE) --ref 1.10.0+1.22.1"
	@echo "  $(BIN)/ccci status                          is anything stuck, full or lost?"
	@echo "  $(BIN)/ccci lab status                      what is in the lab"
	@echo "  $(BIN)/ccci lab down                        remove it without a trace"

test: ## run all tests; those that need one bring up a lab of their own
	@scripts/test $(PYTEST_ARGS)

chaos: ## break runs at every other point that a test knows: what takes too long for each change
	@CCCI_TEST_TIER=chaos scripts/test $(PYTEST_ARGS)

mutate: bootstrap ## break each guard on purpose, see that a fast test notices, write docs/reliability.md
	@$(BIN)/python -m tests.mutation.run

lint: bootstrap ## ruff, mypy, shellcheck
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/shellcheck scripts/* .ci/run
	@$(BIN)/shellcheck --shell=sh ccci/lab/scripts/*.sh ccci/lab/rootfs/usr/local/sbin/lab-init
	@echo "lint: clean"

format: bootstrap ## let ruff write the files as it wants them
	@$(BIN)/ruff check --quiet --fix-only
	@$(BIN)/ruff format --quiet

bench: bootstrap ## measure on a lab of its own; write docs/benchmarks.md
	@$(BIN)/python -m bench.run

lock: bootstrap ## renew requirements/*.lock from pyproject.toml
	@scripts/lock

clean: ## remove .venv and what tools left in the tree; labs and caches stay
	@rm -rf .venv dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
