import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "contract" / "tidecast_contract" / "rpc"
MODULES = [f"{proto.stem}_pb2{ending}" for proto in COMMITTED.glob("*.proto") for ending in (".py", ".pyi", "_grpc.py")]


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    out = tmp_path_factory.mktemp("generated")
    subprocess.run(
        [ROOT / "scripts" / "generate-protos.sh", out], check=True, env={**os.environ, "PYTHON": sys.executable}
    )
    return out / "tidecast_contract" / "rpc"


@pytest.mark.parametrize("module", MODULES)
def test_generating_again_changes_nothing(generated, module):
    assert (generated / module).read_text() == (COMMITTED / module).read_text(), "run scripts/generate-protos.sh"


def test_no_generated_module_has_lost_its_proto():
    assert {path.name for path in COMMITTED.glob("*_pb2*.py*")} == {
        *MODULES,
        *(f"{m}i" for m in MODULES if "grpc" in m),
    }


def test_the_bounds_of_the_rpc_extra_are_what_the_generated_code_demands():
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["rpc"]
    protobuf = re.search(r"Protobuf Python Version: (\S+)", (COMMITTED / "tidecast_pb2.py").read_text())[1]
    grpc = re.search(r"GRPC_GENERATED_VERSION = '(\S+)'", (COMMITTED / "tidecast_pb2_grpc.py").read_text())[1]
    assert {requirement.split(",")[0] for requirement in extra} == {
        f"protobuf>={protobuf}",
        f"grpcio>={grpc}",
        f"grpcio-health-checking>={grpc}",
    }
