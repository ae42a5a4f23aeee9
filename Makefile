# Each target installs what it needs first, into .venv (or .venv-app) and weights/ only.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || echo python3.11)
BIN := .venv/bin
# Maximum number of test processes; each one loads the models.
WORKERS ?= 4
ARGS ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help app format mutants test-fast setup setup-app setup-dev setup-gpu setup-browser weights weights-tests demo test test-browser check lint types lock figures pictures clean distclean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: weights ## replace the person in the bundled clip on the CPU; the result goes to outputs/
	$(BIN)/python handler.py

app: setup-app weights ## serve the web page on this machine (ARGS='--port 8000'; ARGS=--help lists all options)
	.venv-app/bin/python app.py $(ARGS)

test: setup-dev setup-gpu weights-tests ## run all tests (ARGS='-k plate' runs some)
	$(BIN)/python -m pytest -n logical --maxprocesses $(WORKERS) $(ARGS)

test-fast: setup-dev weights-tests ## run the tests that need no torch
	$(BIN)/python -m pytest -n logical --maxprocesses $(WORKERS) --ignore tests/models/diffusion $(ARGS)

format: setup-dev ## format the code and sort imports
	$(BIN)/ruff check --fix --select I .
	$(BIN)/ruff format .

mutants: setup-dev setup-gpu weights-tests ## break the denoising loop in known ways and list the tests that notice (15 minutes)
	$(BIN)/python -m tests.mutants $(ARGS)

test-browser: setup-browser setup-app weights ## test the page and the report in Chromium (apt-get install chromium)
	$(BIN)/python -m pytest tests/browser $(ARGS)

check: lint types test ## run linters, type checks and tests

lint: setup-dev ## run ruff (rules and format) and codespell
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell

types: setup-dev ## run mypy --strict
	$(BIN)/mypy

figures: setup-dev weights-tests ## compare walk_a (also with a known shake) and a package's clip with their ground truth
	$(BIN)/python -m benchmarks.truth assets/walk_a --package
	$(BIN)/python -m benchmarks.truth assets/walk_a --shake

pictures: setup-browser setup-app weights ## make the README's pictures from the bundled clip (needs Chromium)
	$(BIN)/python scripts/before_after.py

lock: ## update the pinned versions of all packages
	scripts/lock.sh

clean: ## remove results and caches
	rm -rf outputs .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.venv*/*' -prune -exec rm -rf {} +

distclean: clean ## also remove .venv, .venv-app and the models
	rm -rf .venv .venv-app weights

setup: .venv/.core
setup-app: .venv-app/.done
setup-dev: .venv/.dev
setup-gpu: .venv/.gpu

setup-browser: .venv/.browser
	@command -v $${UNDERSTUDY_TEST_CHROMIUM:-chromium} > /dev/null || { echo "Chromium is needed: apt-get install chromium"; exit 1; }

# Existing files are verified by hash and not downloaded again.
weights: setup
	@$(BIN)/python -m builder.fetch_models
weights-tests: setup
	@$(BIN)/python -m builder.fetch_models --tests

.venv/bin/python:
	@command -v $(PYTHON) > /dev/null || { echo "Python 3.11 or 3.12 is needed: make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv .venv

# OpenCV needs libGL and glib from the system; report that now instead of failing in the middle of a job.
.venv/.core: requirements.lock | .venv/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-input -r requirements.lock
	@$(BIN)/python -c "import cv2" || { echo "OpenCV does not load: apt-get install libgl1 libglib2.0-0"; exit 1; }
	touch $@

.venv/.dev: requirements-dev.lock .venv/.core
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-input -r requirements-dev.lock
	touch $@

# torch and its dependencies: 6 GB, some minutes. Not needed by `make demo`. Compiling all of their 9,000 modules would take
# a minute more, and few of them are imported.
.venv/.gpu: requirements-gpu.lock .venv/.core
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-input --no-compile -r requirements-gpu.lock
	touch $@

# The page has a separate environment, because the requirements of Gradio and of RunPod's SDK conflict. --no-deps bypasses
# pip's resolver, which would reject them; the browser tests run with the pinned versions.
.venv-app/.done: requirements-app.lock requirements.lock
	@command -v $(PYTHON) > /dev/null || { echo "Python 3.11 or 3.12 is needed: make PYTHON=/path/to/python"; exit 1; }
	test -x .venv-app/bin/python || $(PYTHON) -m venv .venv-app
	.venv-app/bin/python -m pip install -q --disable-pip-version-check --no-input --no-deps -r requirements-app.lock
	@.venv-app/bin/python -c "import cv2" || { echo "OpenCV does not load: apt-get install libgl1 libglib2.0-0"; exit 1; }
	touch $@

# Playwright's own download of a browser is not used.
.venv/.browser: requirements-browser.lock .venv/.dev
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-input -r requirements-browser.lock
	touch $@
