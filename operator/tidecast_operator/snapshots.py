"""
Observations and the workloads of the cluster become a Snapshot: the ONE builder, for serving and for training.

Pure; knows neither Prometheus nor the API server.
"""

from dataclasses import dataclass

from tidecast_contract.snapshot import Snapshot
from tidecast_operator.discovery.workloads import WorkloadIndex
from tidecast_operator.telemetry.observations import Observations


@dataclass(frozen=True, slots=True, eq=False)
class Built:
    """
    A snapshot and what was learned while building it.

    Attributes:
        snapshot: The window of measurements over the service graph.
        unattributed_requests_per_second: The rate of calls with a side that no workload could be found for.
        sources: The sources whose calls or measurements are in it, the most trusted first.
    """

    snapshot: Snapshot
    unattributed_requests_per_second: float
    sources: tuple[str, ...]


def build(observations: Observations, workloads: WorkloadIndex, *, noise_floor: float = 0.0) -> Built:
    """
    One snapshot of everything that was observed.

    Args:
        observations: What was measured.
        workloads: The workloads that peers are resolved to.
        noise_floor: Calls per second that a call must exceed to be part of the graph.
    """
    raise NotImplementedError


def extend(window: Snapshot | None, new: Snapshot, *, steps: int) -> Snapshot:
    """
    The last *steps* steps of *window* followed by *new*, over the services of both.
    """
    raise NotImplementedError
