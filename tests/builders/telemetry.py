"""
Peers, series and observations, valid unless a test changes them; and a cluster to find them in.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from builders.snapshots import MIDDAY
from tidecast_contract.features import LATENCY_P50, LATENCY_P95
from tidecast_operator.discovery.workloads import WorkloadIndex, Workloads
from tidecast_operator.telemetry.observations import Calls, Observations, Peer, PeerSeries, Traffic

NOBODY = Peer()


def workload_peer(name: str, namespace: str = "shop", **changes: Any) -> Peer:
    """A peer that says which workload it is, as Istio's sidecars do."""
    return Peer(namespace=namespace, workload=name, **changes)


def series(values: Mapping[Peer, Sequence[float]], steps: int = 3) -> PeerSeries:
    """Series by peer."""
    table = np.array(list(values.values()), dtype=np.float64).reshape(-1, steps).T
    return PeerSeries(tuple(values), table)


def calls(*rows: tuple[Peer, Peer, float]) -> Calls:
    """Calls with their rates."""
    return Calls(
        tuple(row[0] for row in rows), tuple(row[1] for row in rows), np.array([row[2] for row in rows], dtype=float)
    )


def traffic(**changes: Any) -> Traffic:
    """Two requests per second from the frontend to the checkout, without failures."""
    frontend, checkout = workload_peer("frontend"), workload_peer("checkout")
    valid = {
        "source": "Istio",
        "calls": calls((frontend, checkout, 2.0)),
        "requests": series({checkout: [2.0, 2.0, 2.0]}),
        "errors": series({}),
        "latencies": {LATENCY_P50: series({}), LATENCY_P95: series({})},
    }
    return Traffic(**(valid | changes))


def observations(*sources: Traffic, **changes: Any) -> Observations:
    """Three one-minute steps of what the sources say, without resources."""
    valid = {
        "end_time": MIDDAY,
        "step_seconds": 60,
        "steps": 3,
        "traffic": sources or (traffic(),),
        "resources": {},
    }
    return Observations(**(valid | changes))


def workload_body(name: str, namespace: str = "shop", kind: str = "Deployment", **labels: str) -> dict[str, Any]:
    """A workload as the API server sends it, its pods labelled `app` unless labels are given."""
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"namespace": namespace, "name": name, "uid": f"uid-of-{name}"},
        "spec": {"template": {"metadata": {"labels": labels or {"app": name}}}},
        "status": {"readyReplicas": 2},
    }


def service_body(name: str, namespace: str = "shop", **selector: str) -> dict[str, Any]:
    """A Service as the API server sends it, selecting the pods labelled `app` unless a selector is given."""
    return {
        "kind": "Service",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"selector": selector or {"app": name}},
    }


def cluster(*bodies: Mapping[str, Any]) -> WorkloadIndex:
    """A cluster of these objects; without any, the Deployments frontend and checkout of the namespace shop."""
    workloads = Workloads()
    for body in bodies or (workload_body("frontend"), workload_body("checkout")):
        workloads.observe(None, body)
    return workloads.index()
