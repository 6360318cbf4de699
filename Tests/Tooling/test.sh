#!/usr/bin/env bash
# `make test`: every step in order, its time beside it; a step that fails does not stop the others.
# A step's output goes to .build/logs/NAME.log and is shown when it fails. `test.sh WORD…` runs only
# the steps whose name contains one of the words.
set -uo pipefail
cd "$(dirname "$0")/../.."

only=("$@")
logs=.build/logs
bin=.build/ship/release
python=.venv/bin/python
passed=0 failed=0
failed_names=()
started=$SECONDS
mkdir -p "$logs"
export SWIFT_BACKTRACE=enable=no
export KYRODB_BIN=$PWD/$bin KYRODB_BINARY=$PWD/$bin/kyrodb KYROCTL_BINARY=$PWD/$bin/kyroctl

wanted() {
    ((${#only[@]} == 0)) && return 0
    for word in "${only[@]}"; do [[ $1 == *"$word"* ]] && return 0; done
    return 1
}

# step NAME COMMAND…
step() {
    local name=$1 log=$logs/$1.log begin=$SECONDS
    shift
    wanted "$name" || return 0
    printf '%-24s ' "$name"
    if "$@" > "$log" 2>&1; then
        passed=$((passed + 1))
        printf 'ok      %4d s\n' $((SECONDS - begin))
        # What was not looked at must be seen: tests say why they skip.
        grep -hiE '\bskipped\b' "$log" | grep -vE '\b0 skipped\b' | sort -u | head -20 \
            | sed 's/^/    /'
        grep -h '^RESULT ' "$log" | sed 's/^RESULT /    /'
    else
        failed=$((failed + 1))
        failed_names+=("$name")
        printf 'FAILED  %4d s   %s\n' $((SECONDS - begin)) "$log"
        grep -nE 'error:|✘|FAILED|Traceback|ERROR: |WARNING: ThreadSanitizer' "$log" | head -40 \
            | sed 's/^/    /'
        echo '    …'
        tail -30 "$log" | sed 's/^/    /'
    fi
}

swift_test() {
    swift test -c release "$@"
}

# sanitized KIND STRESS-SECONDS: LeakSanitizer would report what the test runner leaves behind.
sanitized() {
    KYRODB_SANITIZE=1 KYRODB_STRESS_SECONDS=$2 KYRODB_TEST_SCALE=10 \
        ASAN_OPTIONS=detect_leaks=0 \
        swift_test --sanitize="$1" --scratch-path ".build/$1"
}

end_to_end() {
    PYTHONPATH=Tests/EndToEnd "$python" "Tests/EndToEnd/$1.py"
}

step lint Tests/Tooling/lint.sh
# What drives the shipped binary waits until it is built.
step swift-tests swift_test --skip EndToEndTests
step thread-sanitizer sanitized thread 30
step address-sanitizer sanitized address 2
step build make --no-print-directory build
step freshness swift_test --filter EndToEndTests
step clients make --no-print-directory clients
step server-binary "$python" Tests/Tooling/check_server.py "$bin/kyrodb"
step protobuf-oracles Tests/Oracles/protobuf/run.sh
for script in rpc_all tls bad_input kyroctl abandon stalled drain fsync soak python_client c_client \
    kill_loop; do
    step "$script" end_to_end "$script"
done
step demo Tests/Tooling/demo.sh "$bin"
step tiny-bench Tests/Tooling/tiny_bench.sh "$bin"

for name in "${failed_names[@]}"; do echo "failed: $name"; done
echo "$((SECONDS - started)) s"
echo "$passed passed, $failed failed"
((failed == 0))
