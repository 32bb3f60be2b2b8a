#!/bin/sh
# Install the gateway into .venv, start it with its embedded defaults, ask it one question, stop it.
set -eu
cd "$(dirname "$0")/.."
deploy/venv.sh .venv -e .
exec .venv/bin/python deploy/try.py .venv/bin/llmproxy
