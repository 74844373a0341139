#!/usr/bin/env bash
# Everything that `make test` checks.
# Usage: tests/run_all.sh VENV_BIN
source "$(dirname "$0")/parts.sh" "$1"
source_parts
part "unit tests" env OMP_NUM_THREADS=1 "$bin/pytest" -p no:nbval -n 2 --dist loadfile

# The smoke run computes every trial, in an empty store. nbval runs the notebooks again, finds these trials done, and compares what
# the cells show; a trial that it computes itself has a key that does not hold from one process to the next.
finished_trials() { find "$MEDTL_STORE" -name '*.json' | sort; }
same_trials() { diff <(echo "$trials") <(finished_trials); }
part "smoke run" "$bin/medtl" run --profile smoke --out "$scratch/smoke"
# What a lesson measures in longer runs alone stands in the runs that are kept.
part "register, studies" "$bin/medtl" check "$scratch/smoke" results/*/
trials=$(finished_trials)
part "notebooks (nbval)" env MEDTL_OUT="$scratch/nbval" "$bin/pytest" -n 2 --dist loadfile --nbval --nbval-current-env \
  --nbval-cell-timeout=600 --timeout=1200 notebooks
part "no trial twice" same_trials
part "rehearsal" "$bin/medtl" run --profile rehearsal --out "$scratch/rehearsal"
show_times
