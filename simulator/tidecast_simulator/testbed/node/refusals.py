"""
What a node of processes cannot do, found before anything is started: better no pod than one that is not what it says.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tidecast_simulator.testbed.node.api import Body, matches

_VOLUMES = ("secret", "configMap", "projected", "emptyDir", "persistentVolumeClaim", "downwardAPI")
_SOURCES = ("secret", "configMap", "serviceAccountToken", "downwardAPI")
_OF_THE_MACHINE = ("hostNetwork", "hostPID", "hostIPC")
_REASON = "CreateContainerConfigError"
_ORDINARY = ("cpu", "memory", "ephemeral-storage")


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    Why a pod is not run.

    Attributes:
        reason: One word, as a waiting container has it.
        message: What is wrong and what would help.
    """

    reason: str
    message: str


def repository(image: str) -> str:
    """An image without its tag and digest."""
    name = image.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name


def why_not_here(spec: Body, labels: Mapping[str, str], resources: Mapping[str, int]) -> str:
    """Why a scheduler would not bring a pod to a node with these labels and extended resources; empty if it would."""
    wanted = spec.get("nodeSelector") or {}
    if not matches(wanted, labels):
        return f"0/1 nodes are available: the nodeSelector {wanted} does not match the node's labels"
    asked: dict[str, int] = {}
    for container in spec["containers"]:
        for name, amount in ((container.get("resources") or {}).get("limits") or {}).items():
            if name not in _ORDINARY and not name.startswith("hugepages-"):
                asked[name] = asked.get(name, 0) + int(amount)
    for name, amount in asked.items():
        if resources.get(name, 0) < amount:
            return f"0/1 nodes are available: insufficient {name}; give the node resources={{{name!r}: {amount}}}"
    return ""


def refusal(spec: Body, images: Collection[str]) -> Refusal | None:
    """Why a node that has these images does not run a pod; None if it does."""
    for name in _OF_THE_MACHINE:
        if spec.get(name):
            return Refusal(_REASON, f"{name} is not played here: a pod has the loopback alone")
    if spec.get("readinessGates"):
        return Refusal(_REASON, "readinessGates are not played here")
    for volume in spec.get("volumes") or ():
        if unknown := _unknown_parts(volume):
            return Refusal(_REASON, f"the volume {volume['name']}: {unknown} is not played here")
    for container in [*(spec.get("initContainers") or ()), *spec["containers"]]:
        if found := _refused(container, images):
            return found
    return None


def _unknown_parts(volume: Body) -> str:
    kinds = [kind for kind in volume if kind != "name"] or ["emptyDir"]
    sources = [kind for source in (volume.get("projected") or {}).get("sources") or () for kind in source]
    unknown = [kind for kind in kinds if kind not in _VOLUMES] + [kind for kind in sources if kind not in _SOURCES]
    return ", ".join(unknown)


def _refused(container: Body, images: Collection[str]) -> Refusal | None:
    name, context = container["name"], container.get("securityContext") or {}
    if repository(container["image"]) not in images:
        known = ", ".join(sorted(images)) or "none"
        return Refusal(
            "ErrImagePull",
            f"the node has no program for the image {container['image']!r} of {name}; it has some for: {known}",
        )
    refused = {
        "a privileged container": context.get("privileged"),
        "a hostPort": any("hostPort" in port for port in container.get("ports") or ()),
        "a restartPolicy of an init container": container.get("restartPolicy"),
        "a postStart hook": "postStart" in (container.get("lifecycle") or {}),
        "a volumeDevice": container.get("volumeDevices"),
    }
    wanted = [what for what, is_wanted in refused.items() if is_wanted]
    return Refusal(_REASON, f"{name}: {wanted[0]} is not played here") if wanted else None
