"""
The workloads of an index by every name they go by: their own, those of their Services, those in their labels.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from tidecast_operator.discovery.workloads import KubernetesService, Workload, WorkloadIndex

_NAME_LABELS = ("app.kubernetes.io/name", "app", "k8s-app")

ANYWHERE = ""
"""Instead of a namespace: all of them."""

_Key = tuple[str, str]
"""Namespace and name."""


class Names:
    """
    Finds workloads by name. An answer of several workloads is an ambiguity, of none an unknown name.
    """

    def __init__(self, index: WorkloadIndex) -> None:
        self._workloads: defaultdict[_Key, list[Workload]] = defaultdict(list)
        self._labelled: defaultdict[_Key, list[Workload]] = defaultdict(list)
        self._by_pod_label: defaultdict[tuple[str, str, str], list[Workload]] = defaultdict(list)
        self._services: defaultdict[_Key, list[KubernetesService]] = defaultdict(list)
        self.namespaces = frozenset(index.namespace_labels) | {each.namespace for each in index.workloads}
        for workload in index.workloads.values():
            self._add_workload(workload)
        for service in index.services.values():
            for namespace in (service.namespace, ANYWHERE):
                self._services[namespace, service.name].append(service)

    def workloads(self, namespace: str, name: str) -> list[Workload]:
        """Those of that name, of whatever kind."""
        return self._workloads.get((namespace, name), [])

    def labelled(self, namespace: str, name: str) -> list[Workload]:
        """Those whose pods carry that name in a customary label."""
        return self._labelled.get((namespace, name), [])

    def services(self, namespace: str, name: str) -> list[KubernetesService]:
        """The Services of that name."""
        return self._services.get((namespace, name), [])

    def selected(self, services: Iterable[KubernetesService]) -> list[Workload]:
        """Those whose pods one of the Services selects."""
        found = {each.service_id: each for service in services for each in self._selected_by(service)}
        return list(found.values())

    def _add_workload(self, workload: Workload) -> None:
        names = {workload.pod_labels[label] for label in _NAME_LABELS if label in workload.pod_labels}
        for namespace in (workload.namespace, ANYWHERE):
            self._workloads[namespace, workload.name].append(workload)
            for name in names:
                self._labelled[namespace, name].append(workload)
        for label, value in workload.pod_labels.items():
            self._by_pod_label[workload.namespace, label, value].append(workload)

    def _selected_by(self, service: KubernetesService) -> list[Workload]:
        if not service.selector:
            return []
        rows = [self._by_pod_label.get((service.namespace, *item), []) for item in service.selector.items()]
        return [each for each in min(rows, key=len) if _carries(each.pod_labels, service.selector)]


def _carries(labels: Mapping[str, str], selector: Mapping[str, str]) -> bool:
    return all(labels.get(label) == value for label, value in selector.items())
