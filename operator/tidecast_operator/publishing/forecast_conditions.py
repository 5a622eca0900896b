"""
What the conditions of a ServicePerformanceForecast say. Pure.

A message says what to do; it holds no number that changes by itself, so that it is not a reason to write.
"""

from dataclasses import dataclass

from tidecast_contract.forecast import ModelKind
from tidecast_operator.hints.keeper import Hinted
from tidecast_operator.outlets.floors.plan import FloorProblem
from tidecast_operator.published import Condition, Published, to_time
from tidecast_operator.publishing.hinted import (
    FOLLOWED,
    NOT_LOOKED_YET,
    NOTHING_OFFERED,
    OFFERED,
    floor_followed,
    of_hint,
)
from tidecast_operator.publishing.sentences import sentence
from tidecast_operator.publishing.trusted import trusted
from tidecast_operator.trust.skills import Skill

FORECAST_CONDITIONS = (
    "Ready",
    "GraphDiscovered",
    "MetricsAvailable",
    "HistorySufficient",
    "ForecastFresh",
    "Trusted",
    OFFERED,
    FOLLOWED,
)


@dataclass(frozen=True, slots=True)
class ForecastFacts:
    """
    What there is to say about one ServicePerformanceForecast.

    Attributes:
        now: Unix seconds.
        target: Kind and name of the workload; empty when the spec names none.
        target_exists: Whether the cluster has it.
        duplicate_of: The name of the resource that speaks for the same workload; empty if this one does.
        suspend: Whether forecasts for it are to stop.
        is_observed: Whether telemetry came in at all this time; without it the next two say nothing.
        in_graph: Whether a call to or from it was seen.
        is_measured: Whether its requests were measured in the last steps.
        is_signal_measured: Whether what its hint leans on was; True where nobody asks for one.
        model: What made its forecast this time; None if there was none.
        model_reason: Why not a better one.
        expire_time: Of the forecast that stands in its status, unix seconds; None if none does.
        problem: Why there was no forecast for anybody this time; empty if there was.
        is_judged: Whether past forecasts were compared with what came true this time.
        skill: How good those of this service were; None where nothing came true yet.
        hinted: What came out as its hint; None if it asks for none, or speaks for no workload.
        is_floor_known: Whether anybody has looked at floors since this replica leads.
        floor_problem: Why a floor did not follow its hint the last time; None if nothing kept it.
        last_trust: What `Trusted` said in the cycle before, be it written or not; None in the first one.
    """

    now: int
    target: str
    target_exists: bool = True
    duplicate_of: str = ""
    suspend: bool = False
    is_observed: bool = True
    in_graph: bool = True
    is_measured: bool = True
    is_signal_measured: bool = True
    model: ModelKind | None = None
    model_reason: str = ""
    expire_time: int | None = None
    problem: str = ""
    is_judged: bool = False
    skill: Skill | None = None
    hinted: Hinted | None = None
    is_floor_known: bool = True
    floor_problem: FloorProblem | None = None
    last_trust: Condition | None = None


def of_forecast(facts: ForecastFacts, previous: Published) -> tuple[Condition, ...]:
    """The conditions of one ServicePerformanceForecast; their times and generations are not settled yet."""
    fresh = _forecast_fresh(facts)
    trust = trusted(
        facts.skill,
        facts.last_trust or previous.condition("Trusted"),
        is_judged=facts.is_judged,
        is_fresh=fresh.status == "True",
        is_measured=facts.is_measured and facts.is_signal_measured,
    )
    return (
        _forecast_ready(facts, fresh),
        _kept(facts, previous, _graph_discovered(facts)),
        _kept(facts, previous, _metrics_available(facts)),
        _history_sufficient(facts, previous),
        fresh,
        trust,
        *(() if facts.hinted is None else of_hint(facts.hinted, trust, _floor(facts, previous))),
    )


def _floor(facts: ForecastFacts, previous: Published) -> Condition:
    if facts.is_floor_known:
        return floor_followed(facts.floor_problem)
    before = previous.condition(FOLLOWED)
    return NOT_LOOKED_YET if before is None or before.reason == NOTHING_OFFERED.reason else before


def _forecast_ready(facts: ForecastFacts, fresh: Condition) -> Condition:
    if not facts.target:
        return Condition(
            "Ready", "False", "InvalidSpec", "spec.targetRef: name a Deployment, StatefulSet or DaemonSet."
        )
    if facts.duplicate_of:
        return Condition(
            "Ready",
            "False",
            "DuplicateTarget",
            f"{facts.duplicate_of} already speaks for {facts.target}; delete one of the two.",
        )
    if not facts.target_exists:
        return Condition(
            "Ready",
            "False",
            "TargetNotFound",
            f"There is no {facts.target} in this namespace; create it or correct spec.targetRef.",
        )
    if facts.suspend:
        return Condition("Ready", "False", "Suspended", "spec.suspend is true; set it to false to resume.")
    return Condition("Ready", fresh.status, fresh.reason, fresh.message)


def _forecast_fresh(facts: ForecastFacts) -> Condition:
    if facts.expire_time is None:
        why = facts.problem or "No measurement of this service has led to one."
        return Condition("ForecastFresh", "False", "NoForecastYet", f"There is no forecast yet. {why}")
    if facts.now >= facts.expire_time:
        why = facts.problem or "No new measurement of this service came in; see the other conditions."
        return Condition(
            "ForecastFresh", "False", "ForecastExpired", f"The forecast expired at {to_time(facts.expire_time)}. {why}"
        )
    return Condition("ForecastFresh", "True", "ForecastIssued", "The forecast has not expired.")


def _graph_discovered(facts: ForecastFacts) -> Condition:
    if facts.in_graph:
        return Condition("GraphDiscovered", "True", "CallsSeen", "Calls to or from this service were seen.")
    return Condition(
        "GraphDiscovered",
        "False",
        "NoCallsSeen",
        "No call to or from this service was seen; check that its pods have a sidecar or are traced, and get requests."
        if not facts.is_measured
        else "It gets requests, but nobody who sends them was seen: its callers may be outside, or send no telemetry.",
    )


def _metrics_available(facts: ForecastFacts) -> Condition:
    if facts.is_measured:
        return Condition("MetricsAvailable", "True", "Measured", "Its requests were measured in the last steps.")
    return Condition(
        "MetricsAvailable",
        "False",
        "NoRecentMeasurement",
        "Its requests were not measured in the last steps; check that Prometheus scrapes its pods.",
    )


def _history_sufficient(facts: ForecastFacts, previous: Published) -> Condition:
    if facts.model is None:
        return previous.condition("HistorySufficient") or Condition(
            "HistorySufficient", "Unknown", "NoForecastYet", "Known with the first forecast."
        )
    if facts.model is ModelKind.GCN_GRU:
        return Condition("HistorySufficient", "True", "ModelTrained", "A trained model speaks.")
    why = f": {sentence(facts.model_reason)}" if facts.model_reason else "."
    return Condition(
        "HistorySufficient", "False", f"{facts.model.value}Speaks", f"{facts.model.value} speaks for now{why}"
    )


def _kept(facts: ForecastFacts, previous: Published, condition: Condition) -> Condition:
    """Without telemetry nobody knows: the old word stands until the forecast has expired too."""
    if facts.is_observed:
        return condition
    old = previous.condition(condition.type)
    if old is not None and facts.expire_time is not None and facts.now < facts.expire_time:
        return old
    return Condition(condition.type, "Unknown", "TelemetryUnavailable", facts.problem or "No telemetry came in.")
