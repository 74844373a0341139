# Read by check.sh and run_all.sh: parts that stop at the first failure, and the time that each one took.
# Expects $1, the folder of the environment's programs; sets $bin, $scratch and the function `part`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bin=$(cd "$1" && pwd)
# The tests of the project must not depend on the data, the weights or the finished trials of the person who runs them.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
unset ${!MEDTL_@}
export MEDTL_STORE="$scratch/trials" MEDTL_CACHE="$scratch/cache"

times=""
part() {
  local name=$1 start=$SECONDS
  shift
  printf '\n== %s\n' "$name"
  "$@" || { printf '%s failed after %d s\n' "$name" $((SECONDS - start)) >&2; exit 1; }
  times+=$(printf '%-22s %4d s' "$name" $((SECONDS - start)))$'\n'
}

source_parts() {
  part "ruff check" "$bin/ruff" check .
  part "ruff format" "$bin/ruff" format --check .
  part "mypy" env MYPY_NUM_WORKERS=2 "$bin/mypy"
}

show_times() {
  printf '\n== how long each part took\n%s' "$times"
}
