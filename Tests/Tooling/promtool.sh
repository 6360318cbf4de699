#!/usr/bin/env bash
# Prints the path of promtool, which judges metrics by Prometheus' conventions: this machine's, or
# Debian's package unpacked into .build/peers (19 MB; nothing is installed). usage: promtool.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v promtool && exit
folder=$PWD/.build/peers/prometheus
tool=$folder/usr/bin/promtool
if [[ ! -x $tool ]]; then
    mkdir -p "$folder/packages"
    (cd "$folder/packages" && apt-get -q download prometheus > /dev/null) || {
        echo "promtool: apt-get could not download prometheus: is there a network?" >&2
        exit 1
    }
    for package in "$folder"/packages/*.deb; do dpkg -x "$package" "$folder"; done
fi
echo "$tool"
