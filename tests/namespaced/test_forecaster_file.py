from pathlib import Path

import pytest

from tidecast_operator.errors import Misconfigured
from tidecast_operator.forecaster_file import content, parse

PATH = Path("/etc/tidecast/forecaster.yaml")
VALID = """
apiVersion: tidecast.dev/v1alpha1
kind: Forecaster
metadata:
  name: default
  labels: {team: platform}
  annotations: {why: because}
spec:
  stepSeconds: 30
"""


def test_a_manifest_is_read_as_it_is_written():
    manifest = parse(PATH, VALID.encode())

    assert manifest.spec == {"stepSeconds": 30}
    assert manifest.to_body({"made-by": "us"}) == {
        "apiVersion": "tidecast.dev/v1alpha1",
        "kind": "Forecaster",
        "metadata": {
            "name": "default",
            "labels": {"team": "platform", "made-by": "us"},
            "annotations": {"why": "because"},
        },
        "spec": {"stepSeconds": 30},
    }


def test_markers_of_documents_around_it_are_no_documents():
    assert parse(PATH, f"---\n{VALID}\n---\n".encode()).spec == {"stepSeconds": 30}


def test_a_status_in_the_file_is_left_out():
    assert "status" not in parse(PATH, f"{VALID}status: {{graph: {{}}}}\n".encode()).to_body({})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (VALID.replace("spec:", "spec: {"), "no YAML"),
        ("when: 2026-99-99", "no YAML"),
        (b"\xff\xfe\x00", "no YAML"),
        ("", "0 documents"),
        (f"{VALID}---\n{VALID}", "2 documents"),
        ("- a", "not one object"),
        (VALID.replace("v1alpha1", "v9"), "apiVersion is 'tidecast.dev/v9', not 'tidecast.dev/v1alpha1'"),
        (VALID.replace("kind: Forecaster", "kind: ConfigMap"), "kind is 'ConfigMap', not 'Forecaster'"),
        (VALID.replace("name: default", "name: mine"), "metadata.name is 'mine', not 'default'"),
        (VALID.replace("name: default", ""), "metadata.name is None"),
        (VALID.replace("spec:\n  stepSeconds: 30", "spec: 30"), "spec is missing"),
        (VALID.replace("team: platform", "team: 3"), "metadata.labels: 'team' is not text"),
        (VALID.replace("why: because", "2: because"), "metadata.annotations: 2 is not text"),
        (VALID.replace("labels: {team: platform}", "labels: a"), "metadata.labels is missing or no object"),
    ],
)
def test_what_cannot_be_followed_is_told_with_the_file_and_the_flag(text, told):
    with pytest.raises(Misconfigured) as caught:
        parse(PATH, text if isinstance(text, bytes) else text.encode())

    assert told in str(caught.value)
    assert str(PATH) in str(caught.value)
    assert caught.value.field == "--forecaster-file"
    assert caught.value.remedy


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(Misconfigured, match=r"missing\.yaml cannot be read: No such file"):
        content(tmp_path / "missing.yaml")
