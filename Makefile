# Two commands do everything on a fresh machine: `make run` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
# One worker more than there are cores, as far as memory goes, four at most: see tests/conftest.py.
PYTEST := $(BIN)/python -m pytest --numprocesses auto --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help run test suite cluster variants chaos sanitize fuzz lock sbom audit check lint types clean

help: ## this list
	@echo "Kataribe, a storyteller for Discord"
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

run: $(VENV)/.installed-run ## install what is missing, migrate, start the bot and its generator
	@exec $(BIN)/python -m bot

test: $(VENV)/.installed-dev ## the same set-up, then lint, types and all tests
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory --jobs=2 types suite
	@$(MAKE) --no-print-directory cluster

CLUSTER := tests/generator/cluster tests/chaos/test_short_fleet.py
suite: $(VENV)/.installed-dev # beside the types, which keep no more than one core busy
	$(PYTEST) $(addprefix --ignore=,$(CLUSTER))

# By themselves: a dozen processes of Ray, or the machines of a fleet, beside other tests are waited
# for by all, and wait.
cluster: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n 0 $(CLUSTER)

# Tests of numbers: of every step of the generator, of the compiled one, and of training.
EVERY_STEP := $(addprefix tests/generator/test_, beams.py engine.py gpt2.py llama.py lstm_decoder.py) \
  tests/training/test_memfree.py
COMPILED := $(addprefix tests/generator/test_, memfree.py native.py quantised.py sampling.py)
LEARNING := $(addprefix tests/training/test_, \
  dropout.py likelihood.py loop.py lstm.py optimization.py teaching.py)
AVX2 := ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 \
  $(if $(filter x86_64,$(shell uname -m)),NATIVE_ISA=avx2)

variants: $(VENV)/.installed-dev ## the tests of numbers, as on a processor with AVX2, and without the C++ step
	$(AVX2) $(PYTEST) $(EVERY_STEP) $(COMPILED) $(LEARNING)
	NATIVE_ISA=off $(PYTEST) $(EVERY_STEP)

chaos: $(VENV)/.installed-dev ## the bot among faults, and whether it kept its promises: ARGS="--minutes 3 --seed 7"
	@$(BIN)/python -m tests.chaos $(ARGS)

# What a compiler warns of is an error here, and what a sanitizer finds ends the tests. libstdc++ is
# loaded first too, or the sanitizer does not know how to throw.
SANITIZED := g++ -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g
PRELOADED := $(foreach one,asan ubsan stdc++,$(shell g++ -print-file-name=lib$(one).so))

sanitize: $(VENV)/.installed-dev ## the C++ step under AddressSanitizer and UndefinedBehaviorSanitizer
	for isa in $(if $(filter x86_64,$(shell uname -m)),sapphirerapids haswell x86-64,native); do \
	  g++ -std=c++20 -O3 -Wall -Wextra -Werror -fPIC -march=$$isa -c -o /dev/null \
	    generator/native/library.cpp || exit; done
	CXX="$(SANITIZED)" LD_PRELOAD="$(PRELOADED)" PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0 \
	  UBSAN_OPTIONS=print_stacktrace=1 $(BIN)/python -m pytest --capture=no $(COMPILED)

fuzz: $(VENV)/.installed-dev ## ten thousand bad requests, and as many bad files and texts
	FUZZ_EXAMPLES=1250 $(BIN)/python -m pytest tests/fuzzing/test_parsers.py
	$(BIN)/python -m tests.fuzzing $(ARGS)

# The wheel for machines without an NVIDIA card is in no index that everybody reaches: its digest is
# taken from the one that `make` installs.
lock: $(VENV)/bin/python ## write requirements.lock: constraints.txt with the digests of all files
	rm -rf .wheels
	$(PIP) download --quiet --no-deps --dest .wheels --constraint constraints.txt $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	$(BIN)/python deploy/lock.py .wheels/torch-*
	rm -rf .wheels

# Tools of their own, in a place of their own: nothing of them is needed to run or test.
.tools/bin/python:
	$(PYTHON) -m venv .tools
	.tools/bin/pip --disable-pip-version-check install --quiet cyclonedx-bom==7.5.0 pip-audit==2.10.1

sbom: .tools/bin/python ## write sbom.json: what is installed, in CycloneDX's format
	.tools/bin/cyclonedx-py environment --output-reproducible --output-file sbom.json --pyproject pyproject.toml $(BIN)/python

audit: .tools/bin/python ## ask for known holes in what requirements.lock names
	.tools/bin/pip-audit --require-hashes --disable-pip --requirement requirements.lock

check: lint types ## lint, types, and who imports whom

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache

clean: ## remove what the commands above made (never your database or models)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache *.egg-info
	find bot generator training tests migrations -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Kataribe needs Python 3.11 or newer; this is $$($(PYTHON) --version). Set PYTHON=/path/to/python3."; exit 1; }
	$(PYTHON) -m venv $(VENV)

# PyPI's torch for Linux brings gigabytes of CUDA. Without an NVIDIA card, take the CPU build
# from PyTorch's own index when it can be reached. TORCH_INDEX=URL chooses another, TORCH_INDEX= none.
CPU_INDEX := https://download.pytorch.org/whl/cpu
TORCH_INDEX ?= $(shell [ "$$(uname -s)" = Linux ] && ! command -v nvidia-smi >/dev/null && \
  curl -fsI --max-time 5 $(CPU_INDEX)/torch/ >/dev/null 2>&1 && echo $(CPU_INDEX))

$(VENV)/.torch: constraints.txt | $(VENV)/bin/python
	$(PIP) install --quiet --constraint constraints.txt $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	@touch $@

$(VENV)/.installed-run: pyproject.toml constraints.txt $(VENV)/.torch
	$(PIP) install --quiet --constraint constraints.txt --editable '.[bot,generator]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt $(VENV)/.torch
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(VENV)/.installed-run
