# Everything a contributor runs. Needed beforehand: Python 3.11 or newer with pip and venv, GNU make, and a network the
# first time. Each target sets itself up; what is set up is remembered per pyproject.toml and constraints.txt.

PYTHON ?= python3
VENV ?= .venv
PORT ?= 8080
ARGS ?=
export PORT

BIN := $(VENV)/bin
PROJECTS := pyproject.toml $(wildcard plugins/*/pyproject.toml)
EDITABLES := -e ".[cli]" $(patsubst %/,-e ./%,$(dir $(wildcard plugins/*/pyproject.toml)))
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test check format prove bench docs constraints clean

help:
	@echo "make demo         a chat room with a bot at http://127.0.0.1:$(PORT)/   (PORT=9000 changes it)"
	@echo "make test         all tests; ARGS='-k lanes' passes options to pytest"
	@echo "make check        lint, format, types, layers, public API"
	@echo "make prove        the expensive proofs: long random runs and planted defects"
	@echo "make bench        messages per second beside the peer, in one run"
	@echo "make docs         the documentation as pages in site/"
	@echo "make format       let ruff fix and format"
	@echo "make constraints  pin the newest dependencies that fit"
	@echo "make clean        remove $(VENV) and the caches"
	@echo "PYTHON=python3.12 and VENV=.venv/312 choose another interpreter and another place for it"

demo: $(VENV)/.runtime
	@$(BIN)/roomkit serve --config examples/web_chat/roomkit.toml --port $(PORT)

test: $(VENV)/.dev
	$(BIN)/pytest -n auto --dist worksteal $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(VENV)/.dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

prove: $(VENV)/.dev
	$(BIN)/pytest -n auto --dist worksteal -m prove $(ARGS)
	$(BIN)/python -m tests.mutants.run

bench: $(VENV)/.dev
	@$(BIN)/python -m benchmarks.run $(ARGS)

docs: $(VENV)/.dev
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir site
	@echo "open site/index.html"

# uv.lock would carry the addresses of the package index it was made with; these pins carry none.
constraints: $(BIN)/uv
	$(BIN)/uv lock --quiet --upgrade
	$(BIN)/uv export --quiet --all-packages --all-groups --all-extras --no-hashes --no-header --no-annotate \
		--no-emit-workspace -o constraints.txt

clean:
	rm -rf $(VENV) site .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .bench

# ---------------------------------------------------------------------------------------------------------- set-up

$(VENV)/.runtime: $(PROJECTS) constraints.txt | $(BIN)/uv
	@echo "installing RoomKit Core and its plugins into $(VENV)"
	@$(INSTALL) $(EDITABLES)
	@touch $@

$(VENV)/.dev: $(PROJECTS) constraints.txt | $(BIN)/uv
	@echo "installing RoomKit Core, its plugins and the development tools into $(VENV)"
	@$(INSTALL) $(EDITABLES) --group dev
	@touch $(VENV)/.runtime $@

$(BIN)/uv:
	@"$(PYTHON)" -c "" 2>/dev/null || { \
		echo "'$(PYTHON)' does not run here. Install Python 3.11 or newer (Debian, Ubuntu: apt install python3 python3-venv)."; \
		exit 1; }
	@"$(PYTHON)" -c "import sys; sys.exit(sys.version_info < (3, 11))" || { \
		echo "RoomKit needs Python 3.11 or newer; '$(PYTHON)' is $$("$(PYTHON)" --version 2>&1)."; \
		echo "Install a newer one and name it: make $(or $(MAKECMDGOALS),demo) PYTHON=python3.12"; \
		exit 1; }
	@"$(PYTHON)" -c "import venv, ensurepip" 2>/dev/null || { \
		echo "'$(PYTHON)' comes without the venv module."; \
		echo "Debian, Ubuntu: apt install python3-venv (as root; for another version e.g. python3.12-venv), then run make again."; \
		exit 1; }
	@echo "making a virtual environment in $(VENV)"
	@"$(PYTHON)" -m venv "$(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
