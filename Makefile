# Everything here runs as an ordinary user, in .venv, with the pip settings of that user.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# the one pip setting that no virtual environment can follow
export PIP_USER := 0

.DEFAULT_GOAL := help
.PHONY: help install demo up test check bench soak format lock clean

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## the environment in .venv, from requirements.lock

$(STAMP): pyproject.toml requirements.lock
	@command -v git >/dev/null || { echo "git is needed: sudo apt-get install git"; exit 1; }
	@command -v $(PYTHON) >/dev/null || { echo "Python is needed: sudo apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed, $(PYTHON) is older: sudo apt-get install python3.11 python3.11-venv," \
			"then make PYTHON=python3.11 …"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "Python's venv is needed: sudo apt-get install python3-venv"; exit 1; }
	@echo "installing into .venv (about 800 MB; a minute or two the first time)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m detectors.compiling
	@touch $@

demo: install ## the whole way in one process, with a synthetic town: prints the address to open
	@$(BIN)/shouwang demo

up: ## the platform with its servers as containers; needs Docker with Compose
	@deploy/secrets.sh secrets
	@docker compose up --detach --build

test: export PYTHONDONTWRITEBYTECODE := # tests start Python very often: what is compiled is kept, whatever is set
test: install ## all tests but the soak tests
	@$(BIN)/python -m pytest -q -n 4 --dist worksteal

check: install ## format, lint, types, floors, the repository's own rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/test_repository.py

bench: install ## messages a second through the whole way with each readings store, then dispatch, one JSON line each
	@$(BIN)/python -m benchmarks.throughput --store duckdb
	@$(BIN)/python -m benchmarks.throughput --store influx
	@$(BIN)/python -m benchmarks.dispatch

soak: install ## the long fault runs
	@$(BIN)/python -m pytest -q -m soak --timeout 3600

format: install ## format, and repair what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: ## requirements.lock anew from pyproject.toml; needs uv (pip install uv)
	@uv pip compile pyproject.toml --quiet --extra notify --extra postgres --extra reports --group dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header \
		--upgrade --output-file .requirements.new
	@{ sed -n '/^#/p' requirements.lock; cat .requirements.new; } > .requirements.lock
	@rm .requirements.new
	@mv .requirements.lock requirements.lock

clean: ## remove .venv, caches and what was built
	rm -rf .venv dist build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
