import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("contract/tidecast_contract", "operator/tidecast_operator", "predictor/tidecast_predictor")
NATIVE = Path("tidecast_predictor", "native", "librecurrence-x86-64-v3.so")


def copied(folder):
    """The sources as git has them, in a folder of their own: what was compiled here is not among them."""
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    for name in filter(None, names):
        if not (ROOT / name).is_file():
            continue
        if name.startswith(("contract/", "operator/", "predictor/", "simulator/")) or "/" not in name:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def built(sources, folder):
    """The wheel of *sources*, open."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, sources]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return zipfile.ZipFile(next(folder.glob("*.whl")))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The names of the files in a freshly built wheel, and the text of its entry points."""
    with built(ROOT, tmp_path_factory.mktemp("wheel")) as archive:
        scripts = next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
        return set(archive.namelist()), archive.read(scripts).decode()


@pytest.mark.parametrize("package", [*PACKAGES, "simulator/tidecast_simulator"])
def test_the_wheel_has_every_module(wheel, package):
    source = ROOT / package
    modules = {str(path.relative_to(source.parent)) for path in source.rglob("*.py")}
    assert modules
    assert modules <= wheel[0]


def test_the_wheel_has_the_command_lines(wheel):
    for name in ("operator", "predictor", "simulator"):
        assert f"tidecast-{name} = tidecast_{name}.cli:main" in wheel[1]


@pytest.mark.parametrize("is_compiled", [True, False])
def test_a_wheel_has_the_compiled_recurrence_where_there_was_a_compiler(is_compiled, tmp_path):
    sources = copied(tmp_path / "sources")
    if is_compiled:
        (sources / "predictor" / NATIVE).write_bytes(b"compiled")
    with built(sources, tmp_path / "wheel") as archive:
        assert (str(NATIVE) in archive.namelist()) == is_compiled


def test_operator_and_contract_run_without_torch():
    code = (
        "import importlib, pkgutil, sys\n"
        "sys.modules['torch'] = None\n"
        "for name in ('tidecast_contract', 'tidecast_operator'):\n"
        "    package = importlib.import_module(name)\n"
        "    for module in pkgutil.walk_packages(package.__path__, name + '.'):\n"
        "        if not module.name.endswith('__main__'):\n"
        "            importlib.import_module(module.name)\n"
        "print(len([name for name in sys.modules if name.startswith('tidecast_operator')]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10


def test_the_standard_librarys_operator_is_not_hidden():
    code = "import sys; sys.path.insert(0, ''); import operator, collections; print(operator.__file__)"
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert str(ROOT) not in done.stdout
