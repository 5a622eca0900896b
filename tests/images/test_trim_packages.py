import subprocess

import pytest

from builders.documents import ROOT

STAYS = (
    "numpy/core.py",
    "numpy/testing/__init__.py",
    "torch/testing/__init__.py",
    "torch/lib/libtorch.so",
    "torch/bin/torch_shm_manager",
    "kubernetes/client/__init__.py",
    "torch-2.13.0.dist-info/METADATA",
)
GOES = (
    "numpy/_core/tests/test_core.py",
    "torch/test/test_everything",
    "torch/include/ATen/ATen.h",
    "torch/bin/protoc",
    "torch/lib/libdnnl.a",
    "kubernetes/aio/__init__.py",
    "triton/__init__.py",
    "triton-3.7.1.dist-info/METADATA",
    "setuptools/__init__.py",
    "setuptools-84.2.1.dist-info/METADATA",
    "distutils-precedence.pth",
)


@pytest.fixture
def environment(tmp_path):
    packages = tmp_path / "lib" / "python3.11" / "site-packages"
    programs = [tmp_path / "bin" / name for name in ("python", "python3.11", "f2py", "activate")]
    for path in (*programs, *(packages / name for name in (*STAYS, *GOES))):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def trimmed(folder):
    return subprocess.run([ROOT / "scripts" / "trim-packages.sh", folder], capture_output=True, text=True, check=False)


@pytest.fixture
def packages(environment):
    assert trimmed(environment).returncode == 0
    return environment / "lib" / "python3.11" / "site-packages"


@pytest.mark.parametrize("name", STAYS)
def test_what_is_imported_stays(packages, name):
    assert (packages / name).exists()


@pytest.mark.parametrize("name", GOES)
def test_what_nothing_loads_goes(packages, name):
    assert not (packages / name).exists()


def test_of_the_programs_only_python_stays(environment):
    trimmed(environment)

    assert {path.name for path in (environment / "bin").iterdir()} == {"python", "python3.11"}


def test_packages_without_pytorch_are_trimmed_as_well(tmp_path):
    (tmp_path / "lib" / "python3.11" / "site-packages" / "kopf" / "tests").mkdir(parents=True)
    (tmp_path / "bin").mkdir()

    assert trimmed(tmp_path).returncode == 0
    assert not list(tmp_path.rglob("tests"))


def test_a_folder_that_is_no_environment_is_refused_and_left_alone(tmp_path):
    (tmp_path / "tests").mkdir()

    done = trimmed(tmp_path)

    assert done.returncode != 0
    assert "no site-packages in" in done.stderr
    assert (tmp_path / "tests").exists()
