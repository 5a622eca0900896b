"""
The exporters by name.
"""

from collections.abc import Callable, Iterable, Mapping

from tidecast_simulator.exporting.cadvisor import Cadvisor
from tidecast_simulator.exporting.emission import Exporter
from tidecast_simulator.exporting.istio import Detail, Istio
from tidecast_simulator.exporting.kube_state_metrics import KubeStateMetrics
from tidecast_simulator.exporting.opentelemetry import OpenTelemetry
from tidecast_simulator.mesh import Mesh

SOURCES: Mapping[str, Callable[[Mesh], Exporter]] = {
    "istio": Istio,
    "istio-lean": lambda mesh: Istio(mesh, detail=Detail.LEAN),
    "cadvisor": Cadvisor,
    "kube-state-metrics": KubeStateMetrics,
    "opentelemetry": OpenTelemetry,
}
LIVE = ("istio", "cadvisor", "kube-state-metrics")
RECORDED = ("istio-lean", "cadvisor", "kube-state-metrics")


def exporters_of(mesh: Mesh, sources: Iterable[str]) -> dict[str, Exporter]:
    """
    The exporters of those names.

    Raises:
        ValueError: If there is none of that name, or both forms of Istio are named.
    """
    chosen = list(dict.fromkeys(sources))
    unknown = [source for source in chosen if source not in SOURCES]
    if unknown or not chosen:
        raise ValueError(f"sources: must name some of {', '.join(SOURCES)}, not {', '.join(unknown) or 'nothing'}")
    if {"istio", "istio-lean"} <= set(chosen):
        raise ValueError("sources: istio and istio-lean report the same requests; choose one of them")
    return {source: SOURCES[source](mesh) for source in chosen}
