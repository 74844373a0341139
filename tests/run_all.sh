#!/usr/bin/env bash
# Everything that `make test` checks, part by part, with the time that each part took.
# Usage: tests/run_all.sh VENV_BIN
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$(cd "$1" && pwd)
# The tests of the project must not depend on the data, the weights or the finished trials of the person who runs them.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
unset MEDTL_DATA MEDTL_WEIGHTS MEDTL_OUT MEDTL_PROFILE MEDTL_DEVICE MEDTL_WORKERS
export MEDTL_STORE="$scratch/trials" MEDTL_CACHE="$scratch/cache"

times=""
part() {
  local name=$1 start=$SECONDS
  shift
  printf '\n== %s\n' "$name"
  "$@" || { printf '%s failed after %d s\n' "$name" $((SECONDS - start)) >&2; exit 1; }
  times+=$(printf '%-22s %4d s' "$name" $((SECONDS - start)))$'\n'
}

part "ruff check" "$bin/ruff" check .
part "ruff format" "$bin/ruff" format --check .
part "mypy" "$bin/mypy"
part "unit tests" env OMP_NUM_THREADS=1 "$bin/pytest" -n 2 --dist loadfile
part "notebooks (nbval)" env MEDTL_OUT="$scratch/nbval" MEDTL_WORKERS=2 "$bin/pytest" --nbval --nbval-current-env --nbval-cell-timeout=600 \
  --timeout=1200 notebooks
part "smoke run" env MEDTL_STORE="$scratch/smoke-trials" "$bin/medtl" run --profile smoke --out "$scratch/smoke"
part "register and studies" "$bin/medtl" check "$scratch/smoke"

printf '\n== how long each part took\n%s' "$times"
