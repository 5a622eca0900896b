"""
What a pod violates of Kubernetes' restricted Pod Security Standard.
"""

from collections.abc import Iterator, Mapping
from typing import Any

_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
_SECCOMP = ("RuntimeDefault", "Localhost")


def violations(spec: Mapping[str, Any]) -> Iterator[str]:
    """Each violation in words; none for a pod that the standard admits."""
    yield from (f"{name} is shared" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name))
    for volume in spec.get("volumes", ()):
        yield from (f"volume {volume['name']} is a {kind}" for kind in set(volume) - {"name"} - _VOLUMES)
    pod = spec.get("securityContext") or {}
    if pod.get("sysctls"):
        yield "sysctls are set"
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        own = container.get("securityContext") or {}
        yield from (f"{container['name']}: {problem}" for problem in _of_container(container, own, pod))


def _of_container(container: Mapping[str, Any], own: Mapping[str, Any], pod: Mapping[str, Any]) -> Iterator[str]:
    effective = {**pod, **own}
    capabilities = own.get("capabilities") or {}
    if own.get("privileged"):
        yield "is privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "may gain privileges"
    if effective.get("runAsNonRoot") is not True:
        yield "may run as root"
    if effective.get("runAsUser") == 0:
        yield "runs as root"
    if (effective.get("seccompProfile") or {}).get("type") not in _SECCOMP:
        yield "has no seccomp profile"
    if "ALL" not in capabilities.get("drop", ()):
        yield "keeps capabilities"
    if set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"}:
        yield "adds capabilities"
    if own.get("procMount", "Default") != "Default":
        yield "sees more of /proc"
    if any(port.get("hostPort") for port in container.get("ports", ())):
        yield "takes a port of the host"
