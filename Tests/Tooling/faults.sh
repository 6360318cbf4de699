#!/usr/bin/env bash
# `make faults`: the long form of what `make test` does briefly. Kills, power cuts (as root), EIO at
# each of the first 200 calls of every kind, full disks. About half an hour on two cores.
# usage: faults.sh BIN [WORD…]        only the steps whose name contains one of the words
set -uo pipefail
cd "$(dirname "$0")/../.."
bin=$1
shift
only=("$@")
logs=.build/logs
mkdir -p "$logs"
export SWIFT_BACKTRACE=enable=no PYTHONPATH=Tests/EndToEnd KYRODB_BINARY=$PWD/$bin/kyrodb
failed=0

step() {
    local name=$1 log=$logs/faults-$1.log begin=$SECONDS outcome=ok wanted=$((${#only[@]} == 0)) word
    for word in "${only[@]}"; do [[ $name == *"$word"* ]] && wanted=1; done
    ((wanted)) || return 0
    .venv/bin/python "Tests/EndToEnd/$2.py" "${@:3}" > "$log" 2>&1 || outcome=FAILED
    printf '%-14s %-6s %4d s   %s\n' "$name" "$outcome" $((SECONDS - begin)) "$log"
    grep -hE '^RESULT |\bskipped\b|^FAILED' "$log" | head -40 | sed 's/^RESULT //; s/^/    /'
    [[ $outcome == ok ]] || { failed=1; tail -20 "$log" | sed 's/^/    /'; }
}

step golden golden
step kills kill_loop --kills 500 --min-acknowledged 850000
step cuts power_cut --cuts 100 --min-acknowledged 150000
step eio eio --first 200
step space space 20
step descriptors descriptors
step clock clock
exit $failed
