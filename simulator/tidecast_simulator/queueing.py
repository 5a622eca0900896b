"""
How a service feels its load: waiting, refusing, failing. Plain formulas on arrays of any shape.
"""

import numpy as np

from tidecast_simulator.randomness import Floats

# A queue that is full for ever would wait for ever: the waiting time stops growing here.
HIGHEST_UTILISATION = 0.98
# From here on a service begins to refuse requests; at full utilisation it refuses this share.
OVERLOAD_STARTS = 0.85
REFUSED_WHEN_FULL = 0.02


def waiting_factor(utilisation: Floats, servers: Floats) -> Floats:
    """
    Mean time in the queue of an M/M/c system, in units of the time of the work itself.

    Sakasegawa's approximation (1977), with the utilisation bounded at `HIGHEST_UTILISATION`.
    """
    bounded = np.clip(utilisation, 0.0, HIGHEST_UTILISATION)
    power = np.sqrt(2 * (servers + 1)) - 1
    return np.asarray(bounded**power / (np.maximum(servers, 1) * (1 - bounded)))


def refused_share(utilisation: Floats) -> Floats:
    """Share of requests that a service refuses: 0 up to `OVERLOAD_STARTS`; above 1 it serves what it can."""
    strain = np.clip((utilisation - OVERLOAD_STARTS) / (1 - OVERLOAD_STARTS), 0.0, 1.0)
    return np.asarray(1 - (1 - REFUSED_WHEN_FULL * strain**2) / np.maximum(utilisation, 1.0))


def attempts(failing: Floats, retries: int) -> Floats:
    """Mean number of calls when each failed one is tried again up to so many times."""
    total = np.ones_like(failing)
    for power in range(1, retries + 1):
        total = total + failing**power
    return total


def log_normal(mean: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """The mu and sigma of the log-normal distribution of that mean and variance."""
    sigma_squared = np.log1p(variance / mean**2)
    return np.asarray(np.log(mean) - sigma_squared / 2), np.asarray(np.sqrt(sigma_squared))
