#!/bin/sh
# Makes .venv from requirements.lock. PYTHON chooses the interpreter; nothing outside the checkout but uv's cache is written.
set -eu
cd "$(dirname "$0")/.."

fail() {
    echo "setup: $*" >&2
    exit 1
}

version_of() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

fits() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null
}

choose_python() {
    if [ -n "${PYTHON:-}" ]; then
        fits "$PYTHON" || fail "PYTHON=$PYTHON is not a Python 3.11, 3.12 or 3.13"
        echo "$PYTHON"
        return
    fi
    for candidate in .venv/bin/python python3 python3.13 python3.12 python3.11; do
        if fits "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    fail "no Python 3.11, 3.12 or 3.13 found; install one, or name it: make setup PYTHON=/path/to/python3.13"
}

make_venv() {
    rm -rf .venv
    if command -v uv >/dev/null 2>&1; then
        uv venv --quiet --python "$python" .venv
    elif "$python" -c 'import ensurepip' 2>/dev/null; then
        "$python" -m venv .venv
    elif "$python" -m pip --version >/dev/null 2>&1; then
        "$python" -m venv --without-pip .venv
    else
        fail "$python can make no environment (no ensurepip, no pip); install uv, or your system's python3-venv package"
    fi
}

get_uv() {
    if command -v uv >/dev/null 2>&1 || [ -x .venv/bin/uv ]; then
        return
    fi
    pip="-m pip --disable-pip-version-check"
    if .venv/bin/python -c 'import pip' 2>/dev/null || .venv/bin/python -m ensurepip >/dev/null 2>&1; then
        .venv/bin/python $pip install --quiet "uv>=0.9"
    else
        "$python" $pip --python .venv/bin/python install --quiet "uv>=0.9"
    fi
}

uv_command() {
    if command -v uv >/dev/null 2>&1; then echo uv; else echo .venv/bin/uv; fi
}

python=$(choose_python)
stamp=.venv/.setup
wanted="$(version_of "$python") $(cat requirements.lock pyproject.toml services/*/pyproject.toml scripts/setup.sh | cksum) $(pwd -P)"
if [ "$(cat $stamp 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi
echo "setup: .venv on Python $(version_of "$python")"
if [ "$(version_of .venv/bin/python || true)" != "$(version_of "$python")" ]; then
    make_venv
fi
get_uv
uv=$(uv_command)
"$uv" pip install --quiet --python .venv/bin/python --compile-bytecode --require-hashes -r requirements.lock
set --
for service in services/*/; do
    set -- "$@" -e "$service"
done
"$uv" pip install --quiet --python .venv/bin/python --no-deps -e . "$@"
.venv/bin/python -m compileall -q src cli services
echo "$wanted" >$stamp
