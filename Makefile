# medtl: two commands do everything, `make reproduce` and `make test`. Nothing outside this folder is touched.

PYTHON  ?= python3
PROFILE ?= smoke
ARGS    ?=
VENV    := .venv
BIN     := $(VENV)/bin
READY   := $(VENV)/.ready

export NO_ALBUMENTATIONS_UPDATE := 1

.DEFAULT_GOAL := help
.PHONY: help env reproduce test notebooks lab report bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  variables: PROFILE=smoke|teach|full  ARGS='02_fine_tuning -p seeds=5'  MEDTL_DATA=FOLDER  MEDTL_WEIGHTS=FOLDER"

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	  || { echo "medtl needs Python 3.11 to 3.13; $(PYTHON) is `$(PYTHON) -V`; call make PYTHON=/path/to/python3.12" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

env: $(READY) ## set up .venv from requirements.lock

reproduce: $(READY) ## run the notebooks of PROFILE, end with the report and the verdicts
	$(BIN)/medtl run --profile $(PROFILE) $(ARGS)

test: $(READY) ## lint, types, unit tests, notebooks under nbval, one smoke run
	@bash tests/run_all.sh $(BIN)

notebooks: $(READY) ## rebuild the .ipynb of every notebook from its .py, with the outputs of the smoke profile
	$(BIN)/python -m medtl_core.runner.build $(ARGS)

lab: $(READY) ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab notebooks

report: $(READY) ## write the report of the last run of PROFILE again
	$(BIN)/medtl report $(ARGS)

bench: $(READY) ## measure the training loop against the bare step rate
	$(BIN)/medtl bench $(ARGS)

clean: ## remove the environment, the runs and the finished trials
	rm -rf $(VENV) runs .medtl .pytest_cache .mypy_cache .ruff_cache
