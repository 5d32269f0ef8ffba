# Needs Python 3.11 or newer; PYTHON names another one.
PYTHON ?= $(shell for python in python3.14 python3.13 python3.12 python3.11 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin

.PHONY: run test system campaign paging deliveries feed fuzz lint messages bench pictures clean

run: .venv/installed
	$(BIN)/ringback demo

test: lint system
	$(BIN)/pytest

# What tests need that pip does not bring; libfaketime moves the clock of the days that they simulate.
SYSTEM := faketime openssl curl chromium caddy php-cli
system:
	@{ ls /usr/lib/*/faketime/libfaketime.so.1 && command -v openssl && command -v curl && command -v caddy && command -v php \
		&& { command -v chromium || command -v chromium-browser || command -v google-chrome; }; } >/dev/null 2>&1 \
		|| apt-get install -y -q --no-install-recommends $(SYSTEM) \
		|| { apt-get update -q && apt-get install -y -q --no-install-recommends $(SYSTEM); }

# 30 simulated days of five phones; SEED=n repeats a run, ENGINE=postgresql takes the other database.
campaign: .venv/installed-dev system
	DAYS=$(or $(DAYS),30) $(BIN)/pytest tests/test_campaign.py -n0 -rP --timeout=0 -k "days or controls"

# Paging through 100,000 calls while four writers insert, update and delete.
paging: .venv/installed-dev
	STANDING=100000 $(BIN)/pytest tests/test_calls.py -n2 --dist=load -rP --timeout=0 -k pages_while

# 5,000 events to a receiver that fails, while the server is killed 20 times.
deliveries: .venv/installed-dev
	DELIVERIES=5000 KILLS=20 $(BIN)/pytest tests/test_delivery.py -n2 --dist=load -rP --timeout=0 -k every_event

# 200 runs of the change feed with eight writers.
feed: .venv/installed-dev
	RUNS=200 $(BIN)/pytest tests/test_changes.py -n2 --dist=load -rP --timeout=0 -k readers_have

# 10,000 mutated files of all sources; FILES=n for another count.
fuzz: .venv/installed-dev
	PYTHONPATH=tests $(BIN)/python tests/fuzz_files.py $(or $(FILES),10000)

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Texts of the pages that are new wait in each language's file to be translated.
messages: .venv/installed-dev
	@mkdir -p build
	$(BIN)/pybabel -q extract -F babel.cfg -k N_ --no-location --sort-output -o build/ringback.pot src/ringback/web
	@for language in $(LANGUAGES); do file=src/ringback/web/locale/$$language.po; \
		test -f $$file || $(BIN)/pybabel -q init -l $$language -i build/ringback.pot -o $$file; \
		$(BIN)/pybabel -q update -N --no-wrap --ignore-obsolete -l $$language -i build/ringback.pot -o $$file; done
LANGUAGES := ar fr vi

bench: .venv/installed-dev
	$(BIN)/python -m bench
	$(BIN)/python -m bench.webhooks
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python -m bench.peers

# A picture of every page in build/pictures, to be looked at.
pictures: .venv/installed-dev system
	@fc-list 2>/dev/null | grep -q -i "noto.*cjk" || apt-get install -y -q --no-install-recommends \
		fontconfig fonts-noto-core fonts-noto-cjk fonts-noto-color-emoji
	$(BIN)/python -m bench.pictures

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist

.venv/python:
	@test -n "$(PYTHON)" || { echo "Ringback needs Python 3.11 or newer: install it, or name it with PYTHON=."; exit 1; }
	@# Debian's Python comes without venv.
	$(PYTHON) -m venv .venv || { rm -rf .venv && apt-get install -y python3-venv && $(PYTHON) -m venv .venv; }
	@touch $@

.venv/installed: .venv/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/installed-dev: .venv/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
