#!/usr/bin/env bash
# Everything that `make check` checks: the sources, and the unit tests that are not marked slow.
# Usage: tests/check.sh VENV_BIN
source "$(dirname "$0")/parts.sh" "$1"
source_parts
part "quick unit tests" env OMP_NUM_THREADS=1 "$bin/pytest" -p no:nbval -n 2 --dist loadfile -m "not slow"
show_times
