#!/usr/bin/env bash
# The checks that read the sources: format, unsafe code in its rooms, Foundation in its rooms, file
# sizes, the NEON path of the kernels, Python syntax. Prints every offence, then fails.
set -uo pipefail
cd "$(dirname "$0")/../.."
failures=0

check() {
    local name=$1 offences
    shift
    if offences=$("$@" 2>&1) && [[ -z $offences ]]; then
        echo "ok      $name"
    else
        echo "FAILED  $name"
        sed 's/^/        /' <<< "$offences"
        failures=$((failures + 1))
    fi
}

format() {
    swift format lint --strict --recursive --parallel Package.swift Plugins Sources Tests
}

# Unsafe code has rooms of its own, which export `@safe` types.
unsafe_rooms() {
    grep -rnwE 'unsafe' Sources --include='*.swift' \
        | grep -vE '^Sources/(KyroBytes|KyroPlatform)/|^[^:]*\+Unsafe\.swift:'
    return 0
}

foundation_rooms() {
    grep -rnE '^[^/]*\bimport +([a-z]+ +)?Foundation' Sources --include='*.swift' \
        | grep -vE '^Sources/(kyroctl|kyrobench)/'
    return 0
}

# Nothing may be ordered by the wall clock; what expires asks the clock that distrusts it.
wall_clock_rooms() {
    grep -rnE '\bwallMillis\(\)|CLOCK_REALTIME|\btime\((nil|NULL|0)\)|gettimeofday' Sources \
        --include='*.swift' --include='*.c' --include='*.h' \
        | grep -vE '^Sources/(KyroPlatform/(Clock|Log)|KyroEngine/ExpiryClock)\.swift:' \
        | grep -vE '^Sources/(KyroCommands|kyroctl|kyrobench)/'
    return 0
}

sizes() {
    git ls-files -z -- ':!Tests/Fixtures' | while IFS= read -r -d '' file; do
        [[ -f $file ]] || continue
        size=$(stat -c %s "$file")
        ((size <= 1 << 20)) || echo "$file: $size bytes, more than 1 MiB"
    done
    local total
    total=$(du -sb Tests/Fixtures/commits | cut -f1)
    ((total <= 5 << 20)) || echo "Tests/Fixtures/commits: $total bytes, more than 5 MiB"
}

neon() {
    local include=/usr/aarch64-linux-gnu/include
    [[ -d $include ]] || { echo "$include is missing: make deps"; return; }
    for file in Sources/CKernels/*.c; do
        clang --target=aarch64-linux-gnu -fsyntax-only -O3 -Wall -Wextra -Werror \
            -isystem "$include" -I Sources/CKernels/include "$file"
    done
}

python_syntax() {
    git ls-files -z --cached --others --exclude-standard -- '*.py' \
        | xargs -0 -r python3 -c '
import ast, sys
for path in sys.argv[1:]:
    ast.parse(open(path, encoding="utf-8").read(), path)'
}

shell_syntax() {
    git ls-files -z --cached --others --exclude-standard -- '*.sh' .ci/run \
        | xargs -0 -r -n 1 bash -n
}

check "swift format" format
check "unsafe code only in its rooms" unsafe_rooms
check "Foundation only in kyroctl and kyrobench" foundation_rooms
check "the wall clock only where it is distrusted" wall_clock_rooms
check "no file above 1 MiB" sizes
check "kernels compile for NEON" neon
check "Python scripts parse" python_syntax
check "shell scripts parse" shell_syntax
((failures == 0))
