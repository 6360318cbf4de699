#!/usr/bin/env bash
# `make test`: every step, its time beside it; a step that fails does not stop the others. Two lanes
# run side by side, since much of either waits: one for what SwiftPM tests, one for what drives the
# shipped binary. A step's output goes to .build/logs/NAME.log and is shown when it fails.
# `test.sh WORD…` runs only the steps whose name contains one of the words.
set -uo pipefail
cd "$(dirname "$0")/../.."

only=("$@")
logs=.build/logs
bin=.build/ship/release
python=.venv/bin/python
started=$SECONDS
complaints='error:|✘|FAILED|Traceback|ERROR: |WARNING: ThreadSanitizer'
mkdir -p "$logs"
results=$(mktemp)
trap 'rm -f "$results"' EXIT
export SWIFT_BACKTRACE=enable=no
export KYRODB_BIN=$PWD/$bin KYRODB_BINARY=$PWD/$bin/kyrodb KYROCTL_BINARY=$PWD/$bin/kyroctl

wanted() {
    ((${#only[@]} == 0)) && return 0
    for word in "${only[@]}"; do [[ $1 == *"$word"* ]] && return 0; done
    return 1
}

# step NAME COMMAND…: what it prints appears in one piece, whichever lane it is in.
step() {
    local name=$1 log=$logs/$1.log begin=$SECONDS outcome=ok
    shift
    wanted "$name" || return 0
    "$@" > "$log" 2>&1 || outcome=FAILED
    echo "$outcome $name" >> "$results"
    report "$name" "$outcome" $((SECONDS - begin)) "$log" > "$log.report"
    cat "$log.report"
}

report() {
    local name=$1 outcome=$2 seconds=$3 log=$4
    if [[ $outcome == ok ]]; then
        printf '%-24s ok      %4d s\n' "$name" "$seconds"
        # What was not looked at must be seen: tests say why they skip.
        grep -hiE '\bskipped\b' "$log" | grep -vE '\b0 skipped\b|^[◇✔]' | sort -u | head -20 \
            | sed 's/^/    /'
        grep -h '^RESULT ' "$log" | sed 's/^RESULT /    /'
    else
        printf '%-24s FAILED  %4d s   %s\n' "$name" "$seconds" "$log"
        grep -nE "$complaints" "$log" | head -40 \
            | sed 's/^/    /'
        echo '    …'
        tail -30 "$log" | sed 's/^/    /'
    fi
}

swift_test() {
    swift test -c release "$@"
}

# sanitized KIND STRESS-SECONDS INDEX-TESTS: of the index the suites that the third word matches, without
# the data sets. LeakSanitizer would report what the test runner leaves behind.
sanitized() {
    KYRODB_TARGETS=KyroEngineTests,KyroStoreTests,KyroHTTP2Tests,KyroIndexTests \
        KYRODB_STRESS_SECONDS=$2 KYRODB_TEST_SCALE=10 KYRODB_DATA= \
        ASAN_OPTIONS=detect_leaks=0 \
        swift_test --sanitize="$1" --scratch-path ".build/$1" \
        --filter 'Kyro(Engine|Store|HTTP2)Tests' --filter "KyroIndexTests\\.($3)"
}

concurrent='VectorStressTests|ConcurrencyTests|FilteredSearchTests/searchesBeside'
# What reads and writes memory by pointers, at every length.
unsafe='.*KernelTests|VectorSnapshotTests|ListSnapshotTests|DiskRowsTests|RowStoreTests'

end_to_end() {
    PYTHONPATH=Tests/EndToEnd "$python" "Tests/EndToEnd/$1.py"
}

# With Prometheus' own judge of metrics, where its package can be had.
operations() {
    Tests/Tooling/promtool.sh || echo "promtool: skipped"
    end_to_end operations
}

# Drives the shipped binary with a test that the other lane builds.
freshness() {
    while [[ ! -e $1 ]]; do sleep 1; done
    swift_test --filter EndToEndTests
}

swift_lane() {
    step swift-tests swift_test --skip EndToEndTests
    touch "$1"
    step thread-sanitizer sanitized thread 20 "$concurrent"
    step protobuf-oracles Tests/Oracles/protobuf/run.sh
    step fuzz Tests/Tooling/fuzz.sh 20
}

binary_lane() {
    step build make --no-print-directory build
    step clients make --no-print-directory clients
    step server-binary "$python" Tests/Tooling/check_server.py "$bin/kyrodb"
    step simulation "$bin/kyro-simulator" --seeds '0..<1000'
    local script
    for script in reference rpc_all tls mutual_tls access tenants bad_input kyroctl fusion backup abandon stalled \
        drain h2_conformance malformed_grpc hostile stops_working fsync resources soak python_client bm25 \
        c_client reference_aggregates rebuild golden repair kill_loop power_cut eio space descriptors clock; do
        step "$script" end_to_end "$script"
    done
    step operations operations
    step demo Tests/Tooling/demo.sh "$bin"
    step tiny-bench Tests/Tooling/tiny_bench.sh "$bin"
    step freshness freshness "$1"
    # Here since this lane is the shorter one.
    step address-sanitizer sanitized address 2 "$concurrent|$unsafe"
}

step lint Tests/Tooling/lint.sh
tests_built=$logs/tests-built
rm -f "$tests_built"
binary_lane "$tests_built" &
swift_lane "$tests_built"
wait

passed=$(grep -c '^ok ' "$results")
failed=$(grep -c '^FAILED ' "$results")
# Once more at the end, where whoever reads a long log looks first.
sed -n 's/^FAILED //p' "$results" | while read -r name; do
    echo "failed: $name"
    grep -E "$complaints" "$logs/$name.log" | head -12 | sed 's/^/    /'
done
echo "$((SECONDS - started)) s"
echo "$passed passed, $failed failed"
((failed == 0 && passed > 0))
