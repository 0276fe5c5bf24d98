# `make train` and `make test` are all that is needed on a fresh machine: they set up .venv first.
# ARGS passes overrides on:  make train ARGS="model=vit balance=oversample"

PYTHON ?= python3
ARGS ?=
OUTPUTS ?= outputs
VENV := .venv
BIN := $(VENV)/bin
UV := .bootstrap/bin/uv
# What training and serving need; then, on top of it, what tests and docs need and every extra.
STAMP := $(VENV)/.installed
DEV := $(VENV)/.installed-dev
USER_EXTRAS := --extra serve --extra excel --extra heic --extra slurm --extra weights
# uv installs in seconds; without uv, pip takes some minutes.
INSTALL = $(if $(wildcard $(UV)),$(UV) pip install --python $(BIN)/python $(BYTECODE),$(BIN)/python -m pip install) --quiet
# What every command imports, compiled to bytecode on all cores: the first one starts ten seconds faster.
IMPORTED := torch torchvision torchmetrics pytorch_lightning lightning_fabric timm albumentations albucore numpy \
	scipy sympy mpmath matplotlib pyarrow wandb huggingface_hub hydra omegaconf pydantic rich
UNUSED := '/(tests|testing|_inductor|_vendor|onnxscript|benchmarks)/'
COMPILE = $(UV) pip compile pyproject.toml --universal --python-version 3.11 --quiet --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(ARGS)
# Each process takes up to 2 GB, so at most four. The tests of a file run in one process because they share
# trained networks. One process, for a debugger: ARGS="-n 0".
PYTEST = $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup dev .install train quickstart demo serve test test-slurm check docs lint types format wheel-check lock clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## create .venv with what training and serving need (requirements.lock)

dev: $(DEV) ## add what tests and docs need, and every extra (requirements-dev.lock)

$(UV):
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target .bootstrap uv \
		|| { $(PYTHON) -m venv --clear .bootstrap && .bootstrap/bin/pip install --quiet uv; }

$(STAMP): requirements.lock pyproject.toml heritage/core/version.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "heritage needs Python 3.11 or newer; name one: make setup PYTHON=python3.12" >&2; exit 2; }
	@echo "setting up $(VENV) with the tested versions of all packages: 15 s if they are cached, else some minutes"
	@test -x $(UV) || $(MAKE) --no-print-directory $(UV) || true
	@if test -x $(UV); then $(UV) venv --quiet --clear --python $(PYTHON) $(VENV); \
		else $(PYTHON) -m venv --clear $(VENV); fi
	@$(MAKE) --no-print-directory .install LOCK=requirements.lock
	-@cd $(VENV)/lib/python*/site-packages && ../../../bin/python -m compileall -q -j 0 -x $(UNUSED) $(IMPORTED)
	@touch $@

# Compiled to bytecode, all of it: each of the processes that run tests starts ten seconds faster.
$(DEV): $(STAMP) requirements-dev.lock
	@$(MAKE) --no-print-directory .install LOCK=requirements-dev.lock BYTECODE=--compile-bytecode
	@touch $@

# A make of its own: whether uv is there is read when it starts.
.install:
	$(INSTALL) --require-hashes -r $(LOCK)
	$(INSTALL) --no-deps -e .

train: $(STAMP) ## train on the demo set and print the report's path (ARGS="model=vit balance=oversample")
	@$(BIN)/python -m heritage.train $(ARGS)
	@echo "      or: make serve"

demo: $(STAMP) ## the whole chain on the built-in museum: collect, curate, train, report (some minutes)
	$(BIN)/python -m heritage.collect source=demo paths.outputs=$(OUTPUTS)
	$(BIN)/python -m heritage.curate raw.root=$(OUTPUTS)/collections/demo name=demo_museum paths.outputs=$(OUTPUTS)
	$(BIN)/python -m heritage.train data=folder data.root=$(OUTPUTS)/data/demo_museum paths.outputs=$(OUTPUTS) $(ARGS)

serve: $(STAMP) ## open the newest run as a web page at http://127.0.0.1:8000 (ARGS="port=8001")
	@$(BIN)/python -m heritage.serve $(ARGS)

quickstart: train ## train on the demo set, then open the network as a web page in a browser
	@$(MAKE) --no-print-directory serve ARGS=open=true

test: $(DEV) ## run the fast tests
	$(PYTEST) -m "not slow" $(ARGS)

test-slurm: $(DEV) ## start a real Slurm of one node (root, Debian) and run the cluster's tests on it
	PYTHON=$(BIN)/python tests/cluster/slurm/run $(ARGS)

check: lint types $(DEV) ## run what CI runs: lint, types, all tests, the documentation site
	$(PYTEST) $(ARGS)
	@$(MAKE) --no-print-directory docs ARGS=

docs: $(DEV) ## build the documentation site into build/site/html, without network (ARGS=--no-execute)
	$(BIN)/python -m website $(ARGS)

lint: $(DEV) ## look for faults of style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV) ## check types
	$(BIN)/mypy

format: $(DEV) ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel-check: $(DEV) ## build the wheel, install it in a clean environment, run it from a temporary folder
	$(BIN)/python -m pytest tests/test_wheel.py

lock: $(UV) ## write both locks again, with the versions they have (ARGS=--upgrade: with the newest)
	$(COMPILE) --extra dev --output-file requirements-dev.lock
	$(COMPILE) $(USER_EXTRAS) --constraint requirements-dev.lock --output-file requirements.lock

clean: ## remove environments and caches (not outputs/)
	rm -rf $(VENV) .bootstrap .mypy_cache .ruff_cache .pytest_cache dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
