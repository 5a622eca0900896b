"""
What the conditions of a Forecaster say. Pure.

A message says what to do; it holds no number that changes by itself, so that it is not a reason to write.
"""

from dataclasses import dataclass

from tidecast_contract.errors import ContractMismatch
from tidecast_contract.forecast import ModelInfo, ModelKind
from tidecast_contract.status import PredictorStatus, TrainingState
from tidecast_operator.errors import Misconfigured, NotEnoughData, PrometheusUnavailable
from tidecast_operator.published import Condition
from tidecast_operator.publishing.sentences import sentence


@dataclass(frozen=True, slots=True)
class ForecasterFacts:
    """
    What there is to say about the Forecaster in use.

    Attributes:
        invalid: What is wrong with its spec; None if nothing is.
        runs_on_last_valid: Whether an older, valid spec is still followed.
        telemetry_problem: Why there were no measurements; None if there were.
        predictor_problem: Why there was no forecast; None if there was or none was asked for.
        predictor: What it says about itself, with the model that spoke if any did; None if it did not answer.
        sources: The telemetry sources in use.
        warnings: Why Prometheus' answers may be incomplete; empty if they are complete.
        services: How many the forecast speaks of; 0 without one.
    """

    invalid: Misconfigured | None = None
    runs_on_last_valid: bool = False
    telemetry_problem: Exception | None = None
    predictor_problem: Exception | None = None
    predictor: PredictorStatus | None = None
    sources: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    services: int = 0


def of_forecaster(facts: ForecasterFacts) -> tuple[Condition, ...]:
    """The conditions of the Forecaster in use; their times and generations are not settled yet."""
    parts = (_prometheus_reachable(facts), _telemetry_found(facts), _predictor_reachable(facts), _model_ready(facts))
    return (_forecaster_ready(facts, parts), *parts)


def not_in_use(name: str) -> tuple[Condition, ...]:
    """The only condition of a Forecaster that is not the one in use."""
    text = f"Only the Forecaster named {name} is used; put these settings there and delete this one."
    return (Condition("Ready", "False", "NotInUse", text),)


def _forecaster_ready(facts: ForecasterFacts, parts: tuple[Condition, ...]) -> Condition:
    if facts.invalid is not None:
        then = " The last valid spec stays in use." if facts.runs_on_last_valid else " Nothing is forecast until then."
        return Condition("Ready", "False", "InvalidSpec", f"{facts.invalid}.{then}")
    # A simpler method while the model learns is no reason not to be ready.
    failed = next((part for part in parts[:3] if part.status != "True"), None)
    if failed is not None:
        return Condition("Ready", "False", failed.reason, failed.message)
    if not facts.services:
        return Condition("Ready", "False", "NoForecastYet", "The first forecast is still to come.")
    return Condition("Ready", "True", "Forecasting", "Forecasts are made at every step.")


def _prometheus_reachable(facts: ForecasterFacts) -> Condition:
    problem = facts.telemetry_problem
    if isinstance(problem, Misconfigured):
        return Condition("PrometheusReachable", "False", "Misconfigured", f"{problem}.")
    if isinstance(problem, PrometheusUnavailable):
        return Condition(
            "PrometheusReachable",
            "False",
            "PrometheusUnavailable",
            f"{problem}. It is tried again at every step.",
        )
    if problem is not None and not isinstance(problem, NotEnoughData):
        return Condition("PrometheusReachable", "Unknown", "NotTried", f"{problem}")
    if facts.invalid is not None and not facts.runs_on_last_valid:
        return Condition("PrometheusReachable", "Unknown", "InvalidSpec", "It is not asked until the spec is valid.")
    return Condition("PrometheusReachable", "True", "Answers", "Prometheus answers.")


def _telemetry_found(facts: ForecasterFacts) -> Condition:
    if isinstance(facts.telemetry_problem, NotEnoughData):
        return Condition("TelemetryFound", "False", "NoTelemetry", f"{facts.telemetry_problem}.")
    if facts.telemetry_problem is not None or not facts.sources:
        return Condition("TelemetryFound", "Unknown", "NotObserved", "Known once Prometheus has answered.")
    read = f"Calls are read from {', '.join(facts.sources)}"
    if facts.warnings:
        # Where one of several stores is away, sums come out too low without a gap.
        text = f"{read}, but Prometheus warns that its answers may be incomplete: {facts.warnings[0][:256]}."
        return Condition(
            "TelemetryFound", "True", "PartialAnswers", f"{text} Rates may be too low; check the stores behind it."
        )
    return Condition("TelemetryFound", "True", "Found", f"{read}.")


def _predictor_reachable(facts: ForecasterFacts) -> Condition:
    problem = facts.predictor_problem
    if isinstance(problem, ContractMismatch):
        return Condition(
            "PredictorReachable",
            "False",
            "ContractMismatch",
            f"{problem}. Run the operator and the predictor in the same version.",
        )
    if problem is not None:
        return Condition(
            "PredictorReachable",
            "False",
            "PredictorUnavailable",
            f"{problem}. Check spec.predictor.address and the predictor's pod; it is tried again at every step.",
        )
    if facts.predictor is None:
        return Condition("PredictorReachable", "Unknown", "NotTried", "The predictor has not been asked yet.")
    return Condition("PredictorReachable", "True", "Answers", "The predictor answers.")


def _model_ready(facts: ForecasterFacts) -> Condition:
    if facts.predictor is None:
        return Condition("ModelReady", "Unknown", "PredictorUnavailable", "Known once the predictor has answered.")
    model, training = facts.predictor.model, facts.predictor.training
    if model.kind is ModelKind.GCN_GRU:
        return Condition("ModelReady", "True", "ModelTrained", sentence(model.reason) or "A trained model speaks.")
    if training.state is TrainingState.RUNNING:
        return Condition("ModelReady", "False", "Training", f"A model is being trained. {_meanwhile(model)}")
    if training.state is TrainingState.FAILED:
        return Condition("ModelReady", "False", "TrainingFailed", f"{sentence(training.message)} {_meanwhile(model)}")
    why = sentence(model.reason) or sentence(training.message)
    return Condition("ModelReady", "False", "NoModelYet", f"{why} {_meanwhile(model)}".strip())


def _meanwhile(model: ModelInfo) -> str:
    return "Nothing can be forecast yet." if model.kind is ModelKind.NONE else f"Until then {model.kind.value} speaks."
