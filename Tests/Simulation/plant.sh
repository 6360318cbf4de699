#!/usr/bin/env bash
# Plants known bugs, one at a time, into a copy of the sources, and requires that the simulator
# catches each within 1,000 seeds, and that it finds nothing in the copy as it is. Fails when an edit
# no longer applies.
#
# plant.sh [WORD…] plants only those whose name contains one of the words.
set -uo pipefail
cd "$(dirname "$0")/../.."

only=("$@")
seeds=${KYRODB_PLANT_SEEDS:-1000}
jobs=${KYRODB_PLANT_JOBS:-$(nproc)}
work=$(mktemp -d "${TMPDIR:-/tmp}/kyro-plant.XXXXXX")
trap 'rm -rf "$work"' EXIT
failures=0

# The build products come along, at the path they were made for when a mount can be made: then only
# the planted module is compiled anew.
cp -a . "$work/tree"
export SWIFT_BACKTRACE=enable=no

wanted() {
    ((${#only[@]} == 0)) && return 0
    for word in "${only[@]}"; do [[ $1 == *"$word"* ]] && return 0; done
    return 1
}

# Runs a command in the copy, which stands at the place of the original where that is allowed.
in_copy() {
    if unshare -m true 2> /dev/null; then
        unshare -m bash -c 'mount --bind "$0" "$1" && cd "$1" && shift && exec "$@"' \
            "$work/tree" "$PWD" "$@"
    else
        (cd "$work/tree" && "$@")
    fi
}

# What the simulator says without a bug: that must be nothing.
control() {
    in_copy swift build -c release --product kyro-simulator > "$work/build.log" 2>&1
    if "$work/tree/.build/release/kyro-simulator" --seeds "0..<$seeds" --jobs "$jobs" \
        --until-failures 1 2> /dev/null > "$work/control.log"; then
        echo "ok      no bug, no failure"
    else
        echo "FAILED  no bug, and yet"
        cut -c 1-160 "$work/control.log" | sed 's/^/        /'
        failures=$((failures + 1))
    fi
}

# edit FILE FROM TO: replaces one line of the copy; FROM must occur exactly once.
edit() {
    python3 - "$work/tree/$1" "$2" "$3" << 'PYTHON'
import sys
path, old, new = sys.argv[1:]
text = open(path, encoding="utf-8").read()
if text.count(old) != 1:
    sys.exit(f"{path}: {old!r} occurs {text.count(old)} times: adapt Tests/Simulation/plant.sh")
open(path, "w", encoding="utf-8").write(text.replace(old, new))
PYTHON
}

# plant NAME FILE FROM TO
plant() {
    local name=$1 file=$2 begin=$SECONDS output
    wanted "$name" || return 0
    if ! edit "$file" "$3" "$4"; then
        echo "FAILED  $name: the edit does not apply"
        failures=$((failures + 1))
        return
    fi
    if ! in_copy swift build -c release --product kyro-simulator > "$work/build.log" 2>&1; then
        echo "FAILED  $name: does not build"
        grep -E "error:" "$work/build.log" | head -5
        failures=$((failures + 1))
    else
        output=$("$work/tree/.build/release/kyro-simulator" --seeds "0..<$seeds" --jobs "$jobs" \
            --until-failures 1 2> /dev/null)
        case $? in
            1)
                echo "ok      $name: caught after $((SECONDS - begin)) s"
                grep -m 1 "^FAILED seed" <<< "$output" | cut -c 1-160 | sed 's/^/        /'
                ;;
            *)
                echo "FAILED  $name: $seeds seeds did not catch it"
                failures=$((failures + 1))
                ;;
        esac
    fi
    cp -p "$file" "$work/tree/$file"
    touch "$work/tree/$file"
}

control
plant directory-fsync Sources/KyroStore/SegmentFiles.swift \
    'func syncDirectory() throws(FileError) { try fileSystem.syncDirectory(directory) }' \
    'func syncDirectory() throws(FileError) { _ = try fileSystem.list(directory) }'
plant acknowledge-before-fsync Sources/KyroStore/ShardLog.swift \
    'try failing { () throws(FileError) in try lastSegment.file.sync() }' \
    '_ = try failing { () throws(FileError) in try lastSegment.file.size() }'
plant ignore-crc Sources/KyroStore/LogFormat.swift \
    'guard header.crc == crc32c(bytes, range: (offset + 8)..<(offset + header.byteCount)) else {' \
    'guard header.byteCount > 0 else {'
plant replay-twice Sources/KyroEngine/Recovery/ShardRecovery.swift \
    'try collection.shard(shard.index).apply(record)' \
    'for _ in 0..<2 { try collection.shard(shard.index).apply(record) }'

((failures == 0))
