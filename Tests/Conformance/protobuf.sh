#!/usr/bin/env bash
# usage: protobuf.sh TESTEE: protobuf's official conformance suite against our primitives.
# Builds the runner from Debian's source package and against Debian's libprotobuf, once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
testee=$(realpath "$1")
status=0
source=$("$here/sources.sh" protobuf) || status=$?
if ((status == 75)); then exit 0; fi
((status == 0)) || exit "$status"
out=$here/../../.build/conformance/runner
mkdir -p "$out/gen" "$out/protos/google/protobuf"
cd "$out"
if [[ ! -x conformance_test_runner ]]; then
    # The messages of the tests by reflection, not by a page of code for each: the suite is the same
    # and takes a fraction of the time to compile.
    for file in google/protobuf/test_messages_proto{2,3}.proto; do
        sed 's/optimize_for = SPEED/optimize_for = CODE_SIZE/' "$source/src/$file" > "protos/$file"
    done
    protoc -I"$source/conformance" --cpp_out=gen conformance.proto
    protoc -Iprotos -I/usr/include --cpp_out=gen google/protobuf/test_messages_proto{2,3}.proto
    files=(gen/conformance.pb.cc gen/google/protobuf/test_messages_proto{2,3}.pb.cc
        "$source"/conformance/{binary_json_conformance_suite,text_format_conformance_suite}.cc
        "$source"/conformance/conformance_test{,_main,_runner}.cc
        "$source/conformance/third_party/jsoncpp/jsoncpp.cpp")
    printf '%s\n' "${files[@]}" | xargs -P 2 -I FILE sh -c '
        g++ -std=c++17 -O0 -w -Igen -I"$1/src" -I"$1" -I"$1/conformance" \
            -c -o "$(basename "$2").o" "$2"' sh "$source" FILE
    g++ -o conformance_test_runner ./*.o -lprotobuf -lpthread
fi
./conformance_test_runner --enforce_recommended "$testee" > suite.log 2>&1 || status=$?
result=$(grep -m 1 'CONFORMANCE SUITE' suite.log || tail -1 suite.log)
echo "RESULT $result"
# Binary proto3; the rest is skipped, and a testee that skips all must not pass.
((status == 0)) && [[ $result == *"PASSED: 651 successes"* ]] || {
    grep -E '^(ERROR|WARNING)' suite.log | cut -c1-300 | head -40
    exit 1
}
