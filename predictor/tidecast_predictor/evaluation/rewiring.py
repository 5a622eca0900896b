"""
A placebo for the call graph: as many calls of as many services, but not the calls that are.

Degree-preserving double edge swaps, the usual null model of networks: Maslov and Sneppen, Science 296 (2002) 910.
"""

import numpy as np
from numpy.typing import NDArray

_TRIES = 10  # a call; fewer leave a trace of the graph that was


def rewired(calls: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """
    Other calls with the callers, and how often each is called, kept.

    Two calls a→b and c→d, drawn at random, become a→d and c→b unless that calls itself or exists already. A call keeps
    its caller, so weights that stay in their order keep what each service sends out.

    Args:
        calls: Callers and callees, int64 of shape (2, E).
        seed: Of the draws.

    Returns:
        int64 of shape (2, E); where the graph allows no swap, the calls that were given.
    """
    count = calls.shape[1]
    callers, callees = calls[0].tolist(), calls[1].tolist()
    held = set(zip(callers, callees, strict=True))
    if count < 2 or len(held) < count:
        return calls.copy()  # a call that is listed twice cannot be told from a swap's result
    draws = np.random.default_rng(seed).integers(count, size=(_TRIES * count, 2))
    for one, other in draws.tolist():
        first, second = (callers[one], callees[other]), (callers[other], callees[one])
        if first[0] == first[1] or second[0] == second[1] or first in held or second in held:
            continue
        held -= {(callers[one], callees[one]), (callers[other], callees[other])}
        held |= {first, second}
        callees[one], callees[other] = callees[other], callees[one]
    return np.array([callers, callees], dtype=np.int64)


def no_calls(calls: NDArray[np.int64], _seed: int) -> NDArray[np.int64]:
    """Nobody calls anybody: int64 of shape (2, 0)."""
    return calls[:, :0]
