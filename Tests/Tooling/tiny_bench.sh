#!/usr/bin/env bash
# Runs the benchmark on the committed sample, so that it never rots. usage: tiny_bench.sh BIN
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=$1
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"$bin/kyrobench" tiny --server "$bin/kyrodb" --data Tests/Fixtures/commits --json "$out/tiny.json"
.venv/bin/python -c 'import json, sys; json.load(open(sys.argv[1]))' "$out/tiny.json"
