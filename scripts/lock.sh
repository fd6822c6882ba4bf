#!/bin/sh
# Resolves the dependencies of the whole workspace again. uv.lock stays untracked: it names the registry it came from.
set -eu
cd "$(dirname "$0")/.."
uv=uv
command -v uv >/dev/null 2>&1 || uv=.venv/bin/uv
"$uv" lock --upgrade
"$uv" export --quiet --all-packages --all-extras --group dev --no-emit-workspace --no-header --no-annotate \
    --format requirements-txt -o requirements.lock
