# Two commands: `make run` opens the app, `make test` checks everything.
# The first of either installs into .venv, which takes some minutes and, with torch for a GPU, some gigabytes.

PYTHON ?= python3
PROMPT ?= a fox wearing a crown in the snow
VENV := .venv
INSTALL := $(VENV)/bin/python -m pip install --disable-pip-version-check --constraint .ci/constraints.txt --editable
SOURCES := pyproject.toml .ci/constraints.txt

.PHONY: run test audit clean

run: $(VENV)/installed
	@if [ -t 0 ] && [ -t 1 ]; then $(VENV)/bin/latentty; else $(VENV)/bin/latentty generate "$(PROMPT)"; fi

test: $(VENV)/installed-for-test
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/pytest -n 2

# Ask the public database of advisories about every pinned package; the only command here that needs it.
# What could not be checked is named, with the reason, and the rest is checked all the same.
audit: $(VENV)
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	@$(VENV)/audit/bin/python .ci/audit.py .ci/constraints.txt

clean:
	rm -rf $(VENV)

$(VENV)/installed: $(SOURCES) | $(VENV)
	$(INSTALL) .
	@touch $@

$(VENV)/installed-for-test: $(SOURCES) | $(VENV)
	$(INSTALL) '.[test]'
	@touch $@ $(VENV)/installed

$(VENV):
	@$(PYTHON) -c 'import sys; sys.exit("Latentty needs Python 3.11 or newer; say which: make PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
