.DEFAULT_GOAL := help
.PHONY: help setup demo test check chaos chaos-sim bench up down migrate schemas lock test-localstack clean

BIN := .venv/bin
PATHS := src cli services tests benchmarks scripts examples/demo.py
KEEP ?=
SEED ?=
ARGS ?=

help: ## List these verbs.
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: ## Make .venv with everything in it; instant when nothing changed. PYTHON=python3.13 chooses the interpreter.
	@sh scripts/setup.sh

demo: setup ## Take the sample issue to a reviewed branch on a fleet of its own. KEEP=1 leaves the fleet running.
	@KEEP=$(KEEP) $(BIN)/python examples/demo.py $(ARGS)

test: setup ## Run every test. ARGS="-k word" passes on to pytest.
	@PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

check: setup ## Format, lint, types, imports between rooms, schemas up to date.
	@$(BIN)/ruff format --check $(wildcard $(PATHS))
	@$(BIN)/ruff check $(wildcard $(PATHS))
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python scripts/schemas.py --check

chaos: setup ## Tear a fleet of real processes apart under 100 workflows, then check every invariant; make chaos SEED=7 reruns one.
	@$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(ARGS)
	@$(if $(SEED)$(ARGS),true,$(BIN)/python -m tests.chaos --planted all)

chaos-sim: setup ## Storm a simulated fleet under 10,000 seeds and check every invariant; make chaos-sim SEED=7 tells one of them.
	@SEED=$(SEED) $(BIN)/python -m tests.sim --seeds 10000 --jobs 2 $(ARGS)

bench: setup ## Measure this machine against the targets.
	@$(BIN)/python -m benchmarks $(ARGS)

up: setup ## Start the fleet and stay with it until Ctrl-C. ARGS="--port 8421 --replay FILE".
	@$(BIN)/amelia up $(ARGS)

down: setup ## Stop the fleet.
	@$(BIN)/amelia down $(ARGS)

migrate: setup ## Bring the database of AMELIA_DATABASE_URL to this version.
	@$(BIN)/python -m amelia.adapters.postgres.migrate

schemas: setup ## Write schemas/ from the code.
	@$(BIN)/python scripts/schemas.py

lock: setup ## Resolve the dependencies again and write requirements.lock.
	@sh scripts/lock.sh

test-localstack: setup ## Run the queue and bus tests on LocalStack, without Docker. Needs a python3.13.
	@sh scripts/test-localstack.sh $(ARGS)

clean: ## Remove .venv, caches and the demo's fleet.
	@if [ -x $(BIN)/amelia ] && [ -d .amelia/demo ]; then $(BIN)/amelia down --state-dir .amelia/demo; fi
	@rm -rf .venv .venv-localstack .amelia .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find $(wildcard $(PATHS)) -name __pycache__ -type d -prune -exec rm -rf {} +
