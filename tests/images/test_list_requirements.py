import runpy
import subprocess
import sys

import pytest

from builders.documents import ROOT

SCRIPT = ROOT / "scripts" / "list-requirements.py"
REQUIREMENTS = runpy.run_path(str(SCRIPT))["requirements"]
PROJECT = {
    "name": "tidecast",
    "dependencies": ["numpy>=2"],
    "optional-dependencies": {
        "rpc": ["grpcio>=1"],
        "operator": ["tidecast[rpc]", "kopf>=1"],
        "dev": ["tidecast[operator, rpc]", "coverage[toml]>=7", "coverage[toml]"],
    },
}


def names(*arguments):
    done = subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {line.split(">")[0] for line in done.stdout.splitlines()}


def test_the_projects_own_extras_are_resolved():
    assert list(REQUIREMENTS(PROJECT, "operator")) == ["numpy>=2", "grpcio>=1", "kopf>=1"]


def test_extras_of_others_stay_as_they_are():
    assert {"coverage[toml]>=7", "coverage[toml]"} <= set(REQUIREMENTS(PROJECT, "dev"))


def test_several_extras_in_one_are_all_resolved():
    assert set(REQUIREMENTS(PROJECT, "dev")) == {
        "numpy>=2",
        "grpcio>=1",
        "kopf>=1",
        "coverage[toml]>=7",
        "coverage[toml]",
    }


def test_an_extra_that_is_not_there_is_an_error():
    with pytest.raises(KeyError, match="simulation"):
        list(REQUIREMENTS(PROJECT, "simulation"))


def test_the_operator_asks_for_kopf_and_not_for_pytorch():
    asked = names("operator")

    assert {"numpy", "kopf", "grpcio"} <= asked
    assert not {"torch", "matplotlib"} & asked


def test_the_predictor_asks_for_pytorch_and_not_for_kopf():
    asked = names("predictor")

    assert {"numpy", "torch", "grpcio"} <= asked
    assert not {"kopf", "matplotlib"} & asked


def test_without_an_extra_the_script_says_how_it_is_used():
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=False)

    assert done.returncode != 0
    assert "Usage: list-requirements.py EXTRA" in done.stderr
