"""
What the predictor tells Prometheus about itself.

Inferences are counted as they happen; the rest is read from the engine when Prometheus asks, so it is never stale.
"""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from tidecast_contract.status import PredictorStatus, TrainingState
from tidecast_predictor.engine import LateEngine

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SERVICES = (10, 30, 100, 300, 1000, 3000, 10_000, 30_000)


class Metrics:
    """
    Counts inferences and writes everything out in Prometheus' text format.

    Args:
        engine: Whose status is written out too, once it is loaded.
    """

    def __init__(self, engine: LateEngine) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_StatusCollector(engine))
        self._inferences = Counter(
            "tidecast_predictor_inference_requests",
            "Forecasts that were asked for, by the gRPC status of the answer.",
            ["code"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "tidecast_predictor_inference_duration_seconds",
            "Time from a request to its answer, waiting included.",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._batch = Histogram(
            "tidecast_predictor_inference_batch_services",
            "How many services one request asked about.",
            buckets=_SERVICES,
            registry=self._registry,
        )

    def count_inference(self, *, code: str, seconds: float) -> None:
        """Count one request for a forecast and how long it took."""
        self._inferences.labels(code).inc()
        self._seconds.observe(seconds)

    def observe_batch(self, services: int) -> None:
        """Note how many services a valid request asked about."""
        self._batch.observe(services)

    def text(self) -> bytes:
        """Everything in Prometheus' text format; takes a moment, so better in a thread."""
        return generate_latest(self._registry)


class _StatusCollector(Collector):
    def __init__(self, engine: LateEngine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        ready = GaugeMetricFamily("tidecast_predictor_ready", "1 once the engine is loaded and warm, else 0.")
        ready.add_metric([], float(self._engine.is_loaded))
        yield ready
        if self._engine.is_loaded:
            yield from _metrics_of(self._engine.get().status())


def _metrics_of(status: PredictorStatus) -> Iterator[Metric]:
    model, history, training = status.model, status.history, status.training
    yield InfoMetricFamily(
        "tidecast_predictor_model",
        "The model that is served at present.",
        value={"kind": str(model.kind), "version": model.version},
    )
    if model.trained_time is not None:
        yield _gauge("model_trained_timestamp_seconds", "When the served model was trained.", model.trained_time)
    if model.skill is not None:
        yield _gauge("model_skill", "1 - error / naive error on validation data.", model.skill)
    yield _gauge("history_steps", "Steps between the first and the last that are held.", history.steps)
    yield _gauge("history_services", "Services in the history.", history.services)
    yield _gauge("history_end_timestamp_seconds", "The last step that is held; 0 while empty.", history.end_time)
    states = GaugeMetricFamily("tidecast_predictor_training_state", "1 for what the training does.", labels=["state"])
    for state in TrainingState:
        states.add_metric([str(state)], float(state is training.state))
    yield states
    yield _gauge("training_progress", "Between 0 and 1 while a training runs, else 0.", training.progress)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"tidecast_predictor_{name}", text, value=value)
