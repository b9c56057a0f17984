#!/bin/sh
# Runs one of this example's scripts (demo.py unless another is named) in a virtual environment that it
# makes at its first use, in target/venv of the repository.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv=$here/../../target/venv/openai_agent
if ! cmp -s "$here/requirements.txt" "$venv/installed.txt"; then
    python3 -m venv --clear "$venv" || { echo "install python3-venv, then try again" >&2; exit 1; }
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/installed.txt"
fi
script=${1:-demo.py}
[ $# -eq 0 ] || shift
exec "$venv/bin/python" "$here/$script" "$@"
