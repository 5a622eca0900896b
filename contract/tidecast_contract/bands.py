"""
Whether what came true lies beyond a band, as far as numbers in single precision can say.

A service that stands still has a band without width. Brought to another scale and back, or sent as text, its ends differ from
what is measured in the seventh digit: a hair that would decide whether the band holds always or half of the time.
"""

import numpy as np
from numpy.typing import NDArray

_ROUNDING = np.float32(1e-5)  # of what came true
_NOTHING = np.float32(1e-6)  # in any unit that is forecast; what is 0 comes back as a hair of it

Numbers = NDArray[np.float32]


def falls_below(quantile: Numbers, truth: Numbers) -> NDArray[np.bool_]:
    """Where *truth* is less than *quantile*, by more than rounding; False where either is NaN. Shapes broadcast."""
    below: NDArray[np.bool_] = truth < quantile - _NOTHING - _ROUNDING * np.abs(truth)
    return below


def rises_above(quantile: Numbers, truth: Numbers) -> NDArray[np.bool_]:
    """Where *truth* is more than *quantile*, by more than rounding; False where either is NaN. Shapes broadcast."""
    above: NDArray[np.bool_] = truth > quantile + _NOTHING + _ROUNDING * np.abs(truth)
    return above
