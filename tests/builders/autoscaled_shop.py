"""
An autoscaler on a real API server, as people see it and change it.
"""

import json

from builders.autoscalers import NOW, hint
from tidecast_contract.services import ServiceId
from tidecast_operator.autoscalers import FIELD_MANAGER
from tidecast_operator.hints.board import Entry
from tidecast_operator.outlets.floors.claim import ANNOTATIONS, RAISED
from tidecast_operator.outlets.floors.floors import Floors
from tidecast_operator.scaling import Mode, Scaling

HPA = "horizontalpodautoscalers"
CONTROLLER = "kube-controller-manager"
NOTHING = (set(), set(), False)
"""What `Shop.marks` says where nothing of ours stands."""
EVERYTHING = (set(ANNOTATIONS), set(RAISED), True)
"""What `Shop.marks` says while a floor is raised."""


def leading(autoscalers):
    """Floors of a process that has led for long."""
    return Floors(autoscalers, may_write=lambda: True, clock=lambda: NOW, hold_seconds=0)


class Shop:
    """What people do to the autoscaler checkout, and what they see."""

    def __init__(self, control_plane, namespace):
        self.namespace = namespace
        self.kubectl = control_plane.kubectl

    def body(self, floor=2, ceiling=20, *, version="autoscaling/v1"):
        return {
            "apiVersion": version,
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "checkout", "namespace": self.namespace},
            "spec": {
                "minReplicas": floor,
                "maxReplicas": ceiling,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout"},
            },
        }

    def apply(self, *flags, **body):
        self.kubectl("apply", "-f", "-", *flags, stdin=json.dumps(self.body(**body)))

    def get(self, resource=HPA):
        what = (resource, "checkout", "--namespace", self.namespace, "--output=json", "--show-managed-fields")
        return json.loads(self.kubectl("get", *what))

    @property
    def floor(self):
        return self.get()["spec"]["minReplicas"]

    @property
    def marks(self):
        metadata = self.get()["metadata"]
        annotations = {name for name in ANNOTATIONS if name in metadata.get("annotations", {})}
        labels = {name for name in RAISED if name in metadata.get("labels", {})}
        return annotations, labels, FIELD_MANAGER in {entry["manager"] for entry in metadata["managedFields"]}

    def managers(self):
        """Who owns which fields of it, but for its controller, which writes its status."""
        entries = [entry for entry in self.get()["metadata"]["managedFields"] if entry["manager"] != CONTROLLER]
        return {(entry["manager"], entry["operation"]): entry["fieldsV1"] for entry in entries}

    def entry(self, replicas=9, name="checkout", **changes):
        mode = changes.pop("mode", Mode.ACTIVE)
        target = ServiceId(self.namespace, "Deployment", "checkout")
        scaling = Scaling(mode=mode, autoscaler=name)
        return Entry(self.namespace, name, "uid", target, scaling, hint(replicas), expire_time=NOW + 600, **changes)
