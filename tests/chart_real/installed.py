"""
A release with pods that run, and all that a test asks about it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chart.rendering import NAMESPACE
from chart_real.inventory import Inventory, Key, difference
from chart_real.releasing import Release
from chart_real.shop import Shop, at_last
from tidecast_simulator.testbed.audit import AuditLog, Write
from tidecast_simulator.testbed.node import Node

ACCOUNT = f"system:serviceaccount:{NAMESPACE}:tidecast-operator"
WHERE = f"--namespace={NAMESPACE}"
_NOT_IN_A_LOG = ("cannot", "permission", "Traceback")


@dataclass(frozen=True, slots=True)
class Installed:
    """
    Attributes:
        release: The release.
        shop: The cluster that it is in.
        node: What runs its pods.
        inventory: All objects of the cluster.
        before: Those that there were before the release.
    """

    release: Release
    shop: Shop
    node: Node
    inventory: Inventory
    before: Mapping[Key, Any]

    def left(self) -> dict[Key, str]:
        """What is otherwise than before the release, as soon as nothing is, or else after a while."""
        return at_last(lambda: difference(self.before, self.inventory.take()))

    def pods(self, component: str) -> list[str]:
        """The names of the pods of a component."""
        found = self.shop.objects("pods", WHERE, f"--selector=app.kubernetes.io/component={component}")
        return [one["metadata"]["name"] for one in found]

    def ready(self, deployment: str) -> int:
        """How many pods of a Deployment are."""
        return int(self.shop.get("deployment", deployment, WHERE)["status"].get("readyReplicas", 0))

    def holder(self) -> str:
        """Who leads; empty for nobody."""
        return str(self.shop.get("lease", "tidecast-operator", WHERE)["spec"].get("holderIdentity", ""))

    def told(self, pod: str) -> str:
        """The log of a pod."""
        return self.node.logs(NAMESPACE, pod)

    def complaints(self, component: str = "operator") -> list[str]:
        """What its pods say that happens to those who lack a permission."""
        lines = [line for name in self.pods(component) for line in self.told(name).splitlines()]
        return [line for line in lines if any(sign in line for sign in _NOT_IN_A_LOG)]

    def remove_operator(self) -> None:
        """Takes the operator away behind Helm's back, and waits until it is gone."""
        self.shop.plane.kubectl("delete", "deployment", "tidecast-operator", WHERE)
        self.shop.wait_for(lambda: not self.pods("operator"))

    def scale_operator(self, replicas: int) -> None:
        """Has so many replicas of the operator, and waits until it has."""
        self.shop.plane.kubectl("scale", "deployment", "tidecast-operator", WHERE, f"--replicas={replicas}")
        self.shop.wait_for(lambda: len(self.pods("operator")) == self.ready("tidecast-operator") == replicas)


class Written:
    """
    What the operator's account has written since this was made.

    Args:
        shop: Where it writes.
    """

    def __init__(self, shop: Shop) -> None:
        self._log = AuditLog(shop.plane.audit_log, {ACCOUNT})
        self._log.read_on()
        self._start = len(self._log.writes)

    def writes(self, resource: str = "") -> list[Write]:
        """Those to one resource or to all."""
        self._log.read_on()
        return [write for write in self._log.writes[self._start :] if resource in ("", write.resource)]

    def refused(self) -> list[Write]:
        """What it was not permitted to write."""
        return [write for write in self.writes() if write.code == 403]
