#!/bin/sh
# Install the gateway with what its tests need into .venv and run them, a file at a time on each core: test.sh [PYTEST-ARGUMENT...]
set -eu
cd "$(dirname "$0")/.."
deploy/venv.sh .venv -e '.[test]'
exec .venv/bin/python -m pytest -n auto --dist loadfile "$@"
