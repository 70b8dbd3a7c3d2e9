# Every target but `gpu` sets up its virtual environments: .venv with the versions of constraints.txt, and, for tests of the
# client and of the example loops, one with the client alone and one with the loops' libraries.
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
# Other environments start with a copy of .venv's Python, and uv installs into all of them. A package of this repository is
# installed anew, since uv would take an old build of it from its cache.
UV_VENV := $(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python
UV_INSTALL := $(BIN)/uv pip install --quiet --compile-bytecode
export UV_FIND_LINKS := $(PIP_FIND_LINKS)

.PHONY: demo test test-slow test-all chaos coverage mutants test-lowest test-python check audit soak fuzz bench gpu image-test serve format openapi install clean

demo: $(INSTALLED)  ## rank the example architectures through a real server on a free port
	$(BIN)/archrank demo

test: $(INSTALLED) $(CLIENT)  ## unit and integration tests, except slow ones
	$(PYTEST) -m "(unit or integration) and not slow"

test-slow: $(INSTALLED) $(CLIENT) $(LOOPS)  ## all other tests: slow, browser, loops, packaging, gpu, chaos
	$(PYTEST) -m "slow or browser or loops or packaging or gpu or chaos"

test-all: $(INSTALLED) $(CLIENT) $(LOOPS)  ## every test
	$(PYTEST)

chaos: $(INSTALLED) $(CLIENT)  ## tests of failing servers, workers, stores, clocks and clients
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
	sed -i '/^    @override$$/d' runs/mutants/proxies/*.py  # mutmut skips decorated functions
	cd runs/mutants && OMP_NUM_THREADS=1 $(CURDIR)/$(BIN)/mutmut run --max-children 2; $(CURDIR)/$(BIN)/mutmut results

test-lowest:  ## unit tests on the lowest versions that pyproject.toml allows
	$(PYTHON) -m venv .venv/lowest
	.venv/lowest/bin/pip install --quiet uv
	.venv/lowest/bin/uv pip install --quiet --python .venv/lowest/bin/python --resolution lowest-direct --editable ".[dev]" --editable client
	.venv/lowest/bin/pytest -n auto -m unit

test-python:  ## unit tests on another Python, e.g. PYTHON=python3.12; skipped if it is not installed
	@if command -v $(PYTHON) >/dev/null; then \
		set -e; $(PYTHON) -m venv .venv/$(notdir $(PYTHON)); \
		.venv/$(notdir $(PYTHON))/bin/pip install --quiet --constraint constraints.txt --editable ".[dev]" --editable client; \
		.venv/$(notdir $(PYTHON))/bin/pytest -n auto -m unit; \
	else echo "skipped: $(PYTHON) is not installed"; fi

audit: $(INSTALLED)  ## known vulnerabilities of the versions in constraints.txt
	$(UV_VENV) .venv/audit
	$(UV_INSTALL) --python .venv/audit/bin/python pip-audit==2.10.1
	.venv/audit/bin/python .ci/audit.py

soak: $(INSTALLED)  ## mixed load on a server for SECONDS, every response checked; plot of its memory in runs/
	$(BIN)/python -m benchmarks.soak --seconds $(SECONDS)

fuzz: SECONDS = 600
fuzz: $(INSTALLED)  ## random property tests; mutated bytes to every reader for SECONDS, crashes become test cases
	HYPOTHESIS_PROFILE=random $(PYTEST) -m hypothesis
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS)

bench: $(INSTALLED)  ## speed, in under five minutes: tables, and JSON in runs/
	$(BIN)/python -m benchmarks.speed

gpu:  ## correctness and speed on a GPU, in at most fifteen minutes; PYTHON needs only PyTorch and numpy
	$(PYTHON) -m benchmarks.gpu

image-test: $(INSTALLED)  ## build the image with Docker or Podman, run it read-only, bring up compose.yaml; see docs/deploy.md
	$(BIN)/python -m tests.image

serve: $(INSTALLED)  ## the service, on PORT
	$(BIN)/archrank serve --port $(PORT)

format: $(INSTALLED)  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

openapi: $(INSTALLED)  ## regenerate docs/openapi.json and docs/api.md
	$(BIN)/archrank openapi > docs/openapi.json
	$(BIN)/archrank openapi --markdown > docs/api.md

install: $(INSTALLED)  ## create the virtual environment

$(INSTALLED): pyproject.toml client/pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt uv
	$(UV_INSTALL) --python $(BIN)/python --constraint constraints.txt --editable ".[dev]" --editable client
	touch $@

$(CLIENT): $(INSTALLED) client/pyproject.toml $(wildcard client/archrank_client/*)
	$(UV_VENV) $(@D)
	$(UV_INSTALL) --python $(@D)/bin/python --constraint constraints.txt --reinstall-package archrank-client ./client
	touch $@

$(LOOPS): $(CLIENT) examples/loops/requirements.txt
	$(UV_VENV) $(@D)
	$(UV_INSTALL) --python $(@D)/bin/python --requirement examples/loops/requirements.txt --reinstall-package archrank-client ./client
	touch $@

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
