#!/usr/bin/env bash
# Runs the benchmark on the committed sample, so that it never rots: every code path, counts checked,
# times not. usage: tiny_bench.sh BIN
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=$1
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"$bin/kyrobench" --tiny --binary "$bin/kyrodb" --data Tests/Fixtures/commits \
    --json "$out/tiny.json"
python3 - "$out/tiny.json" <<'PYTHON'
import json, sys
report = json.load(open(sys.argv[1]))
runs = report["data_sets"][0]["latencies"]
kinds = {(r["request"], r["clients"], r["during_ingest"]) for r in runs}
assert len(kinds) == 16, kinds
assert all(r["requests"] > 0 for r in runs), runs
PYTHON
"$bin/kyrobench" snapshots --binary "$bin/kyrodb" --documents 10000 --tail 1000 --seconds 1 --folder "$out"
"$bin/kyrobench" kernels --tiny --all --dimension 100 > "$out/kernels"
grep -q "int8 all pairs" "$out/kernels"
"$bin/kyrobench" quality --tiny --binary "$bin/kyrodb" --data Tests/Fixtures/commits \
    > "$out/quality"
grep -q "tuned, less the best leg" "$out/quality"
"$bin/kyrobench" recall --tiny --folder "$out" > "$out/recall"
# Recall of so few rows comes and goes by more than what is asked of many.
"$bin/kyrobench" churn --tiny --steps 10 --folder "$out" > "$out/churn" || [ $? = 1 ]
grep -q "never rebuilt" "$out/churn"
grep -q "0.99" "$out/recall"
"$bin/kyrobench" filters --tiny --folder "$out" > "$out/filters" || [ $? = 1 ]
grep -q "anti-correlated" "$out/filters"
"$bin/kyrobench" text --tiny --data Tests/Fixtures --sets commits > "$out/text"
grep -q "answers that differ" "$out/text"
"$bin/kyrobench" mixed --tiny --seconds 1 --binary "$bin/kyrodb" --folder "$out" > "$out/mixed" \
    || [ $? = 1 ]
grep -q "beside a rebuild: wrong answers" "$out/mixed"
"$bin/kyrobench" hybrid --tiny --binary "$bin/kyrodb" --data Tests/Fixtures/commits --folder "$out" \
    > "$out/hybrid"
grep -q "acknowledged rows not found  *0.0000 .*PASS" "$out/hybrid"
"$bin/kyrobench" cost --tiny --binary "$bin/kyrodb" > "$out/cost"
grep -q "look-up, kyrodb: CPU per request" "$out/cost"
"$bin/kyrobench" vectors --tiny --binary "$bin/kyrodb" --folder "$out" \
    --json "$out/vectors.jsonl" --svg "$out/vectors.svg"
python3 - "$out/vectors.jsonl" "$out/vectors.svg" <<'PYTHON'
import json, sys, xml.dom.minidom
lines = [json.loads(line) for line in open(sys.argv[1])]
points = {line["system"]: line["recall"] for line in lines if line["kind"] == "point"}
assert len(points) == 4, points
assert all(recall > 0.95 for recall in points.values()), points
assert {line["system"] for line in lines if line["kind"] == "build"} < set(points)
xml.dom.minidom.parse(sys.argv[2])
PYTHON
KYRODB_BINARY=$bin/kyrodb KYROCTL_BINARY=$bin/kyroctl PYTHONPATH=Tests/EndToEnd \
    .venv/bin/python Tests/EndToEnd/flood.py --rows 3000 --seconds 1 > "$out/flood"
grep -q "beside the flood" "$out/flood"
