# Every target sets up what it needs by itself: python3 with its venv module and make are enough.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
# uv's cache, in the project where there is no home to write to.
export UV_CACHE_DIR ?= $(CURDIR)/$(VENV)/cache
# Fleets wait for most of their time, so twice the two cores that the tests are made for; 0 is one after another.
TESTERS ?= 4

.PHONY: help setup run test model check bench chaos fuzz audit docs pictures lock clean

help: ## Print these targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

setup: $(VENV)/.ready ## Make .venv with everything in it, .venv/bin/stagecrew included

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "stagecrew needs Python 3.11 or newer; say which: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv module is missing: apt-get install python3-venv" >&2; exit 1; }
	@echo "setting up $(VENV) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(UV) || $(BIN)/pip install --quiet --disable-pip-version-check 'uv==0.13.9'
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r requirements.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@

run: setup ## Stage the sample listings: real worker, real Redis, real HTTP, sandbox API
	@$(BIN)/stagecrew run examples/listings.jsonl examples/more-listings.csv

test: setup ## Run all tests, TESTERS=4 side by side
	@$(BIN)/python -m pytest -n $(TESTERS) --dist worksteal

model: setup ## Try the ledger and flow control in other orders of events than `make test` does; MODEL_EXAMPLES=3000
	@HYPOTHESIS_PROFILE=long $(BIN)/python -m pytest tests/model -q -s

check: setup ## Lint, types, floors of the imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: setup ## Measure stagecrew beside its peers, 15 minutes; BENCH="--full" or other options of stagecrew bench
	@$(BIN)/python -m bench $(BENCH)

chaos: setup ## Stage 20,000 photos while everything fails, and hold the books against each other; CHAOS="--seed 7" or other options
	@$(BIN)/python -m chaos $(CHAOS)

fuzz: setup ## Throw many more odd records, settings, requests and API answers at stagecrew, minutes; FUZZ=100 for longer
	@FUZZ_TIMES=$(or $(FUZZ),20) $(BIN)/python -m pytest tests/fuzz -o timeout=0

audit: setup ## Look for known vulnerabilities of what an image installs; needs an advisory database, so the internet
	@$(UV) tool run 'pip-audit==2.10.1' --strict --progress-spinner off --disable-pip --require-hashes -r requirements-run.lock

docs: setup ## Write the documents that are generated, check them, and build their site
	@$(BIN)/python -m handbook

pictures: setup ## Take the documents' screenshots anew, in a real Chromium
	@$(BIN)/python -m tests.browser.pictures

COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --no-annotate

lock: setup ## Resolve requirements.lock anew, and what of it an image runs
	@$(COMPILE) --extra dev --extra otel -o requirements.lock pyproject.toml
	@$(COMPILE) --constraints requirements.lock -o requirements-run.lock pyproject.toml

clean: ## Remove what `run` leaves (its Redis, its sandbox, its outputs) and the documents' site
	rm -rf .stagecrew stagecrew-output docs-site
