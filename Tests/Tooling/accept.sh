#!/usr/bin/env bash
# `make accept`: measures what the README and the decisions claim, on the data sets wordnet, scifact
# and commits-dev in the folder KYRODB_DATA and on synthetic ones, and fails where a bound is missed.
# Takes some hours on a machine that does nothing else meanwhile, 16 GB of memory and 20 GB on the
# disk of .build. usage: accept.sh BIN [WORD…], which runs only the steps whose name contains a word.
set -uo pipefail
cd "$(dirname "$0")/../.."
bin=$1
shift
only=("$@")
out=.build/accept
missed=()
if [[ -z ${KYRODB_DATA:-} ]]; then
    echo "make accept: KYRODB_DATA names no folder with the data sets (wordnet, scifact, commits-dev)" >&2
    exit 2
fi
mkdir -p "$out"

wanted() {
    ((${#only[@]} == 0)) && return 0
    for word in "${only[@]}"; do [[ $1 == *"$word"* ]] && return 0; done
    return 1
}

# step NAME COMMAND…
step() {
    local name=$1 begin=$SECONDS status=0
    shift
    wanted "$name" || return 0
    echo "== $name"
    "$@" || status=$?
    ((status == 0)) || missed+=("$name (exit status $status)")
    echo "== $name: $((SECONDS - begin)) s"
}

# bench NAME COMMAND…: of kyrobench; everything measured goes to NAME.json.
bench() {
    local name=$1
    shift
    step "$name" "$bin/kyrobench" "$@" --json "$out/$name.json"
}

server=(--binary "$bin/kyrodb")
here=(--folder "$out")
million=(--rows 1000000 --dimension 768)

step server .venv/bin/python Tests/Tooling/check_server.py --strict "$bin/kyrodb"
# Times of --accept are reported; everywhere else they are held against their bounds.
bench results --accept "${server[@]}" --data "$KYRODB_DATA"
bench snapshots snapshots --strict "${server[@]}" "${here[@]}"
bench vectors vectors --data-set wordnet --strict "${server[@]}" "${here[@]}" \
    --svg "$out/vectors.svg"
bench filters filters --strict "${here[@]}"
bench text text --strict
step churn "$bin/kyrobench" churn --data-set wordnet --strict "${here[@]}"
bench recall recall --strict "${here[@]}"
bench mixed mixed --strict "${server[@]}" "${here[@]}"
bench memory memory "${server[@]}" "${here[@]}"
bench hybrid hybrid --strict "${server[@]}" "${here[@]}"
bench cost cost --strict "${server[@]}"
bench vectors-million vectors --data-set synthetic "${million[@]}" --strict "${server[@]}" \
    "${here[@]}" --svg "$out/vectors-million.svg"
bench filters-million filters --synthetic 1000000,768 --strict "${here[@]}"

for name in "${missed[@]}"; do echo "missed: $name"; done
((${#missed[@]} == 0))
