import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE_ROOTS = ("contract", "operator", "predictor", "simulator")
# Written with brackets, so that this file does not hold them itself.
MACHINE_PATHS = re.compile(r"/roo[t]/|/hom[e]/[a-z]+/|/wor[k]/(main|shared)|/opt/whee[l]s|/opt/pyp[i]")
REGISTRY_HOSTS = re.compile(
    r"pyp[i]\.org|pythonhoste[d]\.org|download\.pytorc[h]\.org|registry\.npmj[s]\.org|proxy\.golan[g]\.org|deb\.debia[n]\.org"
)


def tracked_files():
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def written_by_hand():
    generated = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi")
    return [path for path in tracked_files() if path.suffix == ".py" and not path.name.endswith(generated)]


def places_of(pattern):
    for path in tracked_files():
        try:
            lines = path.read_text().splitlines()
        except UnicodeDecodeError:
            continue
        yield from (f"{path.relative_to(ROOT)}:{n}: {line}" for n, line in enumerate(lines, 1) if pattern.search(line))


@pytest.mark.parametrize("root", SOURCE_ROOTS)
def test_a_source_root_is_no_package(root):
    assert not (ROOT / root / "__init__.py").exists()


def test_no_folder_of_tests_hides_a_module_of_the_standard_library():
    assert not [path for path in tracked_files() if path.match("tests/**/operator/*")]


def test_files_of_tests_have_names_of_their_own():
    names = [path.name for path in tracked_files() if path.match("tests/**/test_*.py")]
    assert sorted(names) == sorted(set(names))


def test_no_file_is_longer_than_400_lines():
    lengths = {path: len(path.read_text().splitlines()) for path in written_by_hand()}
    assert not {str(path): length for path, length in lengths.items() if length > 400}


def test_no_path_of_a_developers_machine_is_committed():
    assert not list(places_of(MACHINE_PATHS))


def test_no_package_registry_is_named():
    assert not list(places_of(REGISTRY_HOSTS))


def test_what_the_documents_tell_to_make_can_be_made():
    documents = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "benchmarks").glob("*.md")]
    told = {name for path in documents for name in re.findall(r"(?:\$ |`)make ([a-z-]+)", path.read_text())}
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert {"demo", "test"} <= told
    assert told <= targets


def test_the_documents_link_to_what_is_there():
    for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        links = re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text())
        missing = [link for link in links if not (path.parent / link).exists()]
        assert not missing, f"{path.name} links to {missing}"


def test_a_copy_of_a_definition_equals_the_one_in_manifests():
    for copy in (ROOT / "charts").glob("**/tidecast.dev_*.yaml"):
        assert copy.read_text() == (ROOT / "manifests" / "crds" / copy.name).read_text()
