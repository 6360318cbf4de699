#!/usr/bin/env bash
# Installs what building and testing need and this machine lacks: Debian packages through apt-get,
# PyPI packages into .venv. Quick and silent when nothing is missing.
# usage: deps.sh [DEBIAN-PACKAGE…]: with these besides.
set -euo pipefail
cd "$(dirname "$0")/../.."

packages=(
    git make gcc libc6-dev pkg-config                    # tools
    libnghttp2-dev libssl-dev libzstd-dev zlib1g-dev     # the server's libraries
    libstemmer-dev libroaring-dev libxxhash-dev libmicrohttpd-dev
    openssl                                              # certificates for the tests
    libprotobuf-c-dev protobuf-c-compiler protobuf-compiler  # the C client, and an oracle
    libprotobuf-dev g++                                  # protobuf's conformance suite
    libc6-dev-arm64-cross                                # headers for the NEON syntax check
    python3 python3-venv                                 # end-to-end tests, the Python client
    "$@"
)

fail() {
    echo "make deps: $*" >&2
    exit 1
}

command -v swift > /dev/null || fail "swift is not on PATH; KyroDB needs Swift 6.3 (swift.org/install)"

missing=()
for package in "${packages[@]}"; do
    # Not `dpkg -s | grep -q`: under pipefail an early grep exit would count as a failure.
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null || true)
    [[ $status == installed ]] || missing+=("$package")
done

if ((${#missing[@]} > 0)); then
    echo "make deps: installing ${missing[*]}"
    as_root=()
    if ((EUID != 0)); then
        command -v sudo > /dev/null \
            || fail "not root and no sudo; ask an administrator: apt-get install ${missing[*]}"
        as_root=(sudo)
    fi
    install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive
        apt-get -q -y --no-install-recommends install "${missing[@]}")
    # The package lists may be absent or stale on a bare machine: refresh them and try once more.
    "${install[@]}" > /dev/null 2>&1 || {
        "${as_root[@]}" apt-get -q update > /dev/null \
            || fail "apt-get update failed: is there a network? Missing: ${missing[*]}"
        "${install[@]}" > /dev/null || fail "apt-get could not install: ${missing[*]}"
    }
fi

stamp=.venv/requirements.txt
if ! cmp -s Tests/requirements.txt "$stamp"; then
    echo "make deps: installing the Python packages of Tests/requirements.txt into .venv"
    python3 -m venv .venv || fail "python3 -m venv failed"
    .venv/bin/python -m pip install -q --disable-pip-version-check -r Tests/requirements.txt \
        || fail "pip could not install Tests/requirements.txt: is there a network?"
    cp Tests/requirements.txt "$stamp"
fi
