#!/usr/bin/env bash
# Runs vectors_peers.py with the pinned libraries, which it installs into .venv where they are missing.
# usage: vectors_peers.sh --install | OPTIONS OF vectors_peers.py
set -euo pipefail
cd "$(dirname "$0")/../.."

wanted=Tests/Bench/requirements.txt
stamp=.venv/bench-requirements.txt
if ! cmp -s "$wanted" "$stamp"; then
    echo "vectors_peers: installing the packages of $wanted into .venv" >&2
    [[ -x .venv/bin/python ]] || python3 -m venv .venv >&2
    .venv/bin/python -m pip install -q --disable-pip-version-check -r "$wanted" >&2 || {
        echo "vectors_peers: pip could not install $wanted: is there a network, a compiler?" >&2
        exit 1
    }
    cp "$wanted" "$stamp"
fi
[[ ${1:-} == --install ]] && exit
exec .venv/bin/python Tests/Bench/vectors_peers.py "$@"
