import runpy
import subprocess
import sys

import pytest
import yaml

from builders.documents import ROOT, rows

SCRIPT = ROOT / "scripts" / "document-resources.py"
PAGE = ROOT / "docs" / "custom-resources.md"


def schema_fields(schema, path):
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}"
        items = field.get("items", {})
        yield from schema_fields(items or field, f"{path}.{name}[]" if items else f"{path}.{name}")


def definitions():
    return [yaml.safe_load(path.read_text())["spec"] for path in (ROOT / "manifests" / "crds").glob("*.yaml")]


def test_the_page_is_what_the_definitions_say():
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_a_page_that_is_not_current_is_noticed(tmp_path, monkeypatch):
    main = runpy.run_path(str(SCRIPT))["main"]
    old = tmp_path / "custom-resources.md"
    old.write_text(PAGE.read_text().replace("1 to 600", "1 to 60"))
    monkeypatch.setitem(main.__globals__, "ROOT", tmp_path)
    monkeypatch.setitem(main.__globals__, "PAGE", old)
    monkeypatch.setattr(sys, "argv", ["document-resources.py", "--check"])

    assert "run scripts/document-resources.py" in main()


@pytest.mark.parametrize("definition", definitions(), ids=lambda definition: definition["names"]["kind"])
def test_every_field_of_a_definition_has_a_row_with_a_meaning(definition):
    described = {cells[0]: cells[3] for cells in rows(PAGE.read_text(), columns=4)}
    schema = definition["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    fields = {field for part in ("spec", "status") for field in schema_fields(schema[part], part)}

    assert not fields - described.keys()
    assert not [field for field in fields if len(described[field]) < 10]


@pytest.mark.parametrize(
    "row",
    [
        ["spec.prometheus.timeoutSeconds", "integer", "default `30`; 1 to 600"],
        ["spec.predictor.address", "string", "required; 3 to 512 characters; matches `^.+:[0-9]{1,5}$"],
        ["spec.scaling.mode", "string", "default `Preview`; one of `Preview`, `Active"],
        ["status.callers", "list of objects", "at most 10 items"],
    ],
    ids=lambda row: row[0],
)
def test_a_row_has_type_default_and_bounds(row):
    assert row in [cells[:3] for cells in rows(PAGE.read_text(), columns=4)]
