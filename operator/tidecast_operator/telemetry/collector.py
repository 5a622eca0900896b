"""
Asks Prometheus for everything a snapshot is made of, with a number of queries that does not depend on the services.
"""

from tidecast_operator.telemetry.observations import Observations
from tidecast_operator.telemetry.prometheus import Prometheus

AUTO = "Auto"


class Collector:
    """
    Collects observations from the sources that are there. Synchronous: call it in a thread.
    """

    def __init__(
        self, prometheus: Prometheus, sources: tuple[str, ...] = (AUTO,), *, max_samples: int = 500_000
    ) -> None:
        raise NotImplementedError

    def detect(self) -> tuple[str, ...]:
        """
        The names of the sources that have data now, the most trusted first; empty when there is none.

        Raises:
            PrometheusUnavailable: If Prometheus cannot be asked.
        """
        raise NotImplementedError

    def collect(self, start_time: int, end_time: int, step_seconds: int) -> Observations:
        """
        What was measured at the steps start_time, start_time + step_seconds, ..., end_time, both included.

        Raises:
            PrometheusUnavailable: If Prometheus cannot be asked.
            NotEnoughData: If no source of telemetry is there.
        """
        raise NotImplementedError
