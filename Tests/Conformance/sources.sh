#!/usr/bin/env bash
# usage: sources.sh grpc|protobuf
# Fetches a Debian source package into .build/conformance, unpacks what the tests take of it, and
# prints the folder. Asks with the machine's own package sources and a configuration of its own, so
# that it needs no rights. Exit status 75 when it cannot be fetched.
set -euo pipefail
cd "$(dirname "$0")/../.."
mkdir -p .build/conformance
cd .build/conformance
ext=$PWD

case $1 in
    grpc) folder=grpc-1.51.1 ;;
    protobuf) folder=protobuf-3.21.12 ;;
    *)
        echo "sources.sh: unknown package $1" >&2
        exit 2
        ;;
esac
if [[ -e $folder/complete ]]; then
    echo "$ext/$folder"
    exit
fi

mkdir -p apt/{parts,lists/partial,cache/archives/partial}
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
    [[ -f $file ]] || continue
    case $file in
        *.list) sed -n 's/^deb /deb-src /p' "$file" > "apt/parts/$(basename "$file")" ;;
        *.sources) sed 's/^Types:.*/Types: deb-src/' "$file" > "apt/parts/$(basename "$file")" ;;
    esac
done
apt=(apt-get -q -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$ext/apt/parts"
    -o "Dir::State::lists=$ext/apt/lists" -o "Dir::Cache=$ext/apt/cache")
fetch() {
    "${apt[@]}" update && "${apt[@]}" source --download-only --only-source "$1"
}
if ! fetch "$1" > "fetch-$1.log" 2>&1; then
    tail -3 "fetch-$1.log" >&2
    echo "skipped: the Debian source package $1 cannot be fetched" >&2
    exit 75
fi
rm -rf "$folder"
tar xf "${folder/-/_}.orig.tar.gz"
# Servers of tests listen on loopback only.
if [[ $1 == grpc ]]; then
    sed -i 's/"0\.0\.0\.0:"/"127.0.0.1:"/' "$folder/test/cpp/interop/interop_server.cc"
fi
touch "$folder/complete"
echo "$ext/$folder"
