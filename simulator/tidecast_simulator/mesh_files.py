"""
Meshes as YAML: `name`, `services` and `calls`, each with the fields of `Service` and `Call`; defaults may be left out.

Errors name the field as it stands in the file, `services[3].replicas`, and say what it should be.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from tidecast_simulator.mesh import Call, Mesh, Role, Service

_Made = TypeVar("_Made", Service, Call)
_FIELDS = ("name", "services", "calls")


def read_mesh(path: Path) -> Mesh:
    """
    The mesh in a YAML file.

    Raises:
        ValueError: Naming the file and the field that does not fit.
    """
    try:
        return mesh_from_yaml(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def mesh_from_yaml(text: str) -> Mesh:
    """The mesh in a YAML text; raises ValueError naming the field that does not fit."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"is no YAML: {error}") from error
    if not isinstance(document, dict):
        raise ValueError(f"must be a mapping with the fields {', '.join(_FIELDS)}")  # noqa: TRY004 - a file's content
    unknown = sorted(set(document) - set(_FIELDS))
    if unknown:
        raise ValueError(f"{unknown[0]}: is no field of a mesh; there are {', '.join(_FIELDS)}")
    services = _made(Service, document.get("services"), "services")
    calls = _made(Call, document.get("calls") or [], "calls")
    return Mesh(str(document.get("name", "mesh")), services, calls)


def mesh_to_yaml(mesh: Mesh) -> str:
    """A YAML text that gives the same mesh again."""
    document = {
        "name": mesh.name,
        "services": [_document(service) for service in mesh.services],
        "calls": [_document(call) for call in mesh.calls],
    }
    return yaml.safe_dump(document, sort_keys=False)


def _document(value: Service | Call) -> dict[str, Any]:
    changed = {
        field.name: getattr(value, field.name)
        for field in dataclasses.fields(value)
        if getattr(value, field.name) != field.default
    }
    if "role" in changed:
        changed["role"] = str(changed["role"])
    if "replica_schedule" in changed:
        changed["replica_schedule"] = [list(change) for change in changed["replica_schedule"]]
    return changed


def _made(kind: type[_Made], entries: object, where: str) -> tuple[_Made, ...]:
    if not isinstance(entries, list) or (kind is Service and not entries):
        raise ValueError(f"{where}: must be a list of {where}")
    return tuple(_one(kind, entry, f"{where}[{position}]") for position, entry in enumerate(entries))


def _one(kind: type[_Made], entry: object, where: str) -> _Made:
    if not isinstance(entry, dict):
        raise ValueError(f"{where}: must be a mapping")  # noqa: TRY004 - a file's content
    fields = {field.name: field for field in dataclasses.fields(kind)}
    values: dict[str, Any] = {}
    for name, value in entry.items():
        if name not in fields:
            raise ValueError(f"{where}.{name}: is no field of it; there are {', '.join(fields)}")
        values[name] = _converted(
            value, str(getattr(fields[name].type, "__name__", fields[name].type)), f"{where}.{name}"
        )
    for name, field in fields.items():
        if field.default is dataclasses.MISSING and name not in values:
            raise ValueError(f"{where}.{name}: is missing")
    try:
        return kind(**values)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _converted(value: object, kind: str, where: str) -> object:
    convert = _CONVERTERS.get(kind, _schedule)
    try:
        return convert(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"must be a text, not {value!r}")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"must be true or false, not {value!r}")
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"must be a whole number, not {value!r}")
    return value


def _number(value: object) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"must be a number, not {value!r}")
    return float(value)


def _role(value: object) -> Role:
    try:
        return Role(_text(value))
    except ValueError:
        raise ValueError(f"must be one of {', '.join(Role)}, not {value!r}") from None


def _schedule(value: object) -> tuple[tuple[int, int], ...]:
    pairs = isinstance(value, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in value)
    if not pairs:
        raise TypeError(f"must be a list of pairs [unix seconds, replicas], not {value!r}")
    return tuple((_whole(time), _whole(replicas)) for time, replicas in value)  # type: ignore[attr-defined]


_CONVERTERS: Mapping[str, Callable[[object], object]] = {
    "str": _text,
    "bool": _flag,
    "int": _whole,
    "float": _number,
    "Role": _role,
}
