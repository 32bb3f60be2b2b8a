#!/bin/sh
# Install the gateway with what its tests need into .venv and run them, a file at a time in each process, the files that start gateways first: test.sh [PYTEST-ARGUMENT...]
set -eu
cd "$(dirname "$0")/.."
deploy/venv.sh .venv -e '.[test]'
unset PYTHONDONTWRITEBYTECODE # hundreds of gateways are started: each would compile all of it
exec .venv/bin/python -m pytest -n auto --dist loadfile --no-loadscope-reorder "$@"
