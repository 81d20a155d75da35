# Two commands for a newcomer: `make demo` and `make test`. Both need Python >= 3.11 and pip.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FAMILY ?= build/family
DEMO := build/demo

.PHONY: demo test lint check calibration affair affair-tiny affair-full benchmarks docs clean

$(VENV)/installed: pyproject.toml requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "parentage needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

$(FAMILY)/fetched: scripts/fetch_family.py $(VENV)/installed
	$(BIN)/python scripts/fetch_family.py $(FAMILY) --quantised
	touch $@

demo: $(FAMILY)/fetched
	$(BIN)/python scripts/make_demo.py $(FAMILY) $(DEMO)/merge
	$(BIN)/parentage audit $(DEMO)/merge -p $(FAMILY)/A -p $(FAMILY)/O -c $(FAMILY)/B \
	    --html $(DEMO)/report.html --json $(DEMO)/report.json --evidence $(DEMO)/evidence.json

lint: $(VENV)/installed
	$(BIN)/ruff format --check src tests scripts benchmarks examples
	$(BIN)/ruff check src tests scripts benchmarks examples
	$(BIN)/mypy
	$(BIN)/lint-imports

# Two workers share two cores: linear algebra takes one thread in each.
check: lint $(FAMILY)/fetched
	OPENBLAS_NUM_THREADS=1 PARENTAGE_FAMILY=$(FAMILY) $(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

test: check

# Hours on one core. It goes on where it was interrupted: build/calibration remembers each audit.
calibration: $(FAMILY)/fetched
	PARENTAGE_FAMILY=$(FAMILY) $(BIN)/python -m tests.calibration.run --quiet
	$(BIN)/python -m tests.calibration.summary
	PARENTAGE_FAMILY=$(FAMILY) $(BIN)/python -m pytest tests/calibration -m calibration -s

$(VENV)/training: $(VENV)/installed requirements-training.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock -r requirements-training.lock
	touch $@

# The affair in miniature (docs/affair.md): minutes; under an hour; hours. What was done before is kept.
affair-tiny: $(VENV)/training
	$(BIN)/python -m examples.affair --size tiny --jobs 2 --out examples/affair/out

affair: $(VENV)/training
	$(BIN)/python -m examples.affair --size small --jobs 2 --out examples/affair/out

affair-full: $(VENV)/training
	$(BIN)/python -m examples.affair --size full --jobs 2 --out examples/affair/out

clean:
	rm -rf build $(VENV) .mypy_cache .ruff_cache .pytest_cache
