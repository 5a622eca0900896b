"""
A placebo for the call graph: as many calls of as many services, but not the calls that are.

Degree-preserving double edge swaps, the usual null model of networks: Maslov and Sneppen, Science 296 (2002) 910. A small
graph, or one around a hub, allows too few of them; then calls are drawn among the same services.
"""

import numpy as np
from numpy.typing import NDArray

from tidecast_predictor.baselines.method import CannotForecast

_TRIES = 10  # a call; fewer leave a trace of the graph that was
_MOST_LEFT = 0.5  # of the real calls, in a placebo

Calls = NDArray[np.int64]


def rewired(calls: Calls, seed: int) -> Calls:
    """
    Other calls among the same services; where the graph allows that, each calls as many and is called by as many.

    There a call keeps its caller, so weights that stay in their order keep what each service sends out. Calls that are
    listed twice stay alike.

    Args:
        calls: Callers and callees, int64 of shape (2, E).
        seed: Of the draws.

    Returns:
        int64 of shape (2, E), at most half of them among the calls that were given.

    Raises:
        CannotForecast: If the graph allows no such calls.
    """
    if not calls.shape[1]:
        return calls.copy()
    real, places = np.unique(calls, axis=1, return_inverse=True)
    made = _swapped(real, np.random.default_rng(seed))
    if _left(made, real) > _MOST_LEFT:
        made = _drawn(real, np.random.default_rng(seed))
    left = _left(made, real)
    if left > _MOST_LEFT:
        raise CannotForecast(f"this graph allows no placebo: {left:.0%} of the calls would be real ones")
    chosen: Calls = made[:, places.ravel()]
    return chosen


def _left(made: Calls, real: Calls) -> float:
    """The share of calls that are real ones."""
    held = set(map(tuple, real.T.tolist()))
    return sum(tuple(call) in held for call in made.T.tolist()) / len(made[0])


def _swapped(real: Calls, chance: np.random.Generator) -> Calls:
    """Two calls a→b and c→d, drawn at random, become a→d and c→b unless that calls itself or exists already."""
    count = real.shape[1]
    callers, callees = real[0].tolist(), real[1].tolist()
    held = set(zip(callers, callees, strict=True))
    for one, other in chance.integers(count, size=(_TRIES * count, 2)).tolist():
        first, second = (callers[one], callees[other]), (callers[other], callees[one])
        if first[0] == first[1] or second[0] == second[1] or first in held or second in held:
            continue
        held -= {(callers[one], callees[one]), (callers[other], callees[other])}
        held |= {first, second}
        callees[one], callees[other] = callees[other], callees[one]
    return np.array([callers, callees], dtype=np.int64)


def _drawn(real: Calls, chance: np.random.Generator) -> Calls:
    """As many calls among the same services as there are real ones, none of those as far as there are others."""
    services = np.unique(real).tolist()
    held = set(map(tuple, real.T.tolist()))
    others = [(one, other) for one in services for other in services if one != other and (one, other) not in held]
    chosen = chance.permutation(len(others))[: real.shape[1]]
    made = real.copy()
    made[:, : len(chosen)] = np.array(others, dtype=np.int64).reshape(-1, 2)[chosen].T
    return made


def no_calls(calls: Calls, _seed: int) -> Calls:
    """Nobody calls anybody: int64 of shape (2, 0)."""
    return calls[:, :0]
