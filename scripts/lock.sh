#!/usr/bin/env bash
# Make requirements.lock, requirements-dev.lock and requirements-gpu.lock from pyproject.toml, in an environment of their own.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
read_deps() { python3 -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; print('\n'.join($1))"; }
read_deps "p['dependencies']" > "$work/core.in"
read_deps "p['optional-dependencies']['dev']" > "$work/dev.in"
"$work/venv/bin/pip" install -q -r "$work/core.in"
"$work/venv/bin/pip" freeze --exclude setuptools --exclude pip | sort > "$work/core.txt"
"$work/venv/bin/pip" install -q -r "$work/dev.in"
"$work/venv/bin/pip" freeze --exclude setuptools --exclude pip | sort > "$work/all.txt"
{
    echo "# All that \`preview\` needs, exactly. Made from pyproject.toml's dependencies by \`make lock\`."
    cat "$work/core.txt"
} > requirements.lock
{
    echo "# What tests and checks need besides, exactly. Made by \`make lock\`."
    echo "-r requirements.lock"
    comm -13 "$work/core.txt" "$work/all.txt"
} > requirements-dev.lock
# The diffusion presets: beside the core, not beside the tests.
"$work/venv/bin/pip" uninstall -q -y -r <(comm -13 "$work/core.txt" "$work/all.txt")
read_deps "p['optional-dependencies']['gpu']" > "$work/gpu.in"
"$work/venv/bin/pip" install -q -r "$work/gpu.in" -c "$work/core.txt"
"$work/venv/bin/pip" freeze --exclude setuptools --exclude pip | sort > "$work/gpu.txt"
{
    echo "# What the diffusion presets need besides, exactly. Made by \`make lock\`."
    echo "-r requirements.lock"
    comm -13 "$work/core.txt" "$work/gpu.txt"
} > requirements-gpu.lock
