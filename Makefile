# What a newcomer needs: `make demo` and `make test`. Each sets up what it needs first; a second run finds it there.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
NATIVE := $(wildcard predictor/tidecast_predictor/native/*.cpp predictor/tidecast_predictor/native/*.h)
SOURCES := contract operator predictor simulator tests benchmarks

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

.PHONY: setup
setup: $(VENV)/installed ## Install all that tests and demo need: system packages, a control plane, Python packages
	@scripts/provide-components.sh

.PHONY: test
test: setup ## Run all tests, those on the real components included; ARGS="-k pattern" runs some
	@$(BIN)/python -m pytest --numprocesses=2 --no-loadscope-reorder $(ARGS)

.PHONY: demo
demo: setup ## Forecast a simulated shop on a real API server and Prometheus, and draw the result
	@$(BIN)/python -m tidecast_simulator.demo $(ARGS)

.PHONY: bench
bench: setup ## Measure cycles of 10,000 services; ARGS="--services 1000" for fewer
	@$(BIN)/python benchmarks/ten_thousand_services/run.py $(ARGS)

.PHONY: check
check: $(VENV)/installed ## Check style, types and who imports whom
	$(BIN)/ruff check $(wildcard $(SOURCES))
	$(BIN)/ruff format --check $(wildcard $(SOURCES))
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

.PHONY: format
format: $(VENV)/installed ## Format the code and repair what can be repaired by itself
	$(BIN)/ruff check --fix-only $(wildcard $(SOURCES))
	$(BIN)/ruff format $(wildcard $(SOURCES))

.PHONY: lock
lock: ## Write constraints.txt anew, from the newest releases that pyproject.toml allows
	@scripts/lock.sh

.PHONY: clean
clean: ## Remove what was made here; the cache in ~/.cache/tidecast stays
	rm -rf $(VENV) build dist out .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(VENV)/installed: pyproject.toml constraints.txt scripts/make-venv.sh scripts/build-native.sh $(NATIVE)
	@scripts/make-venv.sh $(VENV)
	@touch $@
