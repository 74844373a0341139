#!/usr/bin/env bash
# Everything that `make test` checks.
# Usage: tests/run_all.sh VENV_BIN
source "$(dirname "$0")/parts.sh" "$1"
source_parts
part "unit tests" env OMP_NUM_THREADS=1 "$bin/pytest" -n 2 --dist loadfile
# The smoke run computes every trial, in an empty store. nbval then runs the notebooks again, and finds these trials done.
part "smoke run" "$bin/medtl" run --profile smoke --out "$scratch/smoke"
part "notebooks (nbval)" env MEDTL_OUT="$scratch/nbval" MEDTL_WORKERS=2 "$bin/pytest" --nbval --nbval-current-env --nbval-cell-timeout=600 \
  --timeout=1200 notebooks
part "register and studies" "$bin/medtl" check "$scratch/smoke"
show_times
