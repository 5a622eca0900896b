"""
What all pods of a node share, and the objects that one of them is made from.
"""

import base64
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tidecast_simulator.testbed.node.api import Api, Body
from tidecast_simulator.testbed.node.claims import Claims
from tidecast_simulator.testbed.node.services import Services


@dataclass(frozen=True, slots=True)
class Surroundings:
    """
    The node, as a pod sees it.

    Attributes:
        api: The API server.
        services: Names of Services.
        claims: Volumes that outlive pods.
        node: The node's name.
        directory: A folder for the folders of pods.
        programs: For each image, without its tag, the beginning of a command.
        names: Addresses, host:port, that stand for others, ahead of Services.
        labels: Of the node.
        resources: What it has beside CPU and memory.
        refresh_seconds: How long a changed Secret or ConfigMap takes to get into a volume.
        backoff_seconds: The pause before a container's second restart.
        patience: How many times as long as they say probes wait and fail.
    """

    api: Api
    services: Services
    claims: Claims
    node: str
    directory: Path
    programs: Mapping[str, Sequence[str]]
    names: Mapping[str, str]
    labels: Mapping[str, str]
    resources: Mapping[str, int]
    refresh_seconds: float
    backoff_seconds: float
    patience: float


class PodObjects:
    """
    Reads Secrets and ConfigMaps of a pod's namespace anew each time, and renews its tokens.

    Every method raises an OSError when the API server does not answer.
    """

    def __init__(self, api: Api, pod: Body) -> None:
        self._api = api
        self._pod = pod
        self._tokens: dict[tuple[str, int], tuple[str, float]] = {}

    def secret(self, name: str) -> Mapping[str, bytes] | None:
        """What a Secret holds; None if it is not there."""
        body = self._read("secrets", name)
        return None if body is None else {key: base64.b64decode(text) for key, text in (body.get("data") or {}).items()}

    def config_map(self, name: str) -> Mapping[str, bytes] | None:
        """What a ConfigMap holds; None if it is not there."""
        body = self._read("configmaps", name)
        if body is None:
            return None
        binary = {key: base64.b64decode(text) for key, text in (body.get("binaryData") or {}).items()}
        return {key: text.encode() for key, text in (body.get("data") or {}).items()} | binary

    def token(self, audience: str, seconds: int) -> str:
        """A token of the pod's ServiceAccount, a new one when four fifths of its time are over."""
        held = self._tokens.get((audience, seconds))
        if held is None or time.time() > held[1] - seconds / 5:
            held = self._api.token(self._pod, seconds=seconds, audience=audience)
            self._tokens[audience, seconds] = held
        return held[0]

    def _read(self, kind: str, name: str) -> Body | None:
        return self._api.get(f"/api/v1/namespaces/{self._pod['metadata']['namespace']}/{kind}/{name}")
