"""
What the operator says about itself to Prometheus.
"""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class SelfMetrics:
    """
    The operator's own metrics, in a registry of their own.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        self.cycles = Counter("tidecast_cycles", "Cycles by outcome.", ["outcome"], registry=registry)
        self.stage_seconds = Histogram(
            "tidecast_cycle_stage_seconds",
            "Time of each stage of a cycle.",
            ["stage"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self.last_cycle = Gauge(
            "tidecast_last_cycle_timestamp_seconds",
            "When a cycle last completed, whatever its outcome.",
            registry=registry,
        )
        self.services = Gauge("tidecast_graph_services", "Services in the graph.", registry=registry)
        self.calls = Gauge("tidecast_graph_calls", "Calls in the graph.", registry=registry)
        self.unattributed = Gauge(
            "tidecast_unattributed_requests_per_second", "Requests with a side that nobody knows.", registry=registry
        )
        self.missing_ratio = Gauge(
            "tidecast_samples_missing_ratio",
            "Part of the requests in the window that was not measured.",
            registry=registry,
        )
        self.forecasts = Gauge(
            "tidecast_forecasts_fresh", "ServicePerformanceForecasts whose forecast has not expired.", registry=registry
        )
        self.queries = Counter("tidecast_prometheus_queries", "Requests to Prometheus.", registry=registry)
        self.writes = Counter(
            "tidecast_status_writes", "Statuses by what became of them.", ["outcome"], registry=registry
        )
        self.history_progress = Gauge(
            "tidecast_history_progress_ratio", "How much of the wanted history the predictor holds.", registry=registry
        )
        self._certificates = Gauge(
            "tidecast_certificate_expiry_timestamp_seconds",
            "When the certificate in a Secret expires, told by the replica that renews it.",
            ["secret"],
            registry=registry,
        )
        self.leader = Gauge("tidecast_leader", "Whether this replica runs the cycles.", registry=registry)

    def certificates(self, expiries: Mapping[str, float]) -> None:
        """When those in Secrets expire, unix seconds; of others nothing is told any more."""
        self._certificates.clear()
        for secret, time in expiries.items():
            self._certificates.labels(secret).set(time)

    def exposition(self) -> bytes:
        """All of them, as text."""
        return generate_latest(self._registry)
