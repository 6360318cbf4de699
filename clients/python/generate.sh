#!/bin/sh
# Generates the stubs in src/kyrodb_v2/_proto. usage: [PYTHON=python3] generate.sh
exec "${PYTHON:-python3}" "$(dirname "$0")/generate.py"
