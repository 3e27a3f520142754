# Every target does its own set-up: a fresh machine needs Python 3.11+ and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCH_STAMP := $(VENV)/.installed-bench
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test test-fast test-rabbitmq lint bench bench-detection bench-watches \
	bench-ratelimit chaos lock clean

demo: $(STAMP) ## break a flow and watch it come back, with nothing configured
	$(BIN)/knowngood demo

test: lint ## everything that CI runs
	$(BIN)/pytest

test-fast: $(STAMP) ## no real processes
	$(BIN)/pytest -m "not slow and not faults and not rabbitmq"

test-rabbitmq: $(STAMP) ## the same code on RabbitMQ; needs a server on this machine
	$(BIN)/pytest -m rabbitmq tests/rabbitmq

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(BENCH_STAMP) ## speed, side by side with what else one might use; writes docs/performance.md
	$(BIN)/python -m bench.speed $(if $(QUICK),--quick)

bench-detection: $(BENCH_STAMP) ## what each policy finds, and what it wrongly rolls back
	$(BIN)/python -m bench.detection $(if $(QUICK),--quick)

bench-watches: $(BENCH_STAMP) ## many watches on one machine
	$(BIN)/python -m bench.watches

bench-ratelimit: $(BENCH_STAMP) ## many workers at the API's rate limit
	$(BIN)/python -m bench.ratelimit

ROUNDS ?= 200
chaos: $(STAMP) ## faults at random; replay with SEED=…, in the other dialect with API=platform
	$(BIN)/python -m bench.chaos --rounds $(ROUNDS) $(if $(SEED),--seed $(SEED)) $(if $(API),--api $(API))

$(STAMP): requirements-dev.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "knowngood needs Python 3.11 or newer; say which with: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(BENCH_STAMP): requirements-bench.lock $(STAMP)
	$(BIN)/pip install --quiet --require-hashes -r requirements-bench.lock
	@touch $@

lock: ## renew the lock files to current releases; needs uv
	echo hatchling | uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command "make lock" --upgrade - -o requirements-build.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command "make lock" --upgrade --extra tracing pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command "make lock" --upgrade --extra tracing pyproject.toml --group dev -o requirements-dev.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command "make lock" --upgrade --extra tracing pyproject.toml --group bench -o requirements-bench.lock

clean:
	rm -rf $(VENV) .knowngood
