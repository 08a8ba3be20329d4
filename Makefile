# Everything a person or a machine does with this repository. `make` alone prints the list.

SHELL := /bin/bash
PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
READY  := $(VENV)/.ready

TEST     ?=# which scenario: make sim TEST=list shows them
SEED     ?=# seed of every random choice (default 1)
SIM      ?=# icarus or verilator (default: both for tests, verilator for sim)
WAVES    ?=# 1 writes an FST beside the log of each run
TOP      ?=# one module, for lint and synth
K        ?=# which tests, as pytest -k
J        ?= 2# how many tests, or seeds of a regression, at once
SEEDS    ?= 8# how many seeds: make regress
FIRST_SEED ?=# the first of them (default: a random one, printed)
FAULTS   ?=# what the wire does in a regression: none, light or full (default)
ARGS     ?=# further options for the program behind sim, bench, regress or test

export SEED SIM WAVES TOP

# An empty variable is one that was not given.
ifeq ($(strip $(SEED)),)
unexport SEED
endif

options = $(if $(strip $(TEST)),--test $(strip $(TEST))) $(if $(strip $(SEED)),--seed $(strip $(SEED))) \
          $(if $(strip $(SIM)),--sim $(strip $(SIM))) $(if $(filter-out 0,$(strip $(WAVES))),--waves) $(ARGS)

.DEFAULT_GOAL := help
.PHONY: help setup spec test test-all conformance regress sim waves lint format synth verilog bench cov docs clean

help: ## This list
	@echo "Targets:"
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 14
	@echo "Variables:"
	@sed -nE 's/^([A-Z_]+) +\?= *([^#]*)# +(.*)/  \1\t\3/p' $(firstword $(MAKEFILE_LIST)) | expand -t 14

setup: $(READY) ## Virtual environment, simulators and tools

$(READY): pyproject.toml scripts/setup.sh
	@PYTHON=$(PYTHON) scripts/setup.sh

spec: $(READY) ## Regenerate includes, reference pages and the file list
	$(PY) -m spec.generate
	$(PY) -m tb.sources

test: $(READY) ## All tests but the slow ones (K= to select)
	$(PY) -m pytest -n $(J) $(if $(strip $(K)),-k '$(strip $(K))') $(ARGS)

test-all: $(READY) ## All tests
	$(PY) -m pytest -n $(J) --slow $(if $(strip $(K)),-k '$(strip $(K))') $(ARGS)

conformance: $(READY) ## Every item of the protocol checklist: tests, verdict, build/conformance.json
	$(PY) -m scripts.conformance -n $(J) $(ARGS)

regress: $(READY) ## Random traffic with faults, seed by seed (SEEDS= FIRST_SEED= FAULTS= J=)
	$(PY) -m tb.regress --seeds $(SEEDS) --jobs $(J) \
	  $(if $(strip $(FIRST_SEED)),--first-seed $(strip $(FIRST_SEED))) \
	  $(if $(strip $(FAULTS)),--faults $(strip $(FAULTS))) $(ARGS)

sim: $(READY) ## One scenario on the simulator (TEST= SEED= SIM= WAVES=)
	$(PY) -m tb.run_sim $(options)

waves: $(READY) ## The same with waves, then GTKWave on its view where there is one
	$(PY) -m tb.run_sim --waves $(if $(strip $(TEST)),--test $(strip $(TEST))) \
	  $(if $(strip $(SEED)),--seed $(strip $(SEED))) $(if $(strip $(SIM)),--sim $(strip $(SIM))) $(ARGS)
	@scripts/waves.sh

bench: $(READY) ## Cycles per packet and per message, and latencies, against their budgets
	$(PY) -m tb.bench $(options)

lint: $(READY) ## Every linter, formatter check, mypy (TOP= for one module)
	$(PY) -m scripts.lint

format: $(READY) ## Format the Python sources
	$(PY) -m ruff check -q --fix . ; $(PY) -m ruff format -q .

synth: $(READY) ## Yosys resources per module, into docs/reference (TOP= for one, printed)
	$(PY) -m scripts.synth

verilog: $(READY) ## The device as plain Verilog-2005: build/rnic_verilog2005.v
	$(PY) -m scripts.verilog

cov: $(READY) ## Line, toggle and functional coverage of the tests, merged: build/coverage
	rm -rf build/coverage
	RTL_COVERAGE=1 SIM=verilator $(PY) -m pytest -n $(J) $(if $(strip $(K)),-k '$(strip $(K))') $(ARGS)
	$(PY) -m scripts.coverage

docs: spec synth ## Reference pages, those of the synthesis too

clean: ## Everything under build/
	rm -rf build .pytest_cache .mypy_cache .ruff_cache .hypothesis
