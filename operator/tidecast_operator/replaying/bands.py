"""
The spread of forecasts that have none of their own, followed from what came true: nothing here knows the future.

Each quantile is moved up by a little whenever the truth lay above it and down whenever it lay below, in the proportion at
which it holds in the long run. Errors are in units and not in shares of what was said: of a service that is called in
episodes nothing is said before one, and the share would be without bound.

Shapes: `N` series, `H` horizon steps.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[np.float64]

_LOW, _HIGH = 0.1, 0.9
_FEWEST = 20  # errors, before anything is said
_RATE = 0.05  # of the usual error, that a quantile moves by at once
_FADING = 1 / 240  # what one moment weighs in what is usual
_NORMAL = 1.2816 * 1.2533  # p90 of a normal distribution in its mean absolute errors


class Bands:
    """
    Not safe to use from several threads at once.

    Args:
        series: N.
        horizon_steps: H.
    """

    def __init__(self, series: int, horizon_steps: int) -> None:
        shape = (series, horizon_steps)
        self._said: deque[_Array] = deque(maxlen=horizon_steps)
        self._errors = np.zeros(shape)
        self._count = np.zeros(shape, np.int64)
        self._low, self._high = np.zeros(shape), np.zeros(shape)

    def around(self, said: _Array, truth: _Array) -> tuple[_Array, _Array]:
        """
        The p10 and p90 of what is said now, (N, H) each; NaN as long as too little has come true. Call it at every step.

        Args:
            said: The next H steps, (N, H); NaN where nothing is said.
            truth: What was measured at this step, (N,); NaN where nothing was.
        """
        for ago, earlier in enumerate(reversed(self._said)):
            self._learn(ago, truth - earlier[:, ago])
        self._said.append(said)
        known = self._count >= _FEWEST
        low = np.where(known, np.maximum(np.minimum(said + self._low, said), 0), np.nan)
        high = np.where(known, np.maximum(said + self._high, said), np.nan)
        return low, high

    def _learn(self, step: int, error: _Array) -> None:
        came = np.isfinite(error)
        error = np.where(came, error, 0)
        count = self._count[:, step] = self._count[:, step] + came
        weight = np.maximum(_FADING, 1 / np.maximum(count, 1))
        usual = self._errors[:, step]
        usual = self._errors[:, step] = np.where(came, usual + weight * (np.abs(error) - usual), usual)
        for quantile, held in ((_LOW, self._low), (_HIGH, self._high)):
            begun = np.sign(quantile - 0.5) * _NORMAL * usual
            moved = held[:, step] + _RATE * usual * (quantile - (error < held[:, step]))
            held[:, step] = np.where(came, np.where(count <= _FEWEST, begun, moved), held[:, step])
