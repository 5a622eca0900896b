#!/usr/bin/env bash
# Makes the Python modules of every *.proto of the contract and of the operator, beside them or below the folder that is
# given.
# The modules refuse to run on a protobuf or grpcio older than what made them: pyproject.toml pins grpcio-tools, and
# the lower bounds of its `rpc` extra follow that pin.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:+$(mkdir -p "$1" && cd "$1" && pwd)}
python=$PWD/.venv/bin/python
[ -x "$python" ] || python=python3
python=${PYTHON:-$python}

for root in contract operator; do
  (
    cd "$root"
    mapfile -t protos < <(find tidecast_* -name '*.proto' | sort)
    "$python" -m grpc_tools.protoc --proto_path=. \
      --python_out="${out:-.}" --pyi_out="${out:-.}" --grpc_python_out="${out:-.}" \
      "${protos[@]}"
  )
done
