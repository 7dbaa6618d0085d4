# Needs make and Python 3.11 or later with venv; `make PYTHON=/path/to/python3.13 ...` names another interpreter.

PYTHON =
ARGS =

PIP = .venv/bin/python -m pip --disable-pip-version-check --no-input --quiet
LOCKED = $(PIP) install --require-hashes --no-deps --requirement
PROJECT = $(PIP) install --no-deps --no-build-isolation --editable .
COMPILE = pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate $(ARGS)

.NOTPARALLEL:
.PHONY: help run serve test test-faults test-hostile test-contract test-page image-test lint format dashboards bench \
	bench-learning lock docs clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

run: .venv/.run ## Start the service on 127.0.0.1:8000, feed it this machine's own load, show what it predicts
	@exec .venv/bin/nobacktrack demo $(ARGS)

serve: .venv/.run ## Start the service alone
	@exec .venv/bin/nobacktrack serve $(ARGS)

test: .venv/.dev ## Every test; ARGS="-k word" chooses
	@.venv/bin/python -m pytest --numprocesses 2 --dist worksteal $(ARGS)

test-faults: .venv/.dev ## The tests of faults at full length, half an hour: writes tests/e2e/FAULTS.md
	@.venv/bin/python -m tests.e2e.faults.results --new
	@NBT_TEST_FAULTS=long NBT_TEST_MACHINE_RUNS=200 .venv/bin/python -m pytest --capture=no tests/e2e/faults \
		tests/integration/store/test_machine.py $(ARGS); status=$$?; \
	.venv/bin/python -m tests.e2e.faults.results $(if $(ARGS),,--all) && exit $$status

test-hostile: .venv/.dev ## Attacks at full size, beside a client that behaves, ten minutes: writes tests/e2e/HOSTILE.md
	@.venv/bin/python -m tests.e2e.hostile.results --new
	@NBT_TEST_HOSTILE=long .venv/bin/python -m pytest --capture=no tests/e2e/hostile $(ARGS); status=$$?; \
	.venv/bin/python -m tests.e2e.hostile.results $(if $(ARGS),,--all) && exit $$status

test-page: .venv/.dev ## The live page, fed for ten minutes in a browser, does not grow
	@NBT_TEST_PAGE=long .venv/bin/python -m pytest --capture=no tests/e2e/test_page.py -k fed_for_long $(ARGS)

test-contract: .venv/.dev .venv/.contract ## The OpenAPI document, tried by schemathesis, with keys and without
	@.venv/bin/python -m tests.contract.run .venv/contract/bin/schemathesis $(ARGS)

image-test: .venv/.dev ## Builds the container image without Docker (buildah, podman) and runs it as the compose file does
	@.venv/bin/python -m pytest --capture=no tests/image $(ARGS)

lint: .venv/.dev ## Style and types, the Dockerfile and the compose file
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@.venv/bin/hadolint Dockerfile
	@.venv/bin/check-jsonschema --quiet --builtin-schema vendor.compose-spec docker-compose.yml

format: .venv/.dev ## Mend what lint can mend by itself
	@.venv/bin/ruff check --fix .

dashboards: .venv/.dev ## Write Grafana's dashboards anew, and what docs/OPERATIONS.md says of their panels
	@.venv/bin/python -W ignore::DeprecationWarning -m deploy.grafana.build

bench: .venv/.dev ## Speed: each benchmark prints a ratio and the claim it guards
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 .venv/bin/python -m pytest --capture=no tests/bench $(ARGS)

bench-learning: .venv/.dev ## How well it learns, in half an hour: writes tests/bench/LEARNING.md
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 .venv/bin/python -m tests.bench.learning $(ARGS)

lock: ## Write the lock files anew from pyproject.toml; ARGS=--upgrade takes the newest versions
	@uv=.venv/bin/uv; [ -x $$uv ] || uv=$$(command -v uv) || \
		{ echo "make lock needs uv: 'make test' puts it into .venv" >&2; exit 1; }; \
	$$uv $(COMPILE) --extra server --group build --output-file requirements.lock pyproject.toml && \
	$$uv $(COMPILE) --extra server --group dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml && \
	$$uv $(COMPILE) --python-version 3.11 --output-file requirements-contract.lock --group contract

docs: .venv/.run ## Write what docs/OPERATIONS.md says of the settings from service/settings/__init__.py
	@.venv/bin/python -m tests.settings_table

clean: ## Remove .venv and what the tools left; the data in .nobacktrack stays
	@rm -rf .venv .hypothesis .image-test .mypy_cache .pytest_cache .ruff_cache
	@find model service deploy tests -name __pycache__ -prune -exec rm -rf {} +

# What is installed: .run for the service, .dev for the service and the tools, .contract for schemathesis. Each is newer than the files it follows.

.venv/.run: requirements.lock pyproject.toml | .venv/bin/python
	@echo "Installing what requirements.lock names into .venv; the first time takes a minute"
	@$(LOCKED) requirements.lock
	@$(PROJECT)
	@touch $@

.venv/.dev: requirements-dev.lock requirements.lock pyproject.toml | .venv/bin/python
	@echo "Installing what requirements-dev.lock names into .venv; the first time takes a minute"
	@$(LOCKED) requirements-dev.lock
	@$(PROJECT)
	@touch $@ .venv/.run

# Apart from the rest: it shares packages with the tests, in versions of its own.
.venv/.contract: requirements-contract.lock | .venv/bin/python
	@.venv/bin/python -m venv --clear .venv/contract
	@.venv/contract/bin/python -m pip --disable-pip-version-check --no-input --quiet install --require-hashes --no-deps \
		--requirement requirements-contract.lock
	@touch $@

# The first interpreter that is new enough and has venv; else one line that says what to install.
.venv/bin/python:
	@if [ -n "$(PYTHON)" ]; then set -- "$(PYTHON)"; else set -- python3 python3.14 python3.13 python3.12 python3.11; fi; \
	found=; \
	for python in "$$@"; do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
		found=$${found:-$$python}; \
		"$$python" -c 'import ensurepip, venv' 2>/dev/null || continue; \
		echo "Making .venv with $$("$$python" -V)"; \
		exec "$$python" -m venv --clear .venv; \
	done; \
	if [ -n "$$found" ]; then \
		echo "$$found has no venv module. Debian, Ubuntu: apt install python3-venv" >&2; \
	else \
		echo "NoBackTrack needs Python 3.11 or later; $$1 is missing or older. Debian, Ubuntu: apt install" \
			"python3 python3-venv; or name one: make PYTHON=/path/to/python3.13" >&2; \
	fi; \
	exit 1
