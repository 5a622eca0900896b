"""
Settings of the predictor, grouped by subject. Read from flags in `cli` alone, passed as arguments everywhere else.
"""

from dataclasses import dataclass

from tidecast_contract.features import FEATURES, FORECAST_FEATURES

DAY_SECONDS = 86_400
WEEK_SECONDS = 7 * DAY_SECONDS

_SMOOTHING_SECONDS = 300
_SMOOTHING_STEPS = (2, 5)


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """
    How a training in the background goes about it.

    Attributes:
        minimum_history_seconds: With requests measured for less time no training starts.
        window_steps: How many steps a forecast looks back.
        horizon_steps: How many steps a forecast looks ahead.
        seconds: Wall time a training may take, from start to checkpoint.
        threads: CPU threads it may use; None takes half of the processors, as inference needs the others. Of two
            threads on processors that others use as well, each waits for the other most of the time.
        seed: Of everything random. The same history, seed and settings give the same model, unless `seconds` cut
            the training short.
        updates: How many optimiser steps are taken when `seconds` allow it; None for as many as the history is worth.
        rows: How many (sample, service) pairs one optimiser step looks at.
        services: How many services one optimiser step looks at, at most: of more it sees a connected part, at each
            step another one, until all of them had their turn.
        recorded_services: With more services than this, a connected part of the graph of this size is trained on. The
            model holds nothing about single services, so it forecasts all of them.

    Raises:
        ValueError: If a number is not positive.
    """

    minimum_history_seconds: int = 7200
    window_steps: int = 60
    horizon_steps: int = 30
    seconds: float = 1800.0
    threads: int | None = None
    seed: int = 0
    updates: int | None = None
    rows: int = 128
    services: int = 64
    recorded_services: int = 2000

    def __post_init__(self) -> None:
        for name in (
            "window_steps", "horizon_steps", "seconds", "updates", "rows", "services", "recorded_services",
        ):  # fmt: skip
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be positive, not {value}")


@dataclass(frozen=True, slots=True)
class Architecture:
    """
    The shape of a model: what has to be known to build one before its weights are loaded.

    Attributes:
        step_seconds: Between two steps, in its inputs and in its forecasts.
        window_steps: How many steps it looks back.
        horizon_steps: How many steps it looks ahead.
        periods: Of the clock it reads, in seconds; empty when its history was too short to tell.
        hidden: Units of its recurrent state.
        head: Units of the last hidden layer.
        quantiles: Rising, in (0, 1), 0.5 among them.
        features: How many it reads of each service.
        forecast_features: How many of them, the first ones, it forecasts.
        recurrent: False leaves the GRU out: an ablation.
        seasonal: False hides the courses of the days before: an ablation.

    Raises:
        ValueError: If a number is not positive, or the quantiles do not rise around 0.5.
    """

    step_seconds: int
    window_steps: int
    horizon_steps: int
    periods: tuple[int, ...] = (DAY_SECONDS, WEEK_SECONDS)
    hidden: int = 64
    head: int = 128
    quantiles: tuple[float, ...] = (0.1, 0.5, 0.9)
    features: int = len(FEATURES)
    forecast_features: int = len(FORECAST_FEATURES)
    recurrent: bool = True
    seasonal: bool = True

    def __post_init__(self) -> None:
        for name in (
            "step_seconds", "window_steps", "horizon_steps", "hidden", "head", "features", "forecast_features",
        ):  # fmt: skip
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        if self.forecast_features > self.features:
            raise ValueError(f"forecast_features must be among the {self.features}, not {self.forecast_features}")
        if 0.5 not in self.quantiles or list(self.quantiles) != sorted(set(self.quantiles)):
            raise ValueError(f"quantiles must rise and hold 0.5, not {self.quantiles}")

    @property
    def days(self) -> tuple[int, ...]:
        """How many steps ago the same hour of each of the last seven days is, yesterday first."""
        return tuple(max(1, round(day * DAY_SECONDS / self.step_seconds)) for day in range(1, 8))

    @property
    def smoothing_steps(self) -> int:
        """So many steps to both sides are averaged when a day before is looked at, as one step of it is mostly noise."""
        return min(_SMOOTHING_STEPS[1], max(_SMOOTHING_STEPS[0], _SMOOTHING_SECONDS // self.step_seconds))
