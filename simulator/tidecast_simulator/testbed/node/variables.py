"""
The environment of a container, and what its command makes of it.
"""

import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Protocol

from tidecast_simulator.testbed.node.api import Body

_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_.\-][\w.\-]*)\)")
_KEYED_FIELD = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")
_SUFFIXES: dict[str, int | Decimal] = {
    "": 1, "m": Decimal("0.001"), "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
}  # fmt: skip


class Unconfigured(Exception):
    """A container cannot be made from what there is; the text names what is missing."""


class Sources(Protocol):
    """The objects that a pod is made from."""

    def secret(self, name: str) -> Mapping[str, bytes] | None:
        """What a Secret of the pod's namespace holds; None if it is not there."""

    def config_map(self, name: str) -> Mapping[str, bytes] | None:
        """What a ConfigMap of the pod's namespace holds; None if it is not there."""


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replaces $(NAME); an unknown one stays, and $$ is a dollar sign."""

    def value(match: re.Match[str]) -> str:
        return "$" if match[1] is None else values.get(match[1], match[0])

    return _REFERENCE.sub(value, text)


def field(pod: Body, path: str) -> str:
    """
    What a fieldRef names.

    Raises:
        Unconfigured: If pods have no such field.
    """
    if match := _KEYED_FIELD.fullmatch(path):
        return str((pod["metadata"].get(match[1]) or {}).get(match[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        pairs = (pod["metadata"].get(path.partition(".")[2]) or {}).items()
        return "\n".join(f'{key}="{value}"' for key, value in sorted(pairs))
    found: object = pod
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, str):
        raise Unconfigured(f"the field {path!r} of the pod has no value here")
    return found


def environment(container: Body, sources: Sources, pod: Body, rewritten: Callable[[str], str]) -> dict[str, str]:
    """
    The variables that the spec of a container gives it.

    Args:
        container: The spec.
        sources: Where Secrets and ConfigMaps come from.
        pod: For its fields.
        rewritten: Makes a value fit this machine; done once each is whole.

    Raises:
        Unconfigured: If a Secret, a ConfigMap or a key is missing that is not optional.
    """
    values: dict[str, str] = {}
    for entry in container.get("envFrom") or ():
        values |= _all_of(entry, sources)
    for entry in container.get("env") or ():
        if (reference := entry.get("valueFrom")) is None:
            values[entry["name"]] = expand(entry.get("value", ""), values)
        elif (value := _referred(reference, container, sources, pod)) is not None:
            values[entry["name"]] = value
    return {name: rewritten(value) for name, value in values.items()}


def _all_of(entry: Body, sources: Sources) -> dict[str, str]:
    is_secret = "secretRef" in entry
    reference = entry["secretRef" if is_secret else "configMapRef"]
    data = sources.secret(reference["name"]) if is_secret else sources.config_map(reference["name"])
    if data is None and not reference.get("optional"):
        raise Unconfigured(f"{'secret' if is_secret else 'configmap'} {reference['name']!r} not found")
    return {entry.get("prefix", "") + key: value.decode() for key, value in (data or {}).items()}


def _referred(reference: Body, container: Body, sources: Sources, pod: Body) -> str | None:
    if "fieldRef" in reference:
        return field(pod, reference["fieldRef"]["fieldPath"])
    if "resourceFieldRef" in reference:
        return _resource(reference["resourceFieldRef"], container)
    kind = next(iter(reference))
    key = reference[kind]
    read = {"secretKeyRef": sources.secret, "configMapKeyRef": sources.config_map}.get(kind)
    if read is None:
        raise Unconfigured(f"a variable from {kind} is not played here")
    value = (read(key["name"]) or {}).get(key["key"])
    if value is None and not key.get("optional"):
        raise Unconfigured(f"{kind.removesuffix('KeyRef').lower()} {key['name']!r} has no key {key['key']!r}")
    return None if value is None else value.decode()


def _resource(reference: Body, container: Body) -> str:
    """Whole units, rounded up, as kubelet gives them."""
    part, _, name = reference["resource"].partition(".")
    amount = ((container.get("resources") or {}).get(part) or {}).get(name)
    if amount is None:
        raise Unconfigured(f"the container has no {reference['resource']}; kubelet would take the node's, unknown here")
    return str(math.ceil(_quantity(str(amount)) / _quantity(str(reference.get("divisor") or "1") or "1")))


def _quantity(text: str) -> Decimal:
    match = re.fullmatch(r"([\d.]+)([A-Za-z]*)", text)
    try:
        if match is not None and match[2] in _SUFFIXES:
            return (Decimal(match[1]) * _SUFFIXES[match[2]]) or Decimal(1)
    except InvalidOperation:
        pass
    raise Unconfigured(f"{text!r} is no quantity")
