"""
The stretch of a load that is studied without a cluster: its load, what is usual, and when its past begins.
"""

from dataclasses import dataclass

from foresight import DAY_STEPS, HORIZON_STEPS
from recorded_load import Recording
from scene import Pace, announced, load

from tidecast_simulator.load import DAY_SECONDS, Shape

PAST_STEPS, SETTLE_STEPS = 2 * DAY_STEPS, 60
"""What is not scored: two days of past for the forecasts, and an hour to settle."""

_FIRST_DAY = 20_000
_DAYS_APART = 10
_END_HOUR = 23.0  # of a scored day of a recording: forecasts look beyond it, and its last day may be the last there is


@dataclass(frozen=True, slots=True)
class Stretch:
    """
    One stretch of a load.

    Attributes:
        start_time: When its past begins, unix seconds of the model's world.
        truth: The load.
        usual: What a forecast may know of it long before.
    """

    start_time: float
    truth: Shape
    usual: Shape


def simulated(name: str, seed: int) -> Stretch:
    """Of a simulated load; what is usual is all that recurs every day."""
    return Stretch(float(DAY_SECONDS * (_FIRST_DAY + _DAYS_APART * seed)), load(name, seed), announced(name))


def recorded(recording: Recording, seed: int, *, hours: float) -> Stretch:
    """
    Of a recording; what is usual is the median, by time of the day, of days before those by which forecasts are judged.

    Raises:
        ValueError: If the recording does not have all of it.
    """
    step = Pace().step
    from_hour = _END_HOUR - 24
    recording.scored_from(seed, from_hour=from_hour, hours=hours + (HORIZON_STEPS + 1) * step / 3600)
    midnight = float(DAY_SECONDS * _FIRST_DAY)
    start_time = midnight + from_hour * 3600 - (PAST_STEPS + SETTLE_STEPS) * step
    # Bands are of errors from late on the second day before the scored one.
    usual = recording.usual(midnight, until_day=recording.day(seed) - 2)
    return Stretch(start_time, recording.laid(midnight, seed), usual)
