#!/usr/bin/env bash
# results.sh ENVIRONMENT NOTEBOOK...: run notebooks in full size on real data, for the figures that they write
# into nbs/results/. A copy is run, so that no picture of that data comes into a notebook that is committed.
set -euo pipefail
env=$PWD/$1
shift
: "${PRODREC_DATA:?set it to the folder with the real data sets}"
[ $# -gt 0 ] || { echo "no notebook measures on real data yet"; exit 1; }
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
mkdir -p nbs/results
export PRODREC_FULL=1 PRODREC_RESULTS=$PWD/nbs/results PRODREC_PROGRESS=0 TF_CPP_MIN_LOG_LEVEL=3
for notebook in "$@"; do
    SECONDS=0
    cp "$notebook" "$copy/"
    "$env/bin/jupyter" execute --timeout=-1 "$copy/$(basename "$notebook")" </dev/null
    echo "$notebook: $SECONDS s"
done
git status --short nbs/results
