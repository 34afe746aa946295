# mailfleet. `make demo` and `make test` need nothing but Python 3.11+ and a package index: they set up .venv themselves.
SHELL := /bin/bash
UV := scripts/uv
# Whatever environment the caller is in, this one is used.
export UV_PROJECT_ENVIRONMENT := .venv
unexport VIRTUAL_ENV
RUN := $(UV) run --frozen --group dev
SEED ?= 1

.DEFAULT_GOAL := help
.PHONY: help demo dev test check format lint types layers dead bench docs prove clean

help: ## What can be made
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Watch it work, on sandbox vendors of this machine (SEED=n chooses the world)
	@$(UV) sync --frozen --inexact --quiet
	@.venv/bin/mailfleet demo --seed $(SEED)

dev: .venv/dev ## The environment with the tools, and everything running on this machine
	@.venv/bin/mailfleet up

test: .venv/dev ## Every test, in parallel
	@$(RUN) pytest -n auto

check: .venv/dev format lint types layers dead test ## Format, lint, types, layers, dead code, dependencies, tests

format: .venv/dev
	@$(RUN) ruff format --check

lint: .venv/dev
	@$(RUN) ruff check

types: .venv/dev
	@$(RUN) basedpyright

layers: .venv/dev
	@$(RUN) lint-imports

dead: .venv/dev
	@$(RUN) vulture
	@$(RUN) deptry .

BENCHMARKS := $(patsubst benchmarks/%.py,%,$(filter-out %/parts.py,$(wildcard benchmarks/*.py)))
bench: .venv/dev ## Measure what is promised about speed, each beside its raw limit
	@for each in $(BENCHMARKS); do $(RUN) python -m benchmarks.$$each || exit 1; done

docs: .venv/dev ## Write the generated pages of docs/ anew
	@$(RUN) python -m tests.docs.generate

PROOFS := worlds saga_stateful saga_kills receiver_crash applier_crash pusher_crash import_crash importer_fuzz \
	receiver_fuzz sandbox_fuzz safeguards_rates safeguards_sixty_days campaign_windows write_faults export_large
prove: .venv/dev ## The long campaigns in full (hours): worlds, crashes, fuzzing, rates. Figures belong in docs/proof.md
	@for each in $(PROOFS); do echo "== $$each"; $(RUN) python -m proofs.$$each || exit 1; done

clean: ## Remove what the demo and the tests left on this machine
	@rm -rf .mailfleet .pytest_cache .ruff_cache .hypothesis

.venv/dev: pyproject.toml uv.lock
	@$(UV) sync --frozen --group dev --quiet
	@touch $@
