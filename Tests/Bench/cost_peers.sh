#!/usr/bin/env bash
# Builds what `kyrobench cost` compares with into .build/peers/cost: a bare nghttp2 server in C, and
# with --grpc a C++ server on Debian's libgrpc++, whose packages are unpacked into .build/peers where
# this machine lacks them: nothing is installed. usage: cost_peers.sh [--grpc]
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() {
    echo "cost_peers: $*" >&2
    exit 1
}

out=$PWD/.build/peers/cost
source=Tests/Bench/Cost
mkdir -p "$out"

if [[ ! $out/bare_server -nt $source/bare_server.c ]]; then
    gcc -std=c11 -O2 -Wall -Wextra -Werror -o "$out/bare_server" "$source/bare_server.c" \
        $(pkg-config --cflags --libs libnghttp2)
fi
[[ ${1:-} == --grpc ]] || exit 0
if [[ $out/grpc_server -nt $source/grpc_server.cc && $out/grpc_server -nt $source/echo.proto ]]; then
    exit 0
fi
command -v g++ > /dev/null || fail "g++ is missing: apt-get install g++"

debian=$PWD/.build/peers/debian
wanted=(libgrpc++-dev protobuf-compiler-grpc libprotobuf-dev protobuf-compiler)
installed=yes
for package in "${wanted[@]}"; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null || true)
    [[ $status == installed ]] || installed=no
done
lib=usr/lib/$(gcc -print-multiarch)
root=
if [[ $installed == no ]]; then
    root=$debian
    if [[ ! -e $debian/$lib/libgrpc++.so ]]; then
        echo "cost_peers: unpacking libgrpc++ from Debian's packages" >&2
        mkdir -p "$out/packages" "$debian"
        # What apt-get would install: those that are missing, with all that is missing below them.
        mapfile -t names < <(apt-get -s -q install --no-install-recommends "${wanted[@]}" \
            | sed -n 's/^Inst \([^ ]*\).*/\1/p')
        ((${#names[@]} > 0)) || fail "apt-get knows no ${wanted[*]}: apt-get update?"
        (cd "$out/packages" && apt-get -q download "${names[@]}" > /dev/null) \
            || fail "apt-get could not download ${names[*]}: is there a network?"
        for package in "$out"/packages/*.deb; do dpkg -x "$package" "$debian"; done
    fi
    export LD_LIBRARY_PATH=$debian/$lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
fi
plugin=$root/usr/bin/grpc_cpp_plugin
[[ -x $plugin ]] || fail "$plugin is missing"
protoc -I "$source" --cpp_out="$out" --grpc_out="$out" --plugin=protoc-gen-grpc="$plugin" \
    "$source/echo.proto"
g++ -std=c++17 -O2 -I "$out" ${root:+-I "$root/usr/include"} -o "$out/grpc_server" \
    "$source/grpc_server.cc" "$out/echo.pb.cc" "$out/echo.grpc.pb.cc" \
    ${root:+-L "$root/$lib" -Wl,-rpath,"$root/$lib" -Wl,-rpath-link,"$root/$lib"} \
    -Wl,--copy-dt-needed-entries -lgrpc++ -lgrpc -lgpr -lprotobuf -lpthread
