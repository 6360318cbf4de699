#!/usr/bin/env bash
# usage: official.sh SERVER (kyro-interop-server)
# `make interop`: the official C++ client, all of its 22 cases, and what ordinary clients depend on,
# each over plaintext and TLS. Builds the client from Debian's source package, which takes minutes,
# once; the kit that builds and drives it lies in KYRODB_CONFORMANCE.
set -euo pipefail
cd "$(dirname "$0")/../.."
kit=${KYRODB_CONFORMANCE:-}
if [[ -z $kit ]]; then
    echo "skipped: KYRODB_CONFORMANCE names no kit"
    exit 0
fi
server=$1
Tests/Tooling/deps.sh libgrpc++-dev protobuf-compiler-grpc
sources=$(Tests/Conformance/sources.sh grpc)
ext=$(dirname "$sources")
if [[ ! -x $ext/cpp-interop/cpp_interop_client ]]; then
    echo "building the C++ client; the log is $ext/cpp-interop.log"
    "$kit/build_cpp_interop.sh" "$sources" "$ext/cpp-interop" > "$ext/cpp-interop.log" 2>&1
fi

work=$(mktemp -d)
pids=()
finish() {
    for pid in "${pids[@]}"; do kill "$pid" 2> /dev/null || true; done
    rm -rf "$work"
}
trap finish EXIT

# start NAME OPTIONS…: sets plain, tls and pid.
start() {
    local log=$work/$1.ports
    shift
    : > "$log"
    "$server" --plain 0 --tls 0 "$@" > "$log" &
    pid=$!
    pids+=("$pid")
    for _ in {1..100}; do
        [[ $(wc -l < "$log") -ge 2 ]] && break
        sleep 0.1
    done
    plain=$(sed -n 's/^plain //p' "$log")
    tls=$(sed -n 's/^tls //p' "$log")
}

failures=0
credentials=$sources/src/python/grpcio_tests/tests/interop/credentials
start interop --cert "$credentials/server1.pem" --key "$credentials/server1.key"
echo "plaintext"
python3 "$kit/interop.py" 127.0.0.1 "$plain" --ext "$ext" --clients cpp || failures=$((failures + 1))
echo "TLS"
cases=empty_unary,large_unary,client_streaming,server_streaming,ping_pong,empty_stream
cases+=,cancel_after_begin,cancel_after_first_response,timeout_on_sleeping_server,custom_metadata
cases+=,status_code_and_message,special_status_message,unimplemented_method,unimplemented_service
cases+=,client_compressed_unary,server_compressed_unary,client_compressed_streaming
cases+=,server_compressed_streaming,half_duplex,rpc_soak,channel_soak
python3 "$kit/interop.py" 127.0.0.1 "$tls" --ext "$ext" --clients cpp --tls --cases "$cases" \
    || failures=$((failures + 1))
# For this case the client opens a plaintext channel in spite of --use_tls, also to its own server,
# unless its credentials are named.
if "$ext/cpp-interop/cpp_interop_client" --server_host=127.0.0.1 --server_port="$tls" \
    --server_host_override=foo.test.google.fr --use_tls=true --use_test_ca=true \
    --custom_credentials_type=ssl --test_case=pick_first_unary; then
    echo "pick_first_unary                    ok"
else
    echo "pick_first_unary                  FAIL"
    failures=$((failures + 1))
fi

# A throw-away authority for the checks.
mkdir "$work/certs"
(
    cd "$work/certs"
    openssl req -x509 -newkey rsa:2048 -noenc -keyout ca.key -out ca.pem -days 2 -subj /CN=test-ca
    openssl req -newkey rsa:2048 -noenc -keyout server.key -out server.csr -subj /CN=server
    openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
        -extfile <(echo subjectAltName=DNS:localhost,IP:127.0.0.1) -out server.pem
    openssl req -newkey rsa:2048 -noenc -keyout client.key -out client.csr -subj /CN=client
    openssl x509 -req -in client.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out client.pem
) 2> /dev/null
mkdir -p "$ext/pygen"
.venv/bin/python -m grpc_tools.protoc -I"$sources" --python_out="$ext/pygen" \
    --grpc_python_out="$ext/pygen" --descriptor_set_out="$work/testing.binpb" --include_imports \
    "$sources"/src/proto/grpc/testing/{empty,messages,test}.proto
start checks --cert "$work/certs/server.pem" --key "$work/certs/server.key" \
    --descriptors "$work/testing.binpb" --mtls 0 --ca "$work/certs/ca.pem"
for _ in {1..100}; do
    mtls=$(sed -n 's/^mtls //p' "$work/checks.ports")
    [[ -n $mtls ]] && break
    sleep 0.1
done
PYTHONPATH=$ext/pygen .venv/bin/python "$kit/checks.py" --plain "$plain" --tls "$tls" \
    --mtls "$mtls" --certs "$work/certs" --pid "$pid" || failures=$((failures + 1))
((failures == 0))
