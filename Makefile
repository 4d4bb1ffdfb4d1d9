# People and CI run the same targets. `make demo` and `make test` need nothing but Python 3.11+ and a network for packages.
PYTHON ?= python3
BIN := .venv/bin
PIP_FLAGS := --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test check format bench bench-quick clean

.venv/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install $(PIP_FLAGS) --quiet torch==2.13.0
	$(BIN)/python -m pip install $(PIP_FLAGS) --quiet --editable '.[image]'
	touch $@

.venv/.installed-dev: .venv/.installed
	$(BIN)/python -m pip install $(PIP_FLAGS) --quiet --editable '.[image,dev]'
	touch $@

demo: .venv/.installed
	$(BIN)/luthier tune examples/data/hearthline.csv --target category --out demo-run

test: .venv/.installed-dev
	$(MAKE) check

check:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest

format:
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf demo-run .venv
