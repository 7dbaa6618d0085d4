# Needs make and Python 3.11 or later with venv; `make PYTHON=/path/to/python3.13 ...` names another interpreter.

PYTHON =
ARGS =

PIP = -m pip --disable-pip-version-check --no-input
PROJECT = .venv/bin/python $(PIP) --quiet install --no-deps --no-build-isolation --editable .
TWO = --numprocesses 2 --dist worksteal
COMPILE = pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate $(ARGS)

.NOTPARALLEL:
.PHONY: help run serve test test-tools check test-faults test-hostile test-contract test-page image-test coverage lint \
	format hooks dashboards bench bench-learning bench-forecasts profile lock docs clean

help: ## This list; the times are those of two cores, once .venv is installed and the kernels are compiled
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

run: .venv/.run ## Start the service on 127.0.0.1:8000 and show how it predicts this machine's own load (ready in 3 s)
	@exec .venv/bin/nobacktrack demo $(ARGS)

serve: .venv/.run ## Start the service alone (ready in 3 s)
	@exec .venv/bin/nobacktrack serve $(ARGS)

test: .venv/.dev ## Every test; ARGS="-k word" chooses (5 minutes)
	@.venv/bin/python -m pytest $(TWO) $(ARGS)

test-tools: ## Install the programs that some tests need: nginx, Prometheus, Chromium, openssl (2 minutes)
	@tests/support/install-tools

check: lint .venv/.dev ## Before a commit: lint and the fast tests (1 minute)
	@.venv/bin/python -m pytest $(TWO) -m "not slow" tests/unit $(ARGS)

coverage: .venv/.dev ## How many lines the unit and integration tests reach; compiled kernels do not count (6 minutes)
	@.venv/bin/coverage erase
	@.venv/bin/coverage run -m pytest $(TWO) tests/unit tests/integration $(ARGS)
	@.venv/bin/coverage combine --quiet
	@.venv/bin/coverage report

test-faults: .venv/.dev ## The tests of faults at full length, writes tests/e2e/FAULTS.md (half an hour)
	@.venv/bin/python -m tests.e2e.faults.results --new
	@NBT_TEST_FAULTS=long NBT_TEST_MACHINE_RUNS=200 .venv/bin/python -m pytest --capture=no tests/e2e/faults \
		tests/integration/store/test_machine.py $(ARGS); status=$$?; \
	.venv/bin/python -m tests.e2e.faults.results $(if $(ARGS),,--all) && exit $$status

test-hostile: .venv/.dev ## Attacks at full size, beside a client that behaves: writes tests/e2e/HOSTILE.md (10 minutes)
	@.venv/bin/python -m tests.e2e.hostile.results --new
	@NBT_TEST_HOSTILE=long .venv/bin/python -m pytest --capture=no tests/e2e/hostile $(ARGS); status=$$?; \
	.venv/bin/python -m tests.e2e.hostile.results $(if $(ARGS),,--all) && exit $$status

test-page: .venv/.dev ## The live page does not grow while a browser shows it for long (11 minutes)
	@NBT_TEST_PAGE=long .venv/bin/python -m pytest --capture=no tests/e2e/test_page.py -k fed_for_long $(ARGS)

test-contract: .venv/.dev .venv/.contract ## The OpenAPI document, tried by schemathesis, with keys and without (5 minutes)
	@.venv/bin/python -m tests.contract.run .venv/contract/bin/schemathesis $(ARGS)

image-test: .venv/.dev ## Build the container image with buildah and run it as the compose file does (5 minutes)
	@.venv/bin/python -m pytest --capture=no tests/image $(ARGS)

lint: .venv/.dev ## Style, format, spelling, types, directions of imports, Dockerfile, compose file (20 s)
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/typos
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-cache
	@.venv/bin/hadolint Dockerfile
	@.venv/bin/check-jsonschema --quiet --builtin-schema vendor.compose-spec docker-compose.yml

format: .venv/.dev ## Format the code and mend what ruff can mend by itself (1 s)
	@.venv/bin/ruff check --fix --exit-zero .
	@.venv/bin/ruff format .

hooks: .venv/.dev ## Let git run the checks of .pre-commit-config.yaml before each commit (1 s)
	@.venv/bin/pre-commit install

dashboards: .venv/.dev ## Write Grafana's dashboards, and the list of their panels in docs/OPERATIONS.md (2 s)
	@.venv/bin/python -W ignore::DeprecationWarning -m deploy.grafana.build

bench: .venv/.dev ## Speed: each benchmark prints a ratio and whether it meets its target (3 minutes)
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 .venv/bin/python -m pytest --capture=no tests/bench $(ARGS)

bench-learning: .venv/.dev ## How well the learners learn: writes tests/bench/LEARNING.md (half an hour)
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 .venv/bin/python -m tests.bench.learning $(ARGS)

bench-forecasts: .venv/.dev ## How good forecasts of many steps are: writes tests/bench/FORECASTS.md (a minute)
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 .venv/bin/python -m tests.bench.forecasts

profile: .venv/.dev ## Where a service under load spends its time, for each function and as a flame graph (30 s)
	@.venv/bin/python -m tests.bench.profile $(ARGS)

lock: ## Write the lock files anew from pyproject.toml; ARGS=--upgrade takes the newest versions (5 s)
	@uv=.venv/bin/uv; [ -x $$uv ] || uv=$$(command -v uv) || \
		{ echo "make lock needs uv: 'make test' puts it into .venv" >&2; exit 1; }; \
	$$uv $(COMPILE) --extra server --group build --output-file requirements.lock pyproject.toml && \
	$$uv $(COMPILE) --extra server --group dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml && \
	$$uv $(COMPILE) --python-version 3.11 --output-file requirements-contract.lock --group contract

docs: .venv/.run ## Write the table of settings in docs/OPERATIONS.md from the code (2 s)
	@.venv/bin/python -m tests.settings_table

clean: ## Remove .venv and what the tools left; the data in .nobacktrack stays (1 s)
	@rm -rf .venv .coverage* .hypothesis .image-test .mypy_cache .profile .pytest_cache .ruff_cache
	@find model service deploy tests -name __pycache__ -prune -exec rm -rf {} +

# What is installed: .run for the service, .dev for the service and the tools, .contract for schemathesis. Each is newer
# than the files that it follows.

# $(call install,PYTHON,LOCK): installs what a lock file names, and says how far it is, as pip itself is either silent or
# prints a line for each file. A shell has no exit code for the left side of a pipe, so the last line tells it.
define install
@total=$$(grep -c '^[a-z0-9]' $(2)); start=$$(date +%s); \
echo "Installing the $$total packages of $(2); the first time this takes a minute or two"; \
{ $(1) $(PIP) install --progress-bar off --require-hashes --no-deps --requirement $(2) && echo SUCCEEDED; } | { \
	count=0; status=1; \
	while read -r line; do case $$line in \
	SUCCEEDED) status=0 ;; \
	Collecting\ *|Processing\ *|Requirement\ already\ *|Ignoring\ *) count=$$((count + 1)); \
		[ $$((count % 20)) != 0 ] || echo "  $$count of $$total, $$(($$(date +%s) - start)) s" ;; \
	Installing\ collected*) echo "  all are there, $$(($$(date +%s) - start)) s; unpacking them takes half a minute" ;; \
	esac; done; \
	[ $$status = 1 ] || echo "  done, $$(($$(date +%s) - start)) s"; exit $$status; }
endef

.venv/.run: requirements.lock pyproject.toml | .venv/bin/python
	$(call install,.venv/bin/python,requirements.lock)
	@$(PROJECT)
	@touch $@

.venv/.dev: requirements-dev.lock requirements.lock pyproject.toml | .venv/bin/python
	$(call install,.venv/bin/python,requirements-dev.lock)
	@$(PROJECT)
	@touch $@ .venv/.run

# Apart from the rest: it shares packages with the tests, in versions of its own.
.venv/.contract: requirements-contract.lock | .venv/bin/python
	@.venv/bin/python -m venv --clear .venv/contract
	$(call install,.venv/contract/bin/python,requirements-contract.lock)
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
