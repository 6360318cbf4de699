#!/usr/bin/env bash
# fuzz.sh [SECONDS] [FUZZER…]: builds the fuzzers and runs each for so long (default 20) from its
# committed corpus. New inputs stay in .build/fuzz/corpora; one that fails is written to
# Tests/Fuzz/Corpora/FUZZER/crash-…, to be kept as a regression.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-20}
(($# == 0)) || shift
fuzzers=("${@:-}")
[[ -n ${fuzzers[0]} ]] || fuzzers=(fuzz-http2 fuzz-grpc)
export SWIFT_BACKTRACE=enable=no
KYRODB_FUZZ=1 KYRODB_TARGETS=$(IFS=,; echo "${fuzzers[*]}") swift build -c release \
    --scratch-path .build/fuzz -Xswiftc -sanitize=fuzzer -Xswiftc -use-ld=lld
for fuzzer in "${fuzzers[@]}"; do
    corpus=.build/fuzz/corpora/$fuzzer kept=Tests/Fuzz/Corpora/$fuzzer
    mkdir -p "$corpus"
    log=.build/fuzz/$fuzzer.log
    # The seed is fixed: a run that finds something can be had again.
    .build/fuzz/release/"$fuzzer" -max_total_time="$seconds" -seed=1 -max_len=4096 -timeout=5 \
        -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$kept/" "$corpus" "$kept" \
        > "$log" 2>&1 || { tail -40 "$log"; echo "FAILED  $fuzzer"; exit 1; }
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    coverage=$(grep -oE 'cov: [0-9]+' "$log" | tail -1)
    echo "RESULT $fuzzer: $runs runs, $coverage, no failure"
done
