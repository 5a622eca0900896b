#!/usr/bin/env bash
# Writes constraints.txt anew from what pip chooses today within the bounds of pyproject.toml. torch stays where it is.
set -euo pipefail
cd "$(dirname "$0")/.."
torch=$(grep '^torch==' constraints.txt)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "$torch" >"$work/constraints.txt"
python3 -m venv "$work/venv"
pip=("$work/venv/bin/pip" --disable-pip-version-check)
"${pip[@]}" install -c "$work/constraints.txt" -e '.[dev]' >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
{
  sed '/^[^#]/,$d' constraints.txt
  {
    # Without local versions such as +cpu: which build of torch a host gets is its package index's business.
    "${pip[@]}" freeze --exclude-editable | sed 's/+.*//'
    # What its build for CUDA brings along is not installed here, and torch leaves the versions open.
    grep '^cuda-' constraints.txt
  } | sort --ignore-case --unique
} >"$work/new.txt"
mv "$work/new.txt" constraints.txt
