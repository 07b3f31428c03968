# `make` lists what there is to do.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-unit test-contracts test-foundry test-integration lint slither coverage gas gas-update \
    halmos mutation chaos prove format abi clean
SHELL := bash

PYTHON_FILES := koinon processor scripts tests tools benchmarks examples
SOLIDITY_FILES := 'contracts/**/*.sol'

SIDE_BY_SIDE := -p no:pytest-brownie -n 2 --dist worksteal

NODE_TOOLS := PATH="$(CURDIR)/node_modules/.bin:$$PATH"

##@ Run

demo: setup ## a federation of processes on a private chain; ARGS="--clients 5 --rounds 10 --relay ..."
	.venv/bin/koinon demo $(ARGS)

setup: ## install what is needed into this folder (every target does that by itself)
	@PYTHON="$(PYTHON)" tools/setup

##@ Check

test: setup ## every test: unit, contracts, foundry, integration
	@status=0; \
	$(MAKE) --no-print-directory --keep-going --jobs=2 --output-sync=target test-contracts test-unit test-foundry || status=1; \
	$(MAKE) --no-print-directory test-integration || status=1; \
	exit $$status

test-unit: setup ## what needs no node
	.venv/bin/python -m pytest tests/unit $(SIDE_BY_SIDE) $(ARGS)

test-contracts: setup ## the contracts, by brownie on a development chain
	tools/brownie test tests/contracts $(ARGS)

test-foundry: setup ## the contracts again, by forge: every line, random inputs, random stories against a model
	$(NODE_TOOLS) FOUNDRY_PROFILE=test forge test --no-match-path 'tests/foundry/{Gas.t.sol,symbolic/*}' $(ARGS)

test-integration: setup ## federations of processes on anvil, Kubo and geth (skipped where a program is missing)
	.venv/bin/python -m pytest tests/integration $(SIDE_BY_SIDE) $(ARGS)

lint: setup ## style, types, directions of imports, Solidity
	.venv/bin/ruff check $(PYTHON_FILES)
	.venv/bin/ruff format --check $(PYTHON_FILES)
	.venv/bin/lint-imports
	.venv/bin/mypy
	$(NODE_TOOLS) forge fmt --check contracts
	$(NODE_TOOLS) solhint --disc --noPoster --max-warnings 0 $(SOLIDITY_FILES)

slither: setup ## static analysis of the contracts: no finding without a reason in tests/slither-triage.toml
	.venv/bin/python -m tools.slither

coverage: setup ## every line and branch of contracts/ is run by the Foundry tests
	.venv/bin/python -m tools.coverage

gas: setup ## what transactions cost, today and after the fork, against ceilings and the snapshot: nothing may grow
	.venv/bin/python -m tools.gas

##@ Prove (longer; ARGS=--quick for under two minutes, what was done is not done again)

halmos: setup ## the arithmetic of rewards, seats and selection, for every input
	@PYTHON="$(PYTHON)" tools/setup halmos
	.venv/bin/python -m tools.halmos

mutation: setup ## small faults in the contracts: which do the tests catch? ARGS="--semantic | --quick | --only ID | --list | --resume"
	.venv/bin/python -m tools.mutation $(ARGS)

chaos: setup ## a federation of processes whose daemons, nodes and members fail; ARGS="--quick | --seed N | --chain geth | --storage kubo | --resume"
	.venv/bin/python -m tests.chaos $(ARGS)

prove: setup ## deep searches for broken promises, answers of strangers, arithmetic and seats, and the faults
	@PYTHON="$(PYTHON)" tools/setup halmos
	.venv/bin/python -m tools.prove $(ARGS)

##@ Change

format: setup ## put Python and Solidity into the one format
	.venv/bin/ruff check --fix-only --quiet $(PYTHON_FILES)
	.venv/bin/ruff format $(PYTHON_FILES)
	$(NODE_TOOLS) forge fmt contracts

gas-update: setup ## write the gas snapshot again
	.venv/bin/python -m tools.gas --update

abi: setup ## compile the contracts into processor/chain/abi, which the package ships
	.venv/bin/python tools/abi.py

clean: ## remove what was built and installed
	rm -rf .venv node_modules .home build interfaces reports *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:
	@awk 'BEGIN { FS = ":.*## " } \
	    /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	    /^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
