# Every target sets up what it needs; the first one to run makes the virtual environment.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
WORKERS ?= 4
PROBE_PYTHON ?= $(BIN)/python

.DEFAULT_GOAL := help
.PHONY: help run demo test test-all test-gpu check generate bench bench-abuse bench-spikes bench-rules bench-latency bench-smtp bench-outbox bench-probe differential same-mails kill-loop soak clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "gpuwarden needs Python 3.11 or newer; name one with PYTHON=..."; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing; on Debian and Ubuntu: apt install python3-venv"; exit 2; }

$(RUNTIME): pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing gpuwarden into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(DEV): $(RUNTIME) pyproject.toml constraints.txt
	@echo "installing the tools for tests into $(VENV) ..."
	@$(BIN)/python -c 'import tomllib; print("\n".join(tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["dev"]))' > $(VENV)/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -r $(VENV)/dev.txt
	@touch $@

run: $(RUNTIME) ## Watch this machine: exporter on :9400, alerter on :9401
	@$(BIN)/gpuwarden up

demo: $(RUNTIME) ## The same with four simulated cards, one of which fills up
	@$(BIN)/gpuwarden up --demo

test: $(DEV) ## Everything that needs no further tool and no root
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not prometheus and not chromium and not torch and not docker and not systemd and not gpu"

test-all: $(DEV) ## The tiers that need a tool, found or installed
	@.ci/tools
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "prometheus or chromium or torch or docker or systemd or gpu"

test-gpu: $(DEV) ## The exporter beside nvidia-smi on this machine's cards; skips where there is none
	@$(BIN)/python -m pytest -m gpu tests/gpu

check: $(DEV) ## Lint, format, types, import directions
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright
	@$(BIN)/lint-imports

generate: $(DEV) ## Remake reference pages and golden files from the code
	@$(BIN)/python docs/remake.py
	@$(BIN)/python -m tests.golden.remake
	@$(BIN)/python -m dashboards.generate
	@git --no-pager diff --stat -- docs tests/golden dashboards/generated

bench: $(DEV) ## What the exporter costs beside its peers, measured here in four minutes
	@$(BIN)/python -m tests.perf.exporter_cost

bench-abuse: $(DEV) ## How scrapes fare while others abuse the page, measured here
	@$(BIN)/python -m tests.perf.exporter_abuse

bench-spikes: $(DEV) ## How many one-second memory spikes a 15 s scraper sees
	@$(BIN)/python -m tests.perf.memory_spikes

bench-rules: $(DEV) ## What judging all shipped rules over 100 machines costs
	@$(BIN)/python -m tests.perf.rule_evaluation

bench-latency: $(DEV) ## How long a mail takes from a card that fills up to the mail server, on three roads, in three minutes
	@$(BIN)/python -m tests.perf.mail_latency

bench-smtp: $(DEV) ## Who gets a mail from a mail server that misbehaves, beside Alertmanager, in three minutes
	@$(BIN)/python -m tests.perf.smtp_misbehaviour

bench-outbox: $(DEV) ## How long 10,000 mails at once take, beside plain aiosmtplib
	@$(BIN)/python -m tests.perf.ten_thousand_mails

bench-probe: $(DEV) ## What a training job on this card loses to the probe, in eight minutes; needs torch in PROBE_PYTHON
	@$(PROBE_PYTHON) -m tests.perf.probe_beside_a_job

differential: $(DEV) ## Whether 10,000 random rules fire in the same minutes here and in Prometheus 2 and 3
	@$(BIN)/python -m tests.perf.rules_differential

kill-loop: $(DEV) ## Whether the alerter loses or makes up a mail when it is killed 200 times, in two to four minutes
	@$(BIN)/python -m tests.perf.kill_loop

soak: $(DEV) ## Whether the exporter's memory stays flat over a million samples
	@$(BIN)/python -m tests.perf.exporter_soak

same-mails: $(DEV) ## Whether both roads tell the same of a 25-minute outage, as it happens, in three quarters of an hour
	@$(BIN)/python -m tests.perf.same_mails

clean: ## Remove what the targets made
	rm -rf $(VENV) build dist
