"""
A file with the manifest of the Forecaster: read, and checked as far as a file can be wrong. Knows no API server.

What its spec says is not looked at here: that is for the schema of the definition, and for `settings`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tidecast_operator.errors import Misconfigured
from tidecast_operator.resources import API_VERSION, DEFAULT_FORECASTER, FORECASTER_KIND

FLAG = "--forecaster-file"
_EXAMPLE = f"write one {FORECASTER_KIND} of {API_VERSION} named {DEFAULT_FORECASTER}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """
    What the file says.

    Attributes:
        labels: Of the object.
        annotations: Of the object.
        spec: As it is written, not checked.
    """

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    spec: Mapping[str, Any]

    def to_body(self, labels: Mapping[str, str]) -> dict[str, Any]:
        """The object, with *labels* beside its own."""
        metadata: dict[str, Any] = {"name": DEFAULT_FORECASTER, "labels": {**self.labels, **labels}}
        if self.annotations:
            metadata["annotations"] = dict(self.annotations)
        return {
            "apiVersion": API_VERSION,
            "kind": FORECASTER_KIND,
            "metadata": metadata,
            "spec": dict(self.spec),
        }


def content(path: Path) -> bytes:
    """
    What stands in the file now.

    Raises:
        Misconfigured: If it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise Misconfigured(
            FLAG, f"{path} cannot be read: {error.strerror}", "mount the file there, or correct the path"
        ) from error


def parse(path: Path, text: bytes) -> Manifest:
    """
    What *text*, read from *path*, means.

    Raises:
        Misconfigured: If it is no YAML, or not one Forecaster named `default`; it names the file and the remedy.
    """
    try:
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that is none
        raise Misconfigured(FLAG, f"{path} is no YAML: {' '.join(str(error).split())}", "correct it") from error
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise Misconfigured(FLAG, f"{path} holds {len(documents)} documents, not one object", _EXAMPLE)
    body = documents[0]
    _expect(path, "apiVersion", body.get("apiVersion"), API_VERSION)
    _expect(path, "kind", body.get("kind"), FORECASTER_KIND)
    metadata = _mapping(path, "metadata", body.get("metadata"))
    _expect(path, "metadata.name", metadata.get("name"), DEFAULT_FORECASTER)
    return Manifest(
        labels=_texts(path, "metadata.labels", metadata.get("labels")),
        annotations=_texts(path, "metadata.annotations", metadata.get("annotations")),
        spec=_mapping(path, "spec", body.get("spec")),
    )


def _expect(path: Path, field: str, found: object, expected: str) -> None:
    if found != expected:
        raise Misconfigured(FLAG, f"{path}: {field} is {found!r}, not {expected!r}", _EXAMPLE)


def _mapping(path: Path, field: str, found: Any) -> Mapping[str, Any]:
    if not isinstance(found, dict):
        raise Misconfigured(FLAG, f"{path}: {field} is missing or no object", _EXAMPLE)
    return found


def _texts(path: Path, field: str, found: Any) -> Mapping[str, str]:
    texts = _mapping(path, field, found or {})
    for key, value in texts.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise Misconfigured(FLAG, f"{path}: {field}: {key!r} is not text", "put keys and values into quotes")
    return texts
