#!/usr/bin/env bash
# Runs hybrid_peer.py, which asks PostgreSQL 15 and Redis what `kyrobench hybrid` asked KyroDB. Debian's
# packages are unpacked into .build/peers where this machine lacks them (as root or not, nothing is
# installed and no service starts), and the pinned clients beside them.
# With --pgvector first, PostgreSQL 16 with that extension comes from PyPI instead: Debian 12 has none.
# usage: hybrid_peer.sh [--pgvector] --install | [--pgvector] OPTIONS OF hybrid_peer.py
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() {
    echo "hybrid_peer: $*" >&2
    exit 1
}

peers=$PWD/.build/peers
venv=$PWD/.build/peers/venv
wanted=Tests/Bench/hybrid_requirements.txt
mkdir -p "$peers"
if ! cmp -s "$wanted" "$venv/requirements.txt"; then
    echo "hybrid_peer: installing the packages of $wanted into $venv" >&2
    [[ -x $venv/bin/python ]] || python3 -m venv "$venv" >&2
    "$venv/bin/python" -m pip install -q --disable-pip-version-check -r "$wanted" >&2 \
        || fail "pip could not install $wanted: is there a network?"
    cp "$wanted" "$venv/requirements.txt"
fi

# Those of this machine, or of a folder into which Debian's packages are unpacked.
debian=$peers/debian
find_servers() {
    postgres=/usr/lib/postgresql/15/bin
    [[ -x $postgres/postgres ]] || postgres=$debian$postgres
    redis=$(command -v redis-server || echo "$debian/usr/bin/redis-server")
    [[ -x $postgres/postgres && -x $redis ]]
}

if ! find_servers; then
    echo "hybrid_peer: unpacking PostgreSQL 15 and Redis from Debian's packages" >&2
    mkdir -p "$peers/packages" "$debian"
    # What apt-get would install: those that are missing, with all that is missing below them.
    mapfile -t names < <(apt-get -s -q install --no-install-recommends postgresql-15 redis-server \
        | sed -n 's/^Inst \([^ ]*\).*/\1/p')
    ((${#names[@]} > 0)) || fail "apt-get knows no postgresql-15 and redis-server: apt-get update?"
    (cd "$peers/packages" && apt-get -q download "${names[@]}" > /dev/null) \
        || fail "apt-get could not download ${names[*]}: is there a network?"
    for package in "$peers"/packages/*.deb; do dpkg -x "$package" "$debian"; done
    find_servers || fail "PostgreSQL 15 or Redis is not among ${names[*]}"
fi
if [[ -d $debian ]]; then
    export LD_LIBRARY_PATH=$debian/usr/lib/$(uname -m)-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
fi
if [[ ${1:-} == --pgvector ]]; then
    shift
    package=pgserver==0.1.4
    postgres=$peers/pgserver/pgserver/pginstall/bin
    if [[ ! -x $postgres/postgres ]]; then
        echo "hybrid_peer: unpacking $package" >&2
        "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps \
            --target "$peers/pgserver" "$package" >&2 \
            || fail "pip could not install $package: is there a network?"
    fi
fi
[[ ${1:-} == --install ]] && exit
exec "$venv/bin/python" Tests/Bench/hybrid_peer.py --postgres "$postgres" --redis "$redis" "$@"
