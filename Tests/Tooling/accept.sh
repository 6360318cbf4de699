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
failed=0
"$bin/kyrobench" --accept --binary "$bin/kyrodb" --data "$KYRODB_DATA" \
    --json .build/accept/results.json || failed=1
# A million documents: time to the first answer after a restart, replay, and what a snapshot does to
# those who wait. Needs 8 GB of memory and 12 GB on the disk of .build, and takes some minutes.
"$bin/kyrobench" snapshots --strict --binary "$bin/kyrodb" --folder .build/accept \
    --json .build/accept/snapshots.json || failed=1
exit $failed
