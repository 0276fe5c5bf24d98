# `make train` and `make test` are all that is needed on a fresh machine: they set up .venv first.
# ARGS passes overrides on:  make train ARGS="model=vit balance=oversample"

PYTHON ?= python3
ARGS ?=
OUTPUTS ?= outputs
VENV := .venv
BIN := $(VENV)/bin
UV := .bootstrap/bin/uv
STAMP := $(VENV)/.installed
# Each process takes up to 2 GB, so at most four. The tests of a file run in one process because they share
# trained networks. One process, for a debugger: ARGS="-n 0".
PYTEST = $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup train demo serve test test-slurm check lint types format wheel-check lock clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## create .venv and install what requirements.lock names

# uv installs everything in a minute; without uv, pip takes some minutes. Both compile to bytecode: every later
# start, and each worker process, is then ten seconds faster.
$(STAMP): requirements.lock pyproject.toml heritage/core/version.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "heritage needs Python 3.11 or newer; name one: make setup PYTHON=python3.12" >&2; exit 2; }
	test -x $(UV) || { $(PYTHON) -m venv .bootstrap && .bootstrap/bin/pip install --quiet uv; } || true
	if test -x $(UV); then \
		$(UV) venv --quiet --clear --python $(PYTHON) $(VENV) \
		&& $(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock \
		&& $(UV) pip install --quiet --python $(BIN)/python --no-deps -e .; \
	else \
		$(PYTHON) -m venv --clear $(VENV) \
		&& $(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock \
		&& $(BIN)/python -m pip install --quiet --no-deps -e .; \
	fi
	@touch $@

train: $(STAMP) ## train on the demo set and print the report's path (ARGS="model=vit balance=oversample")
	$(BIN)/python -m heritage.train $(ARGS)

demo: $(STAMP) ## the whole chain on the built-in museum: collect, curate, train, report (some minutes)
	$(BIN)/python -m heritage.collect source=demo paths.outputs=$(OUTPUTS)
	$(BIN)/python -m heritage.curate raw.root=$(OUTPUTS)/collections/demo name=demo_museum paths.outputs=$(OUTPUTS)
	$(BIN)/python -m heritage.train data=folder data.root=$(OUTPUTS)/data/demo_museum paths.outputs=$(OUTPUTS) $(ARGS)

serve: $(STAMP) ## open the newest run as a web page at http://127.0.0.1:8000 (ARGS="port=8001")
	@run=$$(ls -td outputs/train/*/*/checkpoints/best.ckpt 2>/dev/null | head -n 1); \
	test -n "$$run" || { echo "no trained network below outputs/train; make train" >&2; exit 2; }; \
	$(BIN)/python -m heritage.serve ckpt=$$(dirname $$(dirname "$$run")) $(ARGS)

test: $(STAMP) ## run the fast tests
	$(PYTEST) -m "not slow" $(ARGS)

test-slurm: $(STAMP) ## start a real Slurm of one node (root, Debian) and run the cluster's tests on it
	PYTHON=$(BIN)/python tests/cluster/slurm/run $(ARGS)

check: lint types $(STAMP) ## run what CI runs: lint, types, all tests
	$(PYTEST) $(ARGS)

lint: $(STAMP) ## look for faults of style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## check types
	$(BIN)/mypy

format: $(STAMP) ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel-check: $(STAMP) ## build the wheel, install it in a clean environment, run it from a temporary folder
	$(BIN)/python -m pytest tests/test_wheel.py

lock: ## resolve requirements.lock again
	test -x $(UV) || { $(PYTHON) -m venv .bootstrap && .bootstrap/bin/pip install --quiet uv; }
	$(UV) pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade --quiet \
		--generate-hashes --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" --output-file requirements.lock

clean: ## remove environments and caches (not outputs/)
	rm -rf $(VENV) .bootstrap .mypy_cache .ruff_cache .pytest_cache dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
