# The short commands. `make` alone lists them.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LOCK := requirements.lock
QUESTION := I'm user U-123 and my laptop will not connect to wifi.

# The first Python that is new enough; `make PYTHON=python3.13 setup` says which.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
ifeq ($(shell uv --version >/dev/null 2>&1 && echo yes),yes)
create = uv venv --quiet --python "$$(command -v $(PYTHON))" $(VENV)
install = uv pip install --quiet --python $(BIN)/python
else
create = $(PYTHON) -m venv $(VENV)
install = $(BIN)/python -m pip install --quiet --disable-pip-version-check
endif

.DEFAULT_GOAL := help
.PHONY: help setup demo test check fmt lock bench clean

help: ## This list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/make \1\t\2/' | expand -t 14

setup: $(READY) ## Install everything into .venv, from the lock file
	@echo "Ready: $(BIN)/agent, or just agent after: . $(BIN)/activate"

demo: $(READY) ## Ask the helpdesk a question and see what happened
	@$(BIN)/agent ask --trace "$(QUESTION)"

test: $(READY) ## Run the tests
	@$(BIN)/pytest -n auto

check: $(READY) ## Format, lint, types, import rules, tests: what has to hold before a commit
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy
	@$(BIN)/pytest -n auto

fmt: $(READY) ## Format, and mend what the linter can
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

lock: ## Renew the lock file (needs uv)
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --all-extras pyproject.toml -o $(LOCK)

bench: $(READY) ## Measure a turn against the bare loop
	@$(BIN)/python -m tests.benchmarks

clean: ## Remove .venv, caches and the local store
	rm -rf $(VENV) .agent .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): $(LOCK) pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; say which with PYTHON=…" >&2; exit 1; }
	@echo "Installing into $(VENV) …"
	@test -x $(BIN)/python || $(create)
	@$(install) --require-hashes -r $(LOCK)
	@$(install) --no-deps --no-build-isolation --editable .
	@touch $@
