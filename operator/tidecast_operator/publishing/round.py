"""
Everything that one cycle has found out, filled as it goes.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from tidecast_contract.forecast import Forecast
from tidecast_contract.status import PredictorStatus
from tidecast_operator.hints.keeper import Hinted
from tidecast_operator.observing import Observed
from tidecast_operator.publishing.forecaster_status import HistoryFacts
from tidecast_operator.settings import METRICS
from tidecast_operator.settings_keeper import InUse
from tidecast_operator.trust.skills import Skills

IDLE_STEP_SECONDS = 60
"""Between two cycles while no settings say otherwise."""


@dataclass(slots=True)
class Round:
    """
    One cycle.

    Attributes:
        in_use: The settings it follows.
        start_time: When it began, unix seconds.
        observed: What was measured; None if nothing was.
        predictor: What the predictor says about itself; None if it did not answer.
        history: How the filling of the history goes; None if the predictor did not answer.
        forecast: What was forecast; None if nothing was.
        skills: How good past forecasts were; None if that is not known.
        hints: What came out for the resources that ask for a hint, by namespace and name.
        telemetry_problem: Why nothing was measured; None if something was.
        predictor_problem: Why nothing was forecast from it; None if something was.
        stages: Seconds that each stage took so far.
    """

    in_use: InUse
    start_time: float
    observed: Observed | None = None
    predictor: PredictorStatus | None = None
    history: HistoryFacts | None = None
    forecast: Forecast | None = None
    skills: Skills | None = None
    hints: Mapping[tuple[str, str], Hinted] = field(default_factory=dict)
    telemetry_problem: Exception | None = None
    predictor_problem: Exception | None = None
    stages: dict[str, float] = field(default_factory=dict)

    @property
    def step_seconds(self) -> int:
        """Between two cycles."""
        return IDLE_STEP_SECONDS if self.in_use.settings is None else self.in_use.settings.step_seconds

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the features to publish."""
        return METRICS if self.in_use.settings is None else self.in_use.settings.metrics

    @property
    def speaker(self) -> PredictorStatus | None:
        """
        What the predictor says about itself, with the model that spoke where there is a forecast.

        One that is served does not speak where it was trained for another step, or for fewer steps ahead.
        """
        if self.predictor is None or self.forecast is None:
            return self.predictor
        return replace(self.predictor, model=self.forecast.model)

    @property
    def outcome(self) -> str:
        """How it ended, in one word."""
        if self.forecast is not None:
            return "Forecast"
        if self.in_use.settings is None:
            return "NoForecaster" if self.in_use.resource is None else "InvalidSpec"
        return "NoTelemetry" if self.telemetry_problem is not None else "NoPrediction"

    @property
    def problem(self) -> str:
        """Why there is no forecast, for a reader of any resource; empty if there is one."""
        if self.forecast is not None:
            return ""
        if self.in_use.resource is None:
            return "There is no Forecaster named default; create one."
        if self.in_use.settings is None:
            return "The spec of the Forecaster named default is not valid; see its conditions."
        why = self.telemetry_problem or self.predictor_problem or "the predictor gave no forecast"
        return f"{why}; see the conditions of the Forecaster named default."

    @property
    def seconds(self) -> float:
        """That all stages together took so far."""
        return sum(self.stages.values())

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times what is done inside."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.stages[name] = self.stages.get(name, 0.0) + time.monotonic() - started
