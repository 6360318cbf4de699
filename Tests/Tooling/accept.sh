#!/usr/bin/env bash
# `make accept`: measures what the figures of the README claim, on the data sets wordnet and scifact
# in the folder KYRODB_DATA. Fails when recall, rows scored or nDCG miss; times are reported.
# usage: accept.sh BIN
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=$1
if [[ -z ${KYRODB_DATA:-} ]]; then
    echo "make accept: KYRODB_DATA names no folder with the data sets (wordnet, scifact)" >&2
    exit 2
fi
mkdir -p .build/accept
.venv/bin/python Tests/Tooling/check_server.py --strict "$bin/kyrodb"
exec "$bin/kyrobench" --accept --binary "$bin/kyrodb" --data "$KYRODB_DATA" \
    --json .build/accept/results.json
