#!/bin/sh
# Runs the tests of queues and bus on LocalStack 4.14.0, the last that needs no account, started here without Docker.
set -eu
cd "$(dirname "$0")/.."
venv=.venv-localstack
uv=uv
command -v uv >/dev/null 2>&1 || uv=.venv/bin/uv

if ! $venv/bin/python -c 'import localstack.aws' 2>/dev/null; then
    UV_PYTHON_DOWNLOADS=never "$uv" venv --quiet --clear --python "${LOCALSTACK_PYTHON:-3.13}" $venv || {
        echo "test-localstack: LocalStack needs a Python 3.13; install one, or name it in LOCALSTACK_PYTHON" >&2
        exit 1
    }
    "$uv" pip install --quiet --python $venv/bin/python --exclude-newer 2026-03-05 'localstack-core[runtime]==4.14.0'
fi
exec .venv/bin/python scripts/localstack.py $venv -- .venv/bin/pytest tests/ports/test_queues_and_bus.py "$@"
