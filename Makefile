# People and CI run the same targets. `make demo` and `make test` need nothing but Python 3.11+ and a network for packages.
PYTHON ?= python3
BIN := .venv/bin
PIP_FLAGS := --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test check format services bench bench-quick clean

.venv/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install $(PIP_FLAGS) --quiet torch==2.13.0
	$(BIN)/python -m pip install $(PIP_FLAGS) --quiet --editable '.[image]'
	touch $@

.venv/.installed-dev: .venv/.installed
	$(BIN)/python -m pip install $(PIP_FLAGS) --quiet --editable '.[image,dev]'
	touch $@

# Exit code 3 says that the run went well and that its verdict is not to keep the model.
demo: .venv/.installed
	$(BIN)/luthier tune examples/data/hearthline.csv --target category --out demo-run --overwrite || test $$? -eq 3

# Servers that some tests start for themselves; without them these tests are skipped.
services:
	command -v /usr/lib/postgresql/*/bin/initdb >/dev/null || apt-get install --yes --quiet postgresql

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

.venv/.installed-bench: .venv/.installed
	$(BIN)/python -m pip install $(PIP_FLAGS) --quiet --editable '.[image,bench]'
	touch $@

BENCHMARKS := crash_safety memory full_fine_tuning start_up features frozen_prefix frozen_prefix_tokens frozen_prefix_media adapters images_against_keras time_to_accuracy search

bench: .venv/.installed-bench
	for name in $(BENCHMARKS); do $(BIN)/python benchmarks/$$name.py || exit 1; done

bench-quick: .venv/.installed-bench
	for name in $(BENCHMARKS); do $(BIN)/python benchmarks/$$name.py --quick || exit 1; done

clean:
	rm -rf demo-run .venv
