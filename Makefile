# `make demo`, `make test`, `make quick` for the part of the tests that answers within a minute, `make site` for the pages. Needs Python 3.11+ (PYTHON=… picks one) and a package registry.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test quick oldest newer fuzz lint site clean

demo: $(VENV)/base.done
	$(BIN)/harness demo --out demo

# Several processes, a file's tests in one of them; `python -m pytest` alone runs them one after the other.
test: lint
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile

quick: $(VENV)/dev.done
	$(BIN)/python -m pytest -m "not slow"

# The quick tests under the oldest versions that pyproject.toml allows, and the suite under another Python with whatever
# its packages' newest versions are (PYTHON=python3.13 make newer): each in an environment of its own.
oldest:
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-oldest.txt -e '.[dask,slurm,s3]' pytest pytest-timeout hypothesis psutil
	.venv-oldest/bin/python -m pytest -m "not slow"

newer:
	$(PYTHON) -m venv .venv-newer
	.venv-newer/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev,dask,slurm,s3,fast]'
	.venv-newer/bin/python -m pytest -m "not slow"

fuzz: $(VENV)/dev.done
	FUZZ_SECONDS=$(or $(SECONDS),60) $(BIN)/python -m pytest tests/fuzz -rP

site: $(VENV)/dev.done
	$(BIN)/python -m mkdocs build

lint: $(VENV)/dev.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else f"Python {sys.version.split()[0]} found, 3.11 or newer is needed: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/base.done: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/dev.done: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,docs,train,dask,slurm,s3,fast]'
	touch $@ $(VENV)/base.done

# Not runs/: there lie the checkpoints of training.
clean:
	rm -rf $(VENV) .venv-oldest .venv-newer demo build dist .mypy_cache .ruff_cache .pytest_cache
