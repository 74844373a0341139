#!/usr/bin/env bash
# Make each notebook's .ipynb from its .py and run it with its own defaults (the smoke profile) on phantoms.
# Usage: notebooks/build.sh VENV_BIN [NAME ...]      (NAME without ending; all of them when none is named)
set -euo pipefail
cd "$(dirname "$0")"
bin=$(cd ../"$1" && pwd)
shift
names=("$@")
[ ${#names[@]} -gt 0 ] || names=($(basename -s .py -- *.py))
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
unset MEDTL_DATA MEDTL_WEIGHTS MEDTL_PROFILE MEDTL_DEVICE MEDTL_WORKERS
export MEDTL_OUT="$scratch/run" MEDTL_STORE="$scratch/trials" NO_ALBUMENTATIONS_UPDATE=1
for name in "${names[@]}"; do
  "$bin/jupytext" --quiet --to ipynb --update "$name.py" 2>/dev/null || "$bin/jupytext" --quiet --to ipynb "$name.py"
  "$bin/jupyter" execute --inplace --timeout=1800 --NotebookClient.record_timing=False \
    --NotebookClient.coalesce_streams=True "$name.ipynb"
  echo "notebooks/$name.ipynb"
done
