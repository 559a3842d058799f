# The two commands of the README: `make demo` and `make test`. Python 3.11 with pip and venv is all they need.
# `make demo` installs what the service runs on (requirements.lock); what works on the code, the tools as well.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
TOOLS := $(VENV)/.tools-installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11
MINISTACK := $(VENV)/ministack/bin/ministack
DATA ?=
SECONDS ?= 60

# Set in many containers; without compiled modules each of the hundreds of processes that the tests start compiles them anew.
unexport PYTHONDONTWRITEBYTECODE

# One after the other, with `make -j`, too: the tests share the machine's cores out among themselves.
.NOTPARALLEL:

.PHONY: install venv demo quick unit test attack deep lint check coverage bench chaos fuzz lock docs-reference histories clean

install: $(INSTALLED)

$(INSTALLED): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11 ...") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes -r requirements.lock
	$(PIP) --no-deps --no-build-isolation --editable .
	touch $@

venv: $(TOOLS)

$(TOOLS): requirements-dev.lock $(INSTALLED)
	$(PIP) --require-hashes -r requirements-dev.lock
	touch $@

demo: install
	$(BIN)/python -m stand_ins.demo $(if $(DATA),--data "$(DATA)") $(if $(KEEP),--keep) $(if $(TAPE),--tape) $(if $(RELEASE),--release "$(RELEASE)")

# An S3 with Glacier for tests. It wants libraries in other versions than the product, so it has an environment of its own.
$(MINISTACK): tests/integration/ministack.lock
	$(PYTHON) -m venv --clear $(VENV)/ministack
	$(VENV)/ministack/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

# COVERAGE=1: tell afterwards which lines of the service no test has reached; the processes that tests start count, too.
PYTEST = $(if $(COVERAGE),$(BIN)/coverage erase && )$(COUNTED)
COUNTED = $(BIN)/$(if $(COVERAGE),coverage run,python) -m pytest
REPORT = $(if $(COVERAGE),$(BIN)/coverage combine --quiet && $(BIN)/coverage report)

# Meant to stay under 3 minutes (quick), 14 (test) and 25 (check) on two quiet cores.
quick: lint unit

unit: venv
	$(PYTEST) tests/unit -n 2 --dist worksteal
	$(REPORT)

# What starts whole services runs after the rest, and the attack on one alone: how soon it goes on is part of what is judged.
test: venv $(MINISTACK)
	$(PYTEST) tests --ignore tests/acceptance --ignore tests/integration --ignore tests/chaos/test_chaos.py -n 2 --dist worksteal
	$(COUNTED) tests/acceptance tests/integration -n 2 --dist loadfile
	$(REPORT)

# Ten times as many examples of each property, and inputs of the fuzzer.
deep: venv $(MINISTACK)
	HYPOTHESIS_PROFILE=deep $(BIN)/python -m pytest tests/unit tests/contracts tests/fuzz -n 2 --dist worksteal --timeout 7200

# One whole service under 116 faults.
attack: venv
	$(BIN)/python -m pytest tests/chaos/test_chaos.py

lint: venv
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test attack

# As COVERAGE=1 with all tests but the attack. See CONTRIBUTING.md.
coverage: COVERAGE = 1
coverage: test

bench: venv
	$(BIN)/python bench/transfer.py
	$(BIN)/python bench/flow.py
	$(BIN)/python bench/intake.py
	$(BIN)/python bench/start.py
	$(BIN)/python bench/s3.py
	$(BIN)/python bench/staging_ledger.py
	$(BIN)/python bench/recall_planner.py
	$(BIN)/python bench/waiting_recalls.py
	$(BIN)/python bench/archives.py

# Kills, cuts off and fills up a running service N times; SEED repeats a run. See docs/explanation/reliability.md.
chaos: venv
	$(BIN)/python -m tests.chaos --faults $(or $(N),100) $(if $(SEED),--seed $(SEED)) $(if $(VIOLATIONS),--violations $(VIOLATIONS))

# Gives each target of tests/fuzz inputs for so many seconds; what is learned is kept in .fuzz. An input that breaks one ends it.
fuzz: venv
	for target in archive datablocks job unpacking; do \
		mkdir -p .fuzz/$$target .fuzz/$$target-found; \
		$(BIN)/python -m tests.fuzz $$target -max_total_time=$(SECONDS) -timeout=10 -rss_limit_mb=1024 -max_len=20000 \
			-dict=tests/fuzz/json.dict -artifact_prefix=.fuzz/$$target-found/ .fuzz/$$target tests/fuzz/corpus/$$target || exit 1; \
	done

# Pins what pyproject.toml asks for, with hashes, for every platform. What is pinned stays as it is; UPGRADE=1 takes the newest versions.
lock: venv
	$(COMPILE) --all-extras $(if $(UPGRADE),--upgrade) pyproject.toml -o requirements-dev.lock
	$(COMPILE) --extra embedded --extra editable -c requirements-dev.lock pyproject.toml -o requirements.lock

# Writes the pages of docs/reference that are made from the code; a test holds them equal.
docs-reference: venv
	$(BIN)/retriever openapi > docs/reference/openapi.json
	$(BIN)/python -c 'from scicat_retriever.settings.page import reference; print(reference(), end="")' > docs/reference/settings.md
	$(BIN)/python -c 'from scicat_retriever.cli.errors_page import reference; print(reference(), end="")' > docs/reference/errors.md

# Records what the flows of this version do, under tests/histories; done once for each release.
histories: venv
	$(BIN)/python -m tests.histories.record

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .fuzz
