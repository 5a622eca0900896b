"""
What a method's numbers come from: the source of modules, and of compiled code that is in no module.
"""

import sys

import pytest

from tidecast_predictor.evaluation.runs import digest_of


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with a module and a folder of sources beside it."""
    folder = tmp_path / "dug"
    (folder / "native").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "code.py").write_text("A = 1\n")
    (folder / "native" / "fast.cpp").write_text("int a;\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "dug"]:
        del sys.modules[name]


def test_other_source_has_another_digest(package):
    before = digest_of(["dug.code"])
    (package / "code.py").write_text("A = 2\n")
    assert digest_of(["dug.code"]) != before


def test_other_source_of_compiled_code_has_another_digest(package):
    before = digest_of(["dug.native"])
    (package / "native" / "fast.cpp").write_text("int b;\n")
    assert digest_of(["dug.native"]) != before


def test_what_was_built_from_it_changes_nothing(package):
    before = digest_of(["dug.native"])
    (package / "native" / "fast.so").write_bytes(b"built")
    assert digest_of(["dug.native"]) == before
