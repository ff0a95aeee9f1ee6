# What people type. Needs make and a Python from 3.11 to 3.14; `make PYTHON=python3.12 demo` picks one.
# Packages come from whatever index this machine's pip is set up for.

PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
PIP     = $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check
STAMPS  = $(VENV)/.stamps
SOURCES = portarchive tests bench samples

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo install dev servers check test bench docs clean

help:
	@echo 'make demo      export a sample mailbox from an embedded IMAP server; needs no account'
	@echo 'make install   only make $(BIN)/portarchive'
	@echo 'make check     lint, format, types, layers'
	@echo 'make test      check, fetch the test servers, run all tests'
	@echo 'make bench     measure side by side with peers'
	@echo 'make docs      refresh the help texts in README.md'
	@echo 'make clean     remove all that make made'

demo: install
	@$(BIN)/portarchive demo

install: $(STAMPS)/install

dev: $(STAMPS)/dev

check: dev
	@$(BIN)/ruff check --quiet --output-format concise $(SOURCES)
	@$(BIN)/ruff format --check --quiet $(SOURCES)
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

servers: dev
	@$(BIN)/python tests/tools/get_servers.py

test: check servers
	@$(BIN)/python -m pytest

bench: dev servers
	@$(BIN)/python bench/run.py $(BENCH)

docs: dev
	@$(BIN)/python tests/tools/refresh_readme.py
	@$(BIN)/python tests/tools/make_codes_doc.py

clean:
	rm -rf $(VENV) .servers dist bench/out bench/corpus
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find portarchive tests bench samples -name __pycache__ -type d -prune -exec rm -rf {} +

# A Python that cannot make environments is named with its cure before anything is half made.
$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo 'error: there is no $(PYTHON) here. Install Python 3.11 or later.' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' || { \
	  echo "error: portarchive needs Python 3.11 to 3.14, and $(PYTHON) is `$(PYTHON) -V 2>&1`." >&2; \
	  echo 'Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)' >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo 'error: $(PYTHON) cannot make virtual environments (no venv or ensurepip).' >&2; \
	  echo 'On Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }
	@echo 'Making $(VENV)'
	@$(PYTHON) -m venv --clear $(VENV)

# Editable, so that an edited source counts at once. A changed pyproject.toml installs again.
$(STAMPS)/install: pyproject.toml portarchive/__init__.py | $(BIN)/python
	@echo 'Installing portarchive in $(VENV)'
	@$(PIP) --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@$(PIP) install --editable .
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/dev: pyproject.toml portarchive/__init__.py | $(BIN)/python
	@echo 'Installing portarchive and its development tools in $(VENV)'
	@$(PIP) --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@$(PIP) install --editable '.[dev]'
	@mkdir -p $(STAMPS) && touch $(STAMPS)/install $@
