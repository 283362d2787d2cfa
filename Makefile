# Everything sets itself up: `make check`, `make test` and `make demo` work on a fresh clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: check test demo lint types setup clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo,dev]'
	touch $@

setup: $(STAMP)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

check: lint types
	$(BIN)/pytest -n auto --dist loadfile -m "not slow"

test: lint types
	$(BIN)/pytest -n auto --dist loadfile

demo: $(STAMP)
	$(BIN)/holdfast compare playground/agreement --train-size 200 --seeds 3 --out runs/demo

clean:
	rm -rf $(VENV) runs/demo
