#!/bin/sh
# usage: generate.sh PROTOS OUTPUT.swift FILE…: the FileDescriptorSet of the files and of all that
# they import, in hexadecimal digits, as one literal: a compiler reads that at once, and a list of
# numbers not.
set -eu
protos=$1
output=$2
shift 2
command -v protoc > /dev/null || {
    echo "protoc is missing: make deps, or apt-get install protobuf-compiler" >&2
    exit 1
}
set="$output.binpb"
protoc -I "$protos" -I /usr/include --include_imports --descriptor_set_out="$set" "$@"
{
    echo "// Made of Protos/ by Plugins/DescriptorSet/generate.sh."
    echo "enum DescriptorBytes {"
    printf '    static let hexadecimal = "'
    od -A n -v -t x1 "$set" | tr -d ' \n'
    echo '"'
    echo "}"
} > "$output.new"
mv "$output.new" "$output"
