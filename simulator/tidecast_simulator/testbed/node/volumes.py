"""
What the volumes of a pod hold: Secrets, ConfigMaps, tokens and fields of the pod.

Knows what belongs into which file, and not how files are written.
"""

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Protocol

from tidecast_simulator.testbed.node.api import Body
from tidecast_simulator.testbed.node.files import Payload
from tidecast_simulator.testbed.node.variables import Sources, field

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Where programs in pods look for their token."""

_MODE = 0o644
_TOKEN_SECONDS = 3600


class NotMounted(Exception):
    """A volume cannot be mounted yet; the text names what is missing."""


class VolumeSources(Sources, Protocol):
    """The objects that volumes are made from."""

    def token(self, audience: str, seconds: int) -> str:
        """A token of the pod's ServiceAccount, renewed before it ends."""


def is_made_of_objects(volume: Body) -> bool:
    """Whether a volume shows objects of the API, and changes with them."""
    return any(kind in volume for kind in ("secret", "configMap", "projected", "downwardAPI"))


def payload(volume: Body, sources: VolumeSources, pod: Body) -> Payload:
    """
    The files of a volume that is made of objects.

    Raises:
        NotMounted: If an object or a key is missing that is not optional.
        Unconfigured: If a field is asked for that pods do not have.
    """
    if "projected" in volume:
        mode = volume["projected"].get("defaultMode", _MODE)
        parts = volume["projected"].get("sources") or ()
        return {path: file for part in parts for path, file in _part(part, sources, pod, mode).items()}
    kind = next(kind for kind in ("secret", "configMap", "downwardAPI") if kind in volume)
    source = volume[kind]
    # A projected part calls it `name`, a volume of its own `secretName`.
    named = source | {"name": source.get("secretName", source.get("name", ""))}
    return _part({kind: named}, sources, pod, source.get("defaultMode", _MODE))


def _part(part: Body, sources: VolumeSources, pod: Body, mode: int) -> dict[str, tuple[bytes, int]]:
    files: dict[str, tuple[bytes, int]] = {}
    for kind, source in part.items():
        if kind == "serviceAccountToken":
            seconds = source.get("expirationSeconds", _TOKEN_SECONDS)
            files[source["path"]] = (sources.token(source.get("audience", ""), seconds).encode(), mode)
        elif kind == "downwardAPI":
            for item in source.get("items") or ():
                content = field(pod, item["fieldRef"]["fieldPath"]).encode()
                files[item["path"]] = (content, item.get("mode", mode))
        else:
            read = sources.secret if kind == "secret" else sources.config_map
            data = read(source["name"])
            label = f"{'secret' if kind == 'secret' else 'configmap'} {source['name']!r}"
            is_optional = bool(source.get("optional"))
            if data is None and not is_optional:
                raise NotMounted(f"{label} not found")
            files |= _chosen(data or {}, source.get("items"), mode, label=label, is_optional=is_optional)
    return files


def _chosen(
    data: Mapping[str, bytes], items: Iterable[Body] | None, mode: int, *, label: str, is_optional: bool
) -> dict[str, tuple[bytes, int]]:
    if items is None:
        return {key: (content, mode) for key, content in data.items()}
    files = {}
    for item in items:
        if item["key"] in data:
            files[item["path"]] = (data[item["key"]], item.get("mode", mode))
        elif not is_optional:
            raise NotMounted(f"{label} has no key {item['key']!r}")
    return files


def mounts(container: Body) -> dict[str, tuple[str, str]]:
    """The mount paths of a container, without a slash at the end, and the volume and the path in it of each."""
    found = {}
    for mount in container.get("volumeMounts") or ():
        path = str(PurePosixPath(mount["mountPath"]))
        found[path] = (mount["name"], mount.get("subPath", ""))
    return found
