# `make demo` shows what prodrec does, `make test` checks all of it; `make help` lists the rest.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# Modules are compiled when they are first imported, and kept: some machines say that nothing shall be kept,
# and each process would then compile TensorFlow again, ten seconds.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
# The environment of a user, and the one of a developer: what the first lacks, the demo must not need.
USER_ENV := .venv
DEV_ENV := .venv-dev
LOWEST_ENV := .venv-lowest
comma := ,
EXTRAS := cluster,dev,docs,download,history,hub,labels,map,openvino,pgvector,postgres,sentences,serve
FAST_TESTS := $(patsubst %,tests/test_%.py,catalog index classifier recommender server project)
RESULTS ?= $(wildcard nbs/recipes/*.ipynb nbs/benchmarks/*.ipynb)

# Always from nothing: a requirement that was dropped from settings.ini must not linger. `compat`: else a script that stands beside the clone takes the clone's folder for the package.
define make_env
	@echo "$(1): installing $(2), a few minutes the first time"; \
	rm -rf $(1) && $(PYTHON) -m venv $(1) && \
	$(1)/bin/python -m pip install -qq --no-compile --disable-pip-version-check --config-settings editable_mode=compat -e "$(2)" && \
	touch $(1)/ready && echo "$(1): ready after $$SECONDS s"
endef

# Where CI=true, an environment that is already there is not trusted.
ifeq ($(CI),true)
.PHONY: $(USER_ENV)/ready $(DEV_ENV)/ready
endif

$(USER_ENV)/ready: settings.ini setup.py pyproject.toml
	$(call make_env,$(USER_ENV),.)

$(DEV_ENV)/ready: settings.ini setup.py pyproject.toml
	$(call make_env,$(DEV_ENV),.[$(EXTRAS)])

# All floors of settings.ini at once: what is tested here is the oldest that a user may have.
$(LOWEST_ENV)/ready: settings.ini .ci/lowest.py
	@echo "$(LOWEST_ENV): installing the oldest versions allowed, a few minutes the first time"; \
	rm -rf $(LOWEST_ENV) && $(PYTHON) -m venv $(LOWEST_ENV) && \
	$(LOWEST_ENV)/bin/python .ci/lowest.py $(subst $(comma), ,$(EXTRAS)) >$(LOWEST_ENV)/requirements.txt && \
	$(LOWEST_ENV)/bin/python -m pip install -qq --disable-pip-version-check -r $(LOWEST_ENV)/requirements.txt && \
	$(LOWEST_ENV)/bin/python -m pip install -qq --disable-pip-version-check --no-deps --config-settings editable_mode=compat -e . && \
	touch $@ && echo "$(LOWEST_ENV): ready after $$SECONDS s"

.PHONY: help demo test bare lowest env export format lint mutants fuzz kills notebooks results docs readme clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 12

demo: $(USER_ENV)/ready ## install prodrec into .venv and run `prodrec demo`
	@$(USER_ENV)/bin/prodrec demo && echo "demo: $$SECONDS s"

test: $(DEV_ENV)/ready ## all checks, as .ci/run makes them
	@$(DEV_ENV)/bin/python .ci/checks.py

bare: $(DEV_ENV)/ready ## a part of it as on a machine without weights, data, Chromium and PostgreSQL
	@$(DEV_ENV)/bin/python .ci/checks.py bare

lowest: $(LOWEST_ENV)/ready ## the fast tests, with the oldest version of every requirement
	@$(LOWEST_ENV)/bin/python -m pytest -q -p no:cacheprovider -n 2 --dist loadfile -m "not install" $(FAST_TESTS)

env: $(DEV_ENV)/ready ## the developer's environment in .venv-dev, with JupyterLab

export: $(DEV_ENV)/ready ## clean the notebooks and write prodrec/*.py and README.md from them
	@PATH="$(CURDIR)/$(DEV_ENV)/bin:$$PATH" && nbdev_clean && python .ci/widgets.py && nbdev_export && python .ci/readme.py

format: $(DEV_ENV)/ready ## put notebooks, tests and scripts into shape
	@$(DEV_ENV)/bin/ruff format nbs tests .ci && $(DEV_ENV)/bin/ruff check --fix nbs tests .ci

lint: $(DEV_ENV)/ready ## the stages of `make test` that take a second
	@$(DEV_ENV)/bin/python .ci/checks.py export readme lint

mutants: $(DEV_ENV)/ready ## small mistakes made on purpose: does a test fail for each? some 20 minutes
	@$(DEV_ENV)/bin/python .ci/mutants.py

fuzz: $(DEV_ENV)/ready ## ten minutes of damaged files and requests that nobody thought of
	@$(DEV_ENV)/bin/python .ci/fuzz.py --minutes 10

kills: $(DEV_ENV)/ready ## a server killed fifty times under load, on SQLite and on PostgreSQL: nothing confirmed is lost
	@PRODREC_KILLS=50 $(DEV_ENV)/bin/python -m pytest -s -q -p no:cacheprovider tests/test_server.py tests/test_postgres.py -k killed_at_random

notebooks: $(DEV_ENV)/ready ## run every notebook, each in a process of its own
	@$(DEV_ENV)/bin/python .ci/checks.py notebooks

docs: $(DEV_ENV)/ready ## the documentation site, from the notebooks as they are stored, in _docs
	@$(DEV_ENV)/bin/python .ci/docs.py

readme: $(DEV_ENV)/ready ## README.md from nbs/index.ipynb
	@$(DEV_ENV)/bin/python .ci/readme.py

results: $(DEV_ENV)/ready ## measure on real data (PRODREC_DATA) in full, into nbs/results/
	@.ci/results.sh $(DEV_ENV) $(RESULTS)

clean: ## remove environments, caches and what was built
	@rm -rf $(USER_ENV) $(DEV_ENV) $(LOWEST_ENV) .venv* build dist out *.egg-info .pytest_cache .ruff_cache .hypothesis
	@find nbs prodrec tests -name __pycache__ -prune -exec rm -rf {} +
