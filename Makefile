# The two commands of the README: `make demo` and `make test`. Python 3.11 with pip and venv is all they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DATA ?=

.PHONY: venv demo test lint check bench lock docs-reference clean

venv: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11 ...") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $(STAMP)

demo: venv
	$(BIN)/python -m scicat_retriever.testing.demo $(if $(DATA),--data "$(DATA)") $(if $(KEEP),--keep)

test: venv
	$(BIN)/python -m pytest tests

lint: venv
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test

bench: venv
	$(BIN)/python bench/transfer.py
	$(BIN)/python bench/flow.py

# Resolves the newest versions that pyproject.toml allows and pins them, with hashes, for every platform.
lock: venv
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --all-extras --upgrade --python-version 3.11 pyproject.toml -o requirements.lock

# Writes the pages of docs/reference that are made from the code; a test holds them equal.
docs-reference: venv
	$(BIN)/retriever openapi > docs/reference/openapi.json
	$(BIN)/python -c 'from scicat_retriever.settings_page import reference; print(reference(), end="")' > docs/reference/settings.md
	$(BIN)/python -c 'from scicat_retriever.errors_page import reference; print(reference(), end="")' > docs/reference/errors.md

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
