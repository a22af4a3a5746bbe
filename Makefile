# Two commands do all the set-up on a fresh machine: `make replay` and `make test`.
# Each keeps what it installed in a virtual environment and installs again only
# when pyproject.toml has changed.

PYTHON ?= python3
PIP = -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help replay test check replay-logs faults fuzz clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/'

# What a reader of logs installs: no torch.
.venv-replay/installed: pyproject.toml
	@echo "setting up .venv-replay (once; no torch needed) ..."
	@test -x .venv-replay/bin/python || $(PYTHON) -m venv .venv-replay
	@.venv-replay/bin/python $(PIP) --editable .
	@touch $@

# What the tests need: torch (pinned), tensorboardX, scikit-learn and the checkers.
.venv/installed: pyproject.toml
	@echo "setting up .venv (once; downloads torch) ..."
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@.venv/bin/python $(PIP) --editable '.[dev]'
	@touch $@

replay: .venv-replay/installed  ## replay the recorded logs: the main job
	@.venv-replay/bin/plateau-watch replay replay_logs

test: .venv/installed  ## run all tests
	.venv/bin/python -m pytest

check: .venv/installed  ## lint, types and the direction of dependencies
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

# Keras' TensorBoard callback needs TensorFlow, which the tests do without.
.venv-keras/installed: Makefile
	@echo "setting up .venv-keras (once; downloads TensorFlow) ..."
	@test -x .venv-keras/bin/python || $(PYTHON) -m venv .venv-keras
	@.venv-keras/bin/python $(PIP) 'tensorflow-cpu>=2.21' 'keras>=3.15' tensorboard scikit-learn
	@touch $@

replay-logs: .venv/installed .venv-keras/installed  ## write replay_logs anew, by really training
	.venv/bin/python examples/record_replay_logs.py replay_logs \
		--keras-python "$(CURDIR)/.venv-keras/bin/python"
	.venv/bin/python tools/readme_outputs.py

# Other readers of event files, each fault in a process of its own.
.venv-faults/installed: pyproject.toml
	@test -x .venv-faults/bin/python || $(PYTHON) -m venv .venv-faults
	@.venv-faults/bin/python $(PIP) --editable '.[faults]'
	@touch $@

faults: .venv-faults/installed  ## write docs/faults.md: what each reader makes of broken files
	.venv-faults/bin/python -m benchmarks.faults docs/faults.md

.venv-fuzz/installed: pyproject.toml
	@test -x .venv-fuzz/bin/python || $(PYTHON) -m venv .venv-fuzz
	@.venv-fuzz/bin/python $(PIP) --editable '.[fuzz]'
	@touch $@

FUZZ_SECONDS ?= 600

fuzz: .venv-fuzz/installed  ## fuzz the reading of event files; inputs grow in .fuzz/
	@mkdir -p .fuzz
	.venv-fuzz/bin/python -m tools.fuzz_reading .fuzz tests/corpus \
		-max_total_time=$(FUZZ_SECONDS) -max_len=2048 -rss_limit_mb=2048 -timeout=20

clean:  ## remove what make has installed
	rm -rf .venv .venv-replay .venv-keras .venv-faults .venv-fuzz
