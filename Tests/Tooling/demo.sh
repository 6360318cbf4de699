#!/usr/bin/env bash
# `make demo`: an empty server on loopback, the sample of commits streamed in, questions asked.
# usage: demo.sh BIN
set -euo pipefail
cd "$(dirname "$0")/../.."
PATH=$(cd "$1" && pwd):$PATH
folder=$(mktemp -d)
server=
sample=Tests/Fixtures/commits

finish() {
    if [[ -n $server ]]; then
        kill -KILL "$server" 2> /dev/null || true
        wait "$server" 2> /dev/null || true
    fi
    rm -rf "$folder"
}
trap finish EXIT

title() {
    if [[ -t 1 ]]; then printf '\n\033[1m%s\033[0m\n' "$*"; else printf '\n== %s\n' "$*"; fi
}

# Shows the command as one would type it, then runs it.
ask() {
    local shown=kyroctl word
    for word in "$@"; do
        if [[ $word =~ ^[A-Za-z0-9_./:,=-]+$ ]]; then shown+=" $word"; else shown+=" '$word'"; fi
    done
    echo "\$ $shown"
    kyroctl "$@"
}

title "An empty server"
kyrodb serve --data "$folder/data" --listen 127.0.0.1:0 --port-file "$folder/port" &
server=$!
for ((tries = 0; tries < 1000; tries++)); do
    if [[ -e $folder/port ]]; then break; fi
    kill -0 "$server" 2> /dev/null || { echo "demo: the server ended at once" >&2; exit 1; }
    sleep 0.01
done
KYRODB_SERVER=$(< "$folder/port")
export KYRODB_SERVER KYRODB_NAMESPACE=commits
ask ping

title "2,748 commits of swift-nio and grpc-go stream in, with their embeddings"
ask collections create commits --vector embedding:384 --text title --text text
ask ingest $sample/corpus.jsonl --vectors $sample/corpus.npy --vectors-as embedding \
    --time-field ts --time-unit s --skip-field hash --skip-field commit_ts
ask collections list

title "Lookup by id"
ask get grpc-go-a8375891a889 grpc-go-6dff7c5f333b --fields title,repo,author,files

title "By words"
ask search --text 'flow control window' --limit 5

title "By meaning: the embedding of \"$(sed -n '3s/.*"text":"\([^"]*\)".*/\1/p' $sample/queries.jsonl)\""
ask search --vector $sample/queries.npy --row 2 --limit 5 --explain

title "By meaning, among few: small commits of one repository"
ask search --vector $sample/queries.npy --row 2 --limit 5 \
    --filter 'repo = "grpc/grpc-go" and files < 3 and not main_ext = ".md"'

title "By words, newer ones first, up to a day"
ask search --text 'memory leak' --decay 180d --decay-origin 2021-01-01 --until 2021-01-01 --limit 5

title "Hybrid: words and meaning, filter and decay together"
ask search --text 'metadata encoding' --vector $sample/queries.npy --row 2 \
    --filter 'files < 20' --decay 730d --decay-origin 2021-01-01 --until 2021-01-01 --limit 5

title "Hybrid, fused by ranks"
ask search --text 'http2 flow control' --like grpc-go-417442a75374 --rrf --limit 5

title "What the server holds"
ask snapshot
ask status

title "A clean stop"
kill -TERM "$server"
status=0
wait "$server" || status=$?
server=
echo "the server ended with status $status"
exit "$status"
