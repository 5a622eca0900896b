#!/usr/bin/env bash
# Makes the Python modules of contract/tidecast_contract/rpc/*.proto, beside them or below the folder that is given.
# The modules refuse to run on a protobuf or grpcio older than what made them: pyproject.toml pins grpcio-tools, and
# the lower bounds of its `rpc` extra follow that pin.
set -euo pipefail
cd "$(dirname "$0")/../contract"
out=${1:-.}
python=${PYTHON:-../.venv/bin/python}
[ -x "$python" ] || python=python3

mkdir -p "$out"
"$python" -m grpc_tools.protoc --proto_path=. \
  --python_out="$out" --pyi_out="$out" --grpc_python_out="$out" \
  tidecast_contract/rpc/*.proto
