"""
A load that was recorded somewhere, from a file: which of its days are scored, and where they lie in the model's time.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from plant import Plant
from scene import GATEWAY, HIGHEST_REPLICAS, TARGET_UTILISATION, mesh, scaled
from settings import Settings

from tidecast_simulator.load import DAY_SECONDS, Constant, Product, Recorded, Shape, read_series
from tidecast_simulator.randomness import Floats

LEAST_PAST_SECONDS = 2 * DAY_SECONDS
"""Of a recording, before the warm-up: fewer days say nothing of what is usual."""

_RISE_HOURS, _MOSTLY = 6, 0.5
_SMOOTH_MINUTES = 15


@dataclass(frozen=True, slots=True)
class Recording:
    """
    A recorded load.

    It is not repeated: a past that holds the scored stretch already would be a look into the future. Other seeds score
    other days: 0 the last whole one, 1 the day before that.

    Attributes:
        name: `recorded-` and the name of its file, without the ending.
        series: Its values, the first at time 0, which counts as midnight.
    """

    name: str
    series: Recorded

    @classmethod
    def read(cls, path: Path, *, step_seconds: float) -> Self:
        """
        From a file, see `read_series`.

        Raises:
            ValueError: If it has gaps, or swings further than the services can follow.
        """
        if not step_seconds > 0:
            raise ValueError(f"a step of {step_seconds:g} seconds: --load-step-seconds must be more than 0")
        try:
            series = read_series(path, step_seconds=step_seconds)
        except ValueError as error:
            raise ValueError(f"{error}; fill its gaps, or cut a piece that has none") from error
        highest, (service, most) = max(series.values) / float(np.mean(series.values)), most_carried()
        if highest > most:
            raise ValueError(
                f"its highest value is {highest:.1f} times its mean, and {HIGHEST_REPLICAS} replicas of {service} carry "
                f"{most:.1f} times the mean at the autoscaler's target; smooth it, or cut a piece that swings less"
            )
        return cls(f"recorded-{path.stem}", series)

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.series.values) * self.series.step_seconds

    def day(self, seed: int) -> int:
        """
        The day that a seed scores, the first of the recording being 0.

        Raises:
            ValueError: If there is none.
        """
        whole = math.floor(self.seconds / DAY_SECONDS)
        if not 0 <= seed < whole:
            raise ValueError(f"seed {seed}: the recording has {whole} whole days; choose a seed from 0 to {whole - 1}")
        return whole - 1 - seed

    def scored_from(self, seed: int, *, from_hour: float, hours: float) -> float:
        """
        The second of the recording at which the scored time begins.

        Raises:
            ValueError: If the recording is over before the scored time is, or has hardly any load in it.
        """
        begin = self.day(seed) * DAY_SECONDS + from_hour * 3600
        end, last = begin + hours * 3600, self.seconds - self.series.step_seconds
        if end > last:
            raise ValueError(
                f"the recording is over {(end - last) / 3600:.1f} hours before the scored time; choose a higher seed, an "
                f"earlier hour, or score less"
            )
        silent = float(np.mean(self._between(begin, end) == 0))
        if silent > _MOSTLY:
            raise ValueError(
                f"{100 * silent:.0f} percent of the scored time, from hour {begin / 3600:g} of the recording on, have no "
                f"load at all; choose another seed, which is another day"
            )
        return begin

    def under(self, settings: Settings) -> Settings:
        """
        The settings of a run under this load: with its name, and with no more history than there is.

        Raises:
            ValueError: If there is too little before or after the scored time begins.
        """
        hours = settings.minutes * settings.factor / 60
        scored = self.scored_from(settings.seed, from_hour=settings.from_hour, hours=hours)
        past = scored - settings.warm_up_minutes * 60 * settings.factor
        if past < LEAST_PAST_SECONDS:
            raise ValueError(
                f"the recording has {past / DAY_SECONDS:.1f} days before the warm-up, and at least "
                f"{LEAST_PAST_SECONDS / DAY_SECONDS:g} are needed; choose a lower seed, a later hour, or a longer recording"
            )
        there = math.floor(past / settings.factor / 36) / 100
        return replace(settings, load=self.name, history_hours=min(settings.history_hours, there))

    def laid(self, midnight: float, seed: int) -> Recorded:
        """The load over the model's time, so that the day that a seed scores begins at a midnight there."""
        return replace(self.series, start_time=midnight - self.day(seed) * DAY_SECONDS)

    def usual(self, midnight: float, *, until_day: int) -> Shape:
        """
        What was usual at each time of the day before a day of the recording, over the model's time.

        Raises:
            ValueError: If no day is before it.
        """
        if until_day < 1:
            raise ValueError("the recording has no day of which to learn what is usual; choose a lower seed")
        profile = self._profile(until_day)
        # A recorded series has mean 1, and these days may have been busier than all of them.
        return Product((Recorded(tuple(profile.tolist()), start_time=midnight), Constant(float(profile.mean()))))

    def rise_hour(self) -> float:
        """The full hour after which load rises most within six hours of the same day, usually."""
        hourly = self._profile(self.day(0) + 1).reshape(24, 60).mean(axis=1)
        return float(np.argmax(hourly[_RISE_HOURS - 1 :] - hourly[: 1 - _RISE_HOURS]))

    def _profile(self, days: int) -> Floats:
        """By minute of the day, the median of the first days, smoothed."""
        minutes = 60.0 * np.arange(days * 1440, dtype=np.float64)
        median = np.median(self.series.factor(minutes, GATEWAY).reshape(days, 1440), axis=0)
        shifts = range(-(_SMOOTH_MINUTES // 2), _SMOOTH_MINUTES // 2 + 1)
        return np.asarray(np.mean([np.roll(median, shift) for shift in shifts], axis=0))

    def _between(self, begin: float, end: float) -> Floats:
        first, last = (round(moment / self.series.step_seconds) for moment in (max(begin, 0.0), end))
        return np.asarray(self.series.values[first : max(last, first + 1)])


def most_carried() -> tuple[str, float]:
    """The service that is short of replicas first, and the factor of the load at which it is."""
    services, demand = mesh(), Plant(mesh()).demand()
    reached = HIGHEST_REPLICAS * TARGET_UTILISATION
    most = {
        services.services[place].name: reached * services.services[place].capacity_rps / float(demand[place])
        for place in scaled(services)
    }
    name = min(most, key=most.__getitem__)
    return name, most[name]
