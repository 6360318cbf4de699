#!/usr/bin/env bash
# usage: interop.sh SERVER: the official Python client against it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
status=0
sources=$("$here/sources.sh" grpc) || status=$?
if ((status == 75)); then exit 0; fi
((status == 0)) || exit "$status"
exec "$here/../../.venv/bin/python" "$here/interop.py" "$1" "$sources"
