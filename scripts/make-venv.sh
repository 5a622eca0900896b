#!/usr/bin/env bash
# Makes or brings up to date a virtual environment with Tidecast and all that its tests need, at the versions of
# constraints.txt. Says one line when it has something to do; pip's own words only when it fails.
# Usage: make-venv.sh FOLDER
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$1

find_python() {
  local candidate
  for candidate in python3 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  echo "make-venv: needs Python 3.11 or newer on PATH" >&2
  exit 1
}

if [ ! -x "$venv/bin/pip" ]; then
  python=$(find_python)
  # Debian keeps the half of the venv module that brings pip in a package of its own.
  "$python" -c 'import ensurepip, venv' 2>/dev/null || scripts/install-system.sh python
  "$python" -m venv "$venv"
fi
echo "installing Python packages into $venv (minutes the first time, seconds later)"
log=$venv/install.log
if ! "$venv/bin/pip" --disable-pip-version-check install -c constraints.txt -e '.[dev]' >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
# The compiled recurrence is a matter of speed only: without a compiler that can do it, PyTorch does the same.
scripts/build-native.sh >>"$log" 2>&1 || echo "the recurrence is not compiled here; PyTorch does it" >>"$log"
