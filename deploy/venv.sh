#!/bin/sh
# Make the virtual environment DIR with a Python of 3.11 or later and install into it: venv.sh DIR PIP-ARGUMENT...
set -eu
dir=$1
shift
new_enough='import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'
if [ ! -x "$dir/bin/python" ]; then
    for python in "${PYTHON:-python3}" python3.11 python3.12 python3.13 python3.14; do
        "$python" -c "$new_enough" 2>/dev/null && break
        python=
    done
    [ -n "$python" ] || { echo "llmproxy needs Python 3.11 or later with its venv module; name one by PYTHON=..." >&2; exit 1; }
    "$python" -m venv "$dir"
fi
"$dir/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
