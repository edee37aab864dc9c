# Valet: `make` shows what there is.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON := .venv/bin/python
UV = $(firstword $(wildcard .venv/tools/bin/uv) uv)
ONCE ?=
export ONCE

.PHONY: help setup check test test-long run stop clean lock model faults attacks privacy manifests bench bench-slots images sbom

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Make this machine ready: .venv, RabbitMQ, what mongod needs (done by the others when needed)
	@sh deploy/local/bootstrap.sh

check: setup ## Lint, format, types, and the rules of who may import whom
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

test: ## All tests but the long ones, on a real RabbitMQ, MongoDB and browser; three at a time, each with servers of its own
	@sh deploy/local/bootstrap.sh --browser
	@.venv/bin/pytest -n 3 --dist loadfile -m "not long"

test-long: setup ## What is too long for `make test`: replicas, restarts and poison under load; a short form of each is in `make test`, another in `make faults`
	@.venv/bin/pytest -n 2 --dist loadfile -m long

model: ## Random lives of calendars and bookings, many more than in `make test`; LIVES=1000 in memory, REAL=50 on the real stack
	@sh deploy/local/bootstrap.sh
	@VALET_MODEL_LIVES=$(or $(LIVES),1000) .venv/bin/pytest tests/model/test_memory.py
	@VALET_MODEL_LIVES=$(or $(REAL),50) VALET_MODEL_KILLS=1 .venv/bin/pytest tests/model/test_real.py

faults: ## Every fault that Valet survives, under load, and a judge; MINUTES=60 of a seeded mix, SEED=n, ROWS=1,11 some alone
	@sh deploy/local/bootstrap.sh
	@MINUTES=$(MINUTES) SEED=$(SEED) ROWS=$(ROWS) $(PYTHON) -m tests.faults

attacks: ## Every attack that Valet withstands; SEED=n, ROWS=4,13 some alone
	@sh deploy/local/bootstrap.sh
	@SEED=$(SEED) ROWS=$(ROWS) $(PYTHON) -m tests.attacks

privacy: ## Made-up people looked for everywhere, erasures, and the list of all that providers were asked; SEED=n
	@sh deploy/local/bootstrap.sh
	@SEED=$(SEED) $(PYTHON) -m tests.privacy

manifests: ## The Kubernetes manifests alone, by all that `make test` holds them to; CRDS=DIR: by the operators' own definitions there too
	@sh deploy/local/bootstrap.sh --browser
	@$(if $(CRDS),VALET_CRDS="$(CRDS)") .venv/bin/pytest tests/policy -m "not long"

bench: setup ## How fast Valet is, beside what bare parts allow in the same run; PARTS="floor throughput" some alone, OPTIONS="--big --rounds 3"
	@$(PYTHON) -m tests.bench $(PARTS) $(OPTIONS)

bench-slots: setup ## How fast free times are found, beside other ways to do the same in the same run
	@$(PYTHON) -m tests.bench.slots

images: setup ## An image per service and one for the `valet` command, with docker, podman or buildah; OPTIONS="--registry ghcr.io/example auth"
	@$(PYTHON) -m deploy.images $(OPTIONS)

sbom: setup ## What the images hold, as a bill of materials from the lock file: build/sbom.json (CycloneDX)
	@mkdir -p build
	@$(UV) export --quiet --frozen --no-dev --no-emit-project --format cyclonedx1.5 --preview-features sbom-export --output-file build/lock.cdx.json
	@$(PYTHON) deploy/images/sbom.py build/lock.cdx.json --output build/sbom.json && rm build/lock.cdx.json
	@echo "build/sbom.json"

run: setup ## The main job, live, on this machine; Ctrl-C stops everything. ONCE=1: print lines and end
	@$(PYTHON) -m deploy.demo

stop: ## Stop what `make run` or `python -m deploy.local up` has started
	@if [ -x $(PYTHON) ] && [ -d .valet ]; then $(PYTHON) -m deploy.local down; else echo "nothing to stop"; fi

clean: stop ## Stop, and remove all that was made here: the environment, the data, the keys, the caches
	@rm -rf .venv .valet .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .benchmarks build dist *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

lock: setup ## Write anew uv.lock, and the pins of uv itself and of checkov
	@$(UV) lock
	@sed -n 's/ \\$$//;/^uv==/p' deploy/local/uv-requirements.txt | $(UV) pip compile --quiet --generate-hashes --no-annotate \
		--custom-compile-command "make lock" --output-file deploy/local/uv-requirements.txt -
	@sed -n 's/ \\$$//;/^checkov==/p' k8s/checkov-requirements.txt | $(UV) pip compile --quiet --generate-hashes --no-annotate --universal \
		--python-version 3.11 --custom-compile-command "make lock" --output-file k8s/checkov-requirements.txt -
