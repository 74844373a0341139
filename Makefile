# medtl: `make reproduce` and `make test` do everything, `make check` the quick tests. Nothing outside this folder is touched.

PYTHON  ?= python3
PROFILE ?= smoke
ARGS    ?=
VENV    ?= .venv
BIN     := $(VENV)/bin
READY   := $(VENV)/.ready

export NO_ALBUMENTATIONS_UPDATE := 1
# Another Python's library folder breaks ours; without assert statements tests pass that should fail.
unexport PYTHONHOME PYTHONOPTIMIZE

# The stamp holds the version and place of the interpreter under the environment, and the environment's own place. Where it says
# something else (an environment half made or moved, its Python gone, another one asked for by PYTHON=) all is made from nothing.
# An empty stamp is one of medtl 0.1.0: that environment is kept, and what has changed in the lock is installed into it.
IDENTITY := import os, sys; print(sys.version.split()[0], os.path.realpath(sys.executable))
INSIDE   := $(shell $(BIN)/python -E -c '$(IDENTITY)' 2>/dev/null)
ASKED    := $(if $(filter file,$(origin PYTHON)),$(INSIDE),$(shell $(PYTHON) -E -c '$(IDENTITY)' 2>/dev/null))
STAMP    := $(ASKED) for $(CURDIR)/$(VENV)
KEPT     := $(shell test -s $(READY) && cat $(READY) || test ! -f $(READY) || echo '$(INSIDE) for $(CURDIR)/$(VENV)')
SOUND    := $(if $(INSIDE),$(shell test '$(KEPT)' = '$(STAMP)' && echo yes))

.DEFAULT_GOAL := help
.PHONY: help env reproduce test check notebooks lab report bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  variables: PROFILE=smoke|rehearsal|teach|headline|reference|full  ARGS='02_fine_tuning -p seeds=5'  PYTHON=python3.12  MEDTL_DATA=FOLDER  MEDTL_WEIGHTS=FOLDER"

ifneq ($(SOUND),yes)
.PHONY: $(READY)
endif
$(READY): requirements.lock pyproject.toml
ifneq ($(SOUND),yes)
	@$(PYTHON) -E -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	  || { echo "medtl needs Python 3.11 to 3.13; $(PYTHON) is `$(PYTHON) -V 2>&1`; call make PYTHON=/path/to/python3.12" >&2; exit 2; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
endif
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@echo "`$(BIN)/python -E -c '$(IDENTITY)'` for $(CURDIR)/$(VENV)" > $@

env: $(READY) ## set up .venv from requirements.lock

reproduce: $(READY) ## run the notebooks of PROFILE, end with the report and the verdicts
	$(BIN)/medtl run --profile $(PROFILE) $(ARGS)

check: $(READY) ## lint, types and the quick unit tests, within about a minute and a half
	@bash tests/check.sh $(BIN)

test: $(READY) ## lint, types, all unit tests, one smoke run, its notebooks under nbval, every study once
	@bash tests/run_all.sh $(BIN)

notebooks: $(READY) ## rebuild the .ipynb of every notebook from its .py, with the outputs of the smoke profile
	$(BIN)/python -m medtl_core.runner.build $(ARGS)

lab: $(READY) ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab notebooks

# The run that ARGS names, else the latest one of PROFILE if PROFILE is given, else the latest one.
report: $(READY) ## write a run's report again: the latest one, PROFILE=NAME the latest of NAME, ARGS=RUN that run
	$(BIN)/medtl report $(or $(ARGS),$(if $(filter file,$(origin PROFILE)),,$$(ls -td runs/$(PROFILE)-*/ 2>/dev/null | head -n 1 | grep . || echo $(PROFILE))))

bench: $(READY) ## measure the training loop against the bare step rate
	$(BIN)/medtl bench $(ARGS)

clean: ## remove the environment, the runs and the finished trials
	rm -rf $(VENV) .venv-newest runs .medtl .pytest_cache .mypy_cache .ruff_cache
