# Commands of this repository; `make` alone lists them. All of them can be interrupted and repeated.

VENV := .venv
TOOLS := .tools
BIN := $(VENV)/bin
# PYTHON=... chooses the interpreter; without it the first that fits is taken.
PYTHONS := $(or $(PYTHON),python3.11 python3.12 python3.13 python3)
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))

# Test files that run at once; each process has a Spark session of its own.
JOBS := 2
AT_ONCE = -n $(JOBS) --dist loadfile --no-loadscope-reorder

# How long the tests with a tally go on.
KILLS := 200
SEEDS := 5
ZONES := UTC Asia/Tokyo Europe/Berlin

# uv from the PATH, else a pinned one in its own environment. (The redirection makes this a shell's job.)
UV := $(shell command -v uv 2>/dev/null)
ifeq ($(UV),)
UV := $(TOOLS)/uv/bin/uv
UV_STAMP := $(TOOLS)/uv/.done
endif

# Stamps are written only after success and live in what they vouch for. Scripts and the editable
# install hold absolute paths, so an environment that was moved or copied here is built again.
LOCKED := $(VENV)/.locked
PROJECT := $(VENV)/.project
BUILT_AT := $(shell cat $(PROJECT) 2>/dev/null)
MOVED := $(filter-out $(CURDIR),$(BUILT_AT))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test test-full test-chaos test-kills test-long lint format types imports check services services-down lock clean moved

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(PROJECT) ## Python environment, Java and jars; does only what is missing
	@$(BIN)/python -m flows.provision

demo: setup ## Set up and run the main job; ARGS="format=iceberg" and other overrides
	@$(BIN)/lakehouse demo $(ARGS)

test: setup ## Set up and run the tests; ARGS="-k name" and other pytest options
	@$(BIN)/pytest -m "not slow" $(AT_ONCE) $(ARGS)

test-full: setup ## The slow tests: full size, further cases, Iceberg throughout
	@$(BIN)/pytest -m slow --ignore=tests/chaos $(AT_ONCE) $(ARGS)

test-chaos: setup ## The tests that kill runs at each named point
	@$(BIN)/pytest -m slow tests/chaos $(ARGS)

test-kills: setup ## Kills at random points, KILLS=200 over all calls; goes on from TALLY
	@$(BIN)/python -m tests.chaos.random_kills --kills $(KILLS) --tally $(or $(TALLY),.tally/kills.jsonl) $(ARGS)

test-long: setup ## Random deliveries against the model, SEEDS=5 in each of ZONES; goes on from TALLY
	@for zone in $(ZONES); do TZ=$$zone $(BIN)/python -m tests.property.long --seeds $(SEEDS) \
	  --tally $(or $(TALLY),.tally/long.jsonl) $(ARGS) || exit $$?; done

lint: setup ## Style
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: setup ## Put the style right
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: setup ## Types
	@$(BIN)/mypy

imports: setup ## Directions between packages and rooms
	@$(BIN)/lint-imports

check: lint types imports test ## All that a change has to pass

services: setup ## Start Kafka, PostgreSQL and the other services of the tests; prints what to source
	@$(BIN)/python -m tests.services up

services-down: setup ## Stop them
	@$(BIN)/python -m tests.services down

lock: $(UV_STAMP) ## Resolve the locked versions again; ARGS=--upgrade takes newer ones
	@$(UV) pip compile --quiet pyproject.toml --extra dev --extra snowflake --universal --python-version 3.11 \
	  --prerelease=if-necessary-or-explicit --generate-hashes --no-emit-index-url --no-header \
	  --output-file requirements.lock $(ARGS) >/dev/null
	@echo uv | $(UV) pip compile --quiet - --generate-hashes --no-emit-index-url --no-header \
	  --no-annotate --output-file requirements-uv.lock $(ARGS) >/dev/null
	@echo 'requirements.lock is resolved; `make setup` installs it'

clean: ## Remove the environment and caches of this clone; lakes and the jar cache stay
	@rm -rf $(VENV) $(TOOLS) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# $(call quietly,step,command): what the command prints goes to a log, whose end is shown on failure.
define quietly
mkdir -p $(TOOLS); { $(2); } >$(TOOLS)/$(1).log 2>&1 </dev/null || { status=$$?; \
  tail -n 20 $(TOOLS)/$(1).log >&2; \
  echo 'Set-up stopped at $(1); $(TOOLS)/$(1).log has it all, `make setup` goes on from here.' >&2; \
  exit $$status; }
endef

# The first interpreter that fits, as `$$python`; stops with advice when there is none.
define choose_python
for python in $(PYTHONS) ''; do "$$python" -c '$(FITS)' 2>/dev/null && break; done; \
if [ -z "$$python" ]; then echo 'Python 3.11, 3.12 or 3.13 is needed; tried: $(PYTHONS).' \
  'Install one, or run `make setup PYTHON=/path/to/python3.11`.' >&2; exit 2; fi
endef

$(TOOLS)/uv/.done: requirements-uv.lock
	@echo 'uv: not on the PATH, installing it in $(TOOLS)/uv'
	@$(choose_python); $(call quietly,uv,rm -rf $(TOOLS)/uv && "$$python" -m venv $(TOOLS)/uv && \
	  $(TOOLS)/uv/bin/python -m pip install --disable-pip-version-check --no-deps \
	  --require-hashes --only-binary :all: -r requirements-uv.lock)
	@touch $@

$(LOCKED): requirements.lock $(if $(MOVED),moved) | $(UV_STAMP)
	@test -z '$(MOVED)' && $(BIN)/python -c '$(FITS)' 2>/dev/null || { $(choose_python); \
	  echo "environment: creating $(VENV) with $$("$$python" --version)"; \
	  $(call quietly,environment,rm -rf $(VENV) && $(UV) venv --python "$$python" $(VENV)); }
	@echo 'packages: installing those of requirements.lock (1 GB the first time)'
	@$(call quietly,packages,$(UV) pip sync --require-hashes --build-constraints requirements.lock \
	  --python $(BIN)/python requirements.lock)
	@touch $@

$(PROJECT): pyproject.toml $(LOCKED)
	@echo 'project: installing it in $(VENV)'
	@$(call quietly,project,$(UV) pip install --no-deps --no-build-isolation \
	  --python $(BIN)/python --editable .)
	@echo '$(CURDIR)' >$@
