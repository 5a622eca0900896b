"""
Definitions of the two kinds of KEDA's that examples use, with the fields and types that its documentation tells of.

An API server that has them refuses what is of a wrong type, and drops what it does not know.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tidecast_simulator.testbed.control_plane import ControlPlane

Schema = Mapping[str, Any]

_TEXT: Schema = {"type": "string"}
_YES_OR_NO: Schema = {"type": "boolean"}
_TEXTS: Schema = {"type": "object", "additionalProperties": _TEXT}


def _fields(required: Sequence[str] = (), **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties} | ({"required": list(required)} if required else {})


def _items(each: Schema) -> Schema:
    return {"type": "array", "items": each}


def _number(least: int) -> Schema:
    return {"type": "integer", "format": "int32", "minimum": least}


def _one_of(*words: str) -> Schema:
    return {"type": "string", "enum": list(words)}


_POLICIES = _fields(
    stabilizationWindowSeconds=_number(0),
    selectPolicy=_one_of("Max", "Min", "Disabled"),
    policies=_items(
        _fields(
            ["type", "value", "periodSeconds"],
            type=_one_of("Pods", "Percent"),
            value=_number(1),
            periodSeconds=_number(1),
        )
    ),
)
_SCALED_OBJECT = _fields(
    ["scaleTargetRef", "triggers"],
    scaleTargetRef=_fields(["name"], apiVersion=_TEXT, kind=_TEXT, name=_TEXT, envSourceContainerName=_TEXT),
    pollingInterval=_number(1),
    initialCooldownPeriod=_number(0),
    cooldownPeriod=_number(0),
    idleReplicaCount=_number(0),
    minReplicaCount=_number(0),
    maxReplicaCount=_number(1),
    fallback=_fields(
        ["failureThreshold", "replicas"],
        failureThreshold=_number(0),
        replicas=_number(0),
        behavior=_one_of("static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"),
    ),
    advanced=_fields(
        restoreToOriginalReplicaCount=_YES_OR_NO,
        horizontalPodAutoscalerConfig=_fields(name=_TEXT, behavior=_fields(scaleDown=_POLICIES, scaleUp=_POLICIES)),
        scalingModifiers=_fields(
            target=_TEXT,
            activationTarget=_TEXT,
            metricType=_one_of("AverageValue", "Value"),
            formula=_TEXT,
        ),
    ),
    triggers=_items(
        _fields(
            ["type", "metadata"],
            type=_TEXT,
            name=_TEXT,
            metadata=_TEXTS,
            metricType=_one_of("AverageValue", "Value", "Utilization"),
            useCachedMetrics=_YES_OR_NO,
            authenticationRef=_fields(["name"], name=_TEXT, kind=_one_of("TriggerAuthentication", "ClusterTriggerAuthentication")),
        )
    ),
)  # fmt: skip
_FROM_ANOTHER_OBJECT = _items(_fields(["parameter", "name", "key"], parameter=_TEXT, name=_TEXT, key=_TEXT))
_TRIGGER_AUTHENTICATION = _fields(
    secretTargetRef=_FROM_ANOTHER_OBJECT,
    configMapTargetRef=_FROM_ANOTHER_OBJECT,
    env=_items(_fields(["parameter", "name"], parameter=_TEXT, name=_TEXT, containerName=_TEXT)),
    podIdentity=_fields(["provider"], provider=_TEXT, identityId=_TEXT, roleArn=_TEXT),
)
_SPECS = {"ScaledObject": _SCALED_OBJECT, "TriggerAuthentication": _TRIGGER_AUTHENTICATION}


def definitions() -> list[dict[str, Any]]:
    """A definition for each kind, in which nothing that is not written here is kept."""
    return [_definition(kind, spec) for kind, spec in _SPECS.items()]


def names() -> list[str]:
    """What the definitions are called."""
    return [one["metadata"]["name"] for one in definitions()]


def wait_until_known(plane: ControlPlane) -> None:
    """Returns when the API server serves them."""
    plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", *(f"crd/{name}" for name in names()))


def _definition(kind: str, spec: Schema) -> dict[str, Any]:
    plural = f"{kind.lower()}s"
    whole = _fields(["spec"], apiVersion=_TEXT, kind=_TEXT, metadata={"type": "object"}, spec=spec)
    version = {"name": "v1alpha1", "served": True, "storage": True, "schema": {"openAPIV3Schema": whole}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.keda.sh"},
        "spec": {
            "group": "keda.sh",
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [version],
        },
    }
