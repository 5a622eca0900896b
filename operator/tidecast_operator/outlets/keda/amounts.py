"""
Targets and values as KEDA takes them, so that the autoscaler arrives at the hint's replicas exactly. Pure.

KEDA turns them into thousandths, and older versions drop what is left; a HorizontalPodAutoscaler divides them and rounds
up. So 100 requests/s at 33.3333 a replica, told as they are, become four replicas where three are meant. Here target and
value are whole thousandths, and the value stays within those that ask for the hint's replicas.
"""

import math
from dataclasses import dataclass

from tidecast_operator.hints.board import Entry
from tidecast_operator.hints.hint import Hint

_DIGITS = 3
"""A learned capacity is told with so many digits: every change of the target rewrites a HorizontalPodAutoscaler."""


@dataclass(frozen=True, slots=True)
class Amount:
    """
    The same amount in both forms that the interface has.

    Attributes:
        thousandths: What a KEDA since 2.17 reads, times 1000.
        whole: What an older one reads.
    """

    thousandths: int
    whole: int

    @property
    def exact(self) -> float:
        """The thousandths as a number that, multiplied by 1000 and cut off, gives them again."""
        number = self.thousandths / 1000
        return number if number * 1000 >= self.thousandths else math.nextafter(number, math.inf)


ONE = Amount(1000, 1)
"""The target of replicas."""


def replicas(hint: Hint) -> Amount:
    """How many replicas, with `ONE` as their target."""
    return Amount(hint.replicas * 1000, hint.replicas)


def load_target(entry: Entry) -> Amount | None:
    """What one replica carries, as a target of the load; None as long as nobody knows."""
    if entry.scaling is not None and entry.scaling.per_replica is not None:
        return _target(entry.scaling.per_replica)
    if entry.hint is not None:
        return _target(_rounded(entry.hint.capacity.per_replica))
    return None


def load(hint: Hint, target: Amount) -> Amount:
    """The load, where it asks for the hint's replicas with that target, else the nearest that does."""
    share = hint.load / hint.capacity.per_replica
    return Amount(_within(share, hint.replicas, target.thousandths), _within(share, hint.replicas, target.whole))


def _target(per_replica: float) -> Amount:
    return Amount(max(1, math.ceil(per_replica * 1000 - 1e-6)), max(1, round(per_replica)))


def _within(share: float, replicas: int, target: int) -> int:
    return min(max(math.ceil(share * target), (replicas - 1) * target + 1), replicas * target)


def _rounded(per_replica: float) -> float:
    return float(f"{per_replica:.{_DIGITS}g}")
