# Two commands: `make run` measures the embedded models end to end, `make test` proves the code.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python

.PHONY: run test test-slow lint bench lock clean

run: $(VENV)/.installed
	$(VENV)/bin/bench run

test: $(VENV)/.installed
	$(PY) -m pytest

# What `make test` leaves out: every point of a batch at which a process may die, at every provider, and the like.
test-slow: $(VENV)/.installed
	$(PY) -m pytest -m slow

lint: $(VENV)/.installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# Timings and accuracy, side by side with stock clients; nothing in it passes or fails by the clock.
bench: $(VENV)/.installed
	$(PY) -m pytest tests/benchmarks --benchmark-enable --benchmark-only
	$(PY) tests/benchmarks/accuracy.py

# The lock is complete, build tools included, hence --no-deps: every package comes from it, each by its hash.
$(VENV)/.installed: requirements.lock pyproject.toml
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(PY) -m pip check --disable-pip-version-check
	touch $@

lock:
	uv pip compile pyproject.toml --extra test --extra dev --extra sdks --extra static --universal --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url -o requirements.lock

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache
