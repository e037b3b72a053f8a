# Commands for people and for CI. PYTHON chooses the interpreter, VENV where it goes.
PYTHON ?= python3
VENV ?= .venv
PORT ?= 8000
DATA ?= data
BENCH ?= full
N ?= 20000
EXAMPLES ?= 200
# The processor of a stack's functions: arm64 costs a fifth less a second.
ARCH ?= arm64
OUT ?= build
STACK ?= crashbucket
PARAMS ?=
# Lambda's Python: what packages it is what it is packaged for.
PACKAGE_PYTHON ?= $(shell for python in python3.12 python3.13 python3 $$HOME/.pyenv/versions/3.1[23].*/bin/python; do \
	$$python -c 'import sys; sys.exit(not (3, 12) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& { command -v $$python; break; }; done)
PACKAGE_VENV ?= .venv-package
DEPLOYED_VENV ?= .venv-deployed

BIN := $(VENV)/bin
SERVE_STAMP := $(VENV)/.serve-installed
DEV_STAMP := $(VENV)/.dev-installed
PACKAGE_STAMP := $(PACKAGE_VENV)/.installed
DEPLOYED_STAMP := $(DEPLOYED_VENV)/.installed

.PHONY: run test lint types bench fuzz drift contract package deploy test-deployed test-blackbox clean

run: $(SERVE_STAMP)  ## the embedded server, with a demo app
	$(BIN)/python -m chalicelib.cli serve --demo --port $(PORT) --data $(DATA)

test: lint types  ## every check and every test
	$(BIN)/python -m pytest

lint: $(DEV_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV_STAMP)
	$(BIN)/mypy

bench: $(DEV_STAMP)  ## the benchmarks (BENCH=quick for a short round)
	$(BIN)/python -m benchmarks $(BENCH)

fuzz: $(DEV_STAMP)  ## N damaged minidumps (20000), each read or refused within bounds
	$(BIN)/python -m tests.formats.minidump.fuzz --count $(N)

drift: $(DEV_STAMP)  ## 10,000 random operations on reports and groups; a recount after each
	CRASHBUCKET_ALL_OPERATIONS=1 $(BIN)/python -m pytest tests/test_counts_never_drift.py

contract: $(DEV_STAMP)  ## EXAMPLES (200) requests for each operation of the OpenAPI document
	CRASHBUCKET_CONTRACT_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest tests/openapi/test_contract.py

package: $(PACKAGE_STAMP)  ## build/: template and zip of a stack for ARCH (arm64, x86_64, native)
	$(PACKAGE_VENV)/bin/python -m infra.package --arch $(ARCH) --out $(OUT)

deploy: $(PACKAGE_STAMP)  ## make or update the stack STACK of what is in build/ (PARAMS="Name=value ...")
	$(PACKAGE_VENV)/bin/python -m infra.deploy $(STACK) --from $(OUT) $(PARAMS)

test-deployed: $(DEV_STAMP)  ## the black-box suite on a stack in an emulated AWS on this machine
	CRASHBUCKET_TARGET=ministack $(BIN)/python -m pytest tests/blackbox

test-blackbox: $(DEV_STAMP)  ## the same suite on the service at URL, with an admin's TOKEN (and its STACK or DATA)
	CRASHBUCKET_URL="$(URL)" CRASHBUCKET_TOKEN="$(TOKEN)" $(BIN)/python -m pytest tests/blackbox

clean:
	rm -rf build .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(SERVE_STAMP): requirements.txt requirements-serve.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-serve.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

$(DEV_STAMP): requirements.txt requirements-serve.txt requirements-dev.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@ $(SERVE_STAMP)

$(PACKAGE_STAMP): requirements.txt requirements-sdk.txt requirements-package.txt
	@test -n "$(PACKAGE_PYTHON)" || { echo "needs Python 3.12 or 3.13, as Lambda has: install one, or name it with PACKAGE_PYTHON="; exit 1; }
	test -x $(PACKAGE_VENV)/bin/python || "$(PACKAGE_PYTHON)" -m venv $(PACKAGE_VENV)
	$(PACKAGE_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-package.txt
	touch $@

# The emulated AWS runs the functions under its own interpreter: that which they are packaged for.
$(DEPLOYED_STAMP): requirements-deployed.txt
	@test -n "$(PACKAGE_PYTHON)" || { echo "needs Python 3.12 or 3.13, as Lambda has: install one, or name it with PACKAGE_PYTHON="; exit 1; }
	test -x $(DEPLOYED_VENV)/bin/python || "$(PACKAGE_PYTHON)" -m venv $(DEPLOYED_VENV)
	$(DEPLOYED_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-deployed.txt
	touch $@
