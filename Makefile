# Every target but `gpu` sets up what it needs: a virtual environment in .venv, with the versions of constraints.txt, and for
# tests of the client and of the example loops one with the client alone and one with the loops' tools.
PYTHON ?= python3
PORT ?= 8000
SECONDS ?= 180
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
CLIENT := $(VENV)/client/.installed
LOOPS := $(VENV)/loops/.installed
PYTEST := $(BIN)/pytest -n auto --dist worksteal
COVERAGE := 77

.PHONY: demo test test-slow test-all chaos coverage mutants test-lowest test-python check audit soak fuzz bench gpu serve format openapi install clean

demo: $(INSTALLED)  ## rank the example architectures through a real server on a free port
	$(BIN)/archrank demo

test: $(INSTALLED) $(CLIENT)  ## unit and integration tests, but for slow ones
	$(PYTEST) -m "(unit or integration) and not slow"

test-slow: $(INSTALLED) $(CLIENT) $(LOOPS)  ## the others: slow, browser, loops, packaging, gpu, chaos
	$(PYTEST) -m "slow or browser or loops or packaging or gpu"
	$(PYTEST) -m chaos

test-all: test test-slow  ## every test

chaos: $(INSTALLED) $(CLIENT)  ## only those in which servers, processes, stores, clocks and clients fail
	$(PYTEST) -m chaos

coverage: $(INSTALLED) $(CLIENT)  ## branch coverage of `make test`; fails below the gate
	$(PYTEST) -m "(unit or integration) and not slow" --cov --cov-report= --cov-fail-under=0
	$(BIN)/coverage report --fail-under $(COVERAGE)

check: $(INSTALLED)  ## style, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

mutants: $(INSTALLED)  ## mutation testing of the proxies' formulas and of calibration; lists the survivors
	$(BIN)/pip install --quiet mutmut==3.8.1
	rm -rf runs/mutants && mkdir -p runs/mutants && git archive HEAD | tar x -C runs/mutants
	sed -i '/^    @override$$/d' runs/mutants/proxies/*.py  # mutmut leaves out decorated functions
	cd runs/mutants && OMP_NUM_THREADS=1 $(CURDIR)/$(BIN)/mutmut run --max-children 2; $(CURDIR)/$(BIN)/mutmut results

test-lowest:  ## unit tests on the lowest versions that pyproject.toml allows
	$(PYTHON) -m venv .venv/lowest
	.venv/lowest/bin/pip install --quiet uv
	.venv/lowest/bin/uv pip install --quiet --python .venv/lowest/bin/python --resolution lowest-direct --editable ".[dev]" --editable client
	.venv/lowest/bin/pytest -n auto -m unit

test-python:  ## unit tests on PYTHON=python3.12 or any other, in an environment of its own; skipped where there is none
	@if command -v $(PYTHON) >/dev/null; then \
		set -e; $(PYTHON) -m venv .venv/$(notdir $(PYTHON)); \
		.venv/$(notdir $(PYTHON))/bin/pip install --quiet --constraint constraints.txt --editable ".[dev]" --editable client; \
		.venv/$(notdir $(PYTHON))/bin/pytest -n auto -m unit; \
	else echo "skipped: $(PYTHON) is not installed"; fi

audit:  ## known vulnerabilities of what constraints.txt names, where they can be looked up
	$(PYTHON) -m venv .venv/audit
	.venv/audit/bin/pip install --quiet pip-audit==2.10.1
	.venv/audit/bin/python .ci/audit.py

soak: $(INSTALLED)  ## mixed load on a server for SECONDS, every answer checked; a figure of its memory in runs/
	$(BIN)/python -m benchmarks.soak --seconds $(SECONDS)

fuzz: SECONDS = 600
fuzz: $(INSTALLED)  ## properties on random examples; mutated bytes to every reader for SECONDS, crashes become test cases
	HYPOTHESIS_PROFILE=random $(PYTEST) -m hypothesis
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS)

bench: $(INSTALLED)  ## how fast it is, in under five minutes; tables, and JSON in runs/
	$(BIN)/python -m benchmarks.speed

gpu:  ## correctness and speed on a GPU, in at most eight minutes; PYTHON needs no more than PyTorch and numpy
	$(PYTHON) -m benchmarks.gpu

serve: $(INSTALLED)  ## the service, on PORT
	$(BIN)/archrank serve --port $(PORT)

format: $(INSTALLED)  ## put the code into the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

openapi: $(INSTALLED)  ## write the committed copies of the API's description
	$(BIN)/archrank openapi > docs/openapi.json
	$(BIN)/archrank openapi --markdown > docs/api.md

install: $(INSTALLED)  ## only the virtual environment

$(INSTALLED): pyproject.toml client/pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]" --editable client
	touch $@

$(CLIENT): $(INSTALLED) client/pyproject.toml $(wildcard client/archrank_client/*)
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --constraint constraints.txt ./client
	touch $@

$(LOOPS): $(CLIENT) examples/loops/requirements.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --requirement examples/loops/requirements.txt ./client
	touch $@

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
