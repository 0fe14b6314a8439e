#!/usr/bin/env bash
# uv 0.13.9, seen 2026-11-28.
# `uv pip compile --universal --group dev` resolves for the Python that runs it and later ones. It does not read
# `requires-python` of the same pyproject.toml. `uv lock` in the same folder does, and so keeps pins for older Pythons.
# Expected: both resolve for every Python that the project supports.
# Why it matters here: a contributor with Python 3.13 would write locks that cannot be installed with Python 3.11, and
# nothing would say so. local/lock.py therefore names the oldest Python with --python-version.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "needs Python 3.10 or later"; exit 2; }
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check uv==0.13.9
uv=$folder/venv/bin/uv

cat >"$folder/pyproject.toml" <<'TOML'
[project]
name = "example"
version = "1"
requires-python = ">=3.9"

[dependency-groups]
dev = ["networkx<=3.7"]
TOML
cd "$folder"

compiled=$("$uv" pip compile --quiet --universal --no-annotate --no-header --python "$folder/venv/bin/python" --group dev)
"$uv" lock --quiet --python "$folder/venv/bin/python"
locked=$(grep -A1 '^name = "networkx"' uv.lock | grep version)
echo "pip compile, on Python $(python3 -c 'import platform; print(platform.python_version())'):"
echo "$compiled"
echo "lock:"
echo "$locked"

# networkx 3.2.1 is the last version for Python 3.9.
if grep -q '3\.2\.1' <<<"$compiled" || ! grep -q '3\.2\.1' <<<"$locked"; then
    echo "CHANGED: pip compile and lock now agree about Python 3.9"
    exit 1
fi
echo "as seen: lock has a version for Python 3.9, pip compile has none"
