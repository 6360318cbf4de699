#!/usr/bin/env bash
# Compares our protobuf codecs with Python's protobuf and with libprotobuf-c. Builds the testees,
# keeps Python's packages in .venv and generated code in .build-oracles at the repository's root.
# Arguments go to oracle.py: --count N, --seed N, --jobs N.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
cd "$root"

if [ ! -x .venv/bin/python ]; then python3 -m venv .venv; fi
if ! cmp -s "$here/requirements.txt" .venv/oracle-requirements.txt; then
    .venv/bin/pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" .venv/oracle-requirements.txt
fi

generated=.build-oracles/protobuf
mkdir -p "$generated/python" "$generated/c"
protos=(kyrodb/v2/{types,collections,ingest,aggregations,ranking,search,text,operations,tuning}.proto grpc/health/v1/health.proto
    google/rpc/{status,error_details}.proto)
.venv/bin/python -m grpc_tools.protoc -I Protos --python_out="$generated/python" "${protos[@]}"
protoc -I Protos -I /usr/include --c_out="$generated/c" "${protos[@]}" \
    google/protobuf/any.proto google/protobuf/duration.proto
find "$generated/c" -name '*.c' -print0 | xargs -0 cc -O2 -w -I "$generated/c" \
    -o "$generated/c-testee" "$here/c_testee.c" -lprotobuf-c
swift build -c release --product kyro-wire-testee >/dev/null

PYTHONPATH="$generated/python" exec .venv/bin/python "$here/oracle.py" \
    --testee .build/release/kyro-wire-testee --c-testee "$generated/c-testee" "$@"
