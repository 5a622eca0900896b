"""
A load and forecasters of it, told step by step to the record of past forecasts.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tidecast_contract.features import FEATURES, FORECAST_FEATURES
from tidecast_contract.forecast import QUANTILES, Forecast, ModelInfo, ModelKind
from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot
from tidecast_operator.trust.comparing import advance
from tidecast_operator.trust.record import Record
from tidecast_operator.trust.skills import Skills

STEP, HORIZON, WINDOW, BEGIN = 60, 30, 60, 1_800_000_000
SERVICES = tuple(ServiceId("shop", "Deployment", name) for name in ("web", "cart", "pay"))
NOISE = 0.02
Says = Callable[[int], np.ndarray]
"""From a step to what is said of the next HORIZON steps: medians, (N, H), or all quantiles, (N, H, Q)."""


def load(step):
    """What comes without its noise, (N,): three services that rise and fall, each in its own time, twice a day."""
    return 100 * (1 + 0.5 * np.sin(2 * np.pi * (np.asarray(step)[..., None] / 720 + np.arange(3) / 3)))


def knows(step):
    """A good forecast: all but the noise."""
    return load(step + np.arange(1, HORIZON + 1)).T


def banded(medians, noise=NOISE):
    """All quantiles, (N, H, Q), where what comes is *medians* but for the noise."""
    return medians[..., None] * np.exp(noise * np.array([-1.2816, 0, 1.2816]))


@dataclass
class Past:
    """Steps of a load, and what is recorded of the forecasts made at them."""

    noise: float = NOISE
    record: Record = field(default_factory=lambda: Record.begin(step_seconds=STEP, horizon_steps=HORIZON, time=BEGIN))
    step: int = 0
    measured: list = field(default_factory=list)
    seed: int = 0

    def __post_init__(self):
        self.chance = np.random.default_rng(self.seed)

    def go(self, steps, says: Says = knows, *, measure=None, seasonal=None, services=SERVICES, kind=ModelKind.GCN_GRU):
        """So many steps further; `measure` turns what came into what was measured."""
        for _ in range(steps):
            self.step += 1
            came = load(self.step) * np.exp(self.noise * self.chance.standard_normal(3))
            self.measured.append(came if measure is None else measure(self.step, came))
            window, said = self.window(services), says(self.step)
            quantiles = said if said.ndim == 3 else banded(said, self.noise)
            self.record = advance(self.record, window, forecast(window, quantiles, seasonal, kind))
        return self

    def window(self, services=SERVICES):
        rows = [SERVICES.index(service) for service in services]
        values = np.full((min(WINDOW, len(self.measured)), len(services), len(FEATURES)), np.nan, np.float32)
        values[:, :, 0] = np.array(self.measured[-WINDOW:])[:, rows]
        nothing = np.zeros((2, 0), np.int64), np.zeros(0, np.float32)
        return Snapshot(BEGIN + self.step * STEP, STEP, tuple(services), values, *nothing)

    def skill(self, service=SERVICES[0], seconds=300):
        """Of the requests of a service."""
        return Skills(self.record).of(service, FORECAST_FEATURES[0], seconds)


def forecast(window, quantiles, seasonal=None, kind=ModelKind.GCN_GRU):
    """Of the requests: *quantiles* of all SERVICES, (N, H, Q)."""
    shape = (len(window.services), len(FORECAST_FEATURES), HORIZON)
    values = np.full((*shape, len(QUANTILES)), np.nan, np.float32)
    rows = [SERVICES.index(service) for service in window.services]
    values[:, 0] = quantiles[rows]
    yesterday = None
    if seasonal is not None:
        yesterday = np.full(shape, np.nan, np.float32)
        yesterday[:, 0] = seasonal(window)[rows]
    kinds = (kind,) * len(window.services)
    return Forecast(window.end_time, STEP, window.services, QUANTILES, values, kinds, ModelInfo(kind), yesterday)
