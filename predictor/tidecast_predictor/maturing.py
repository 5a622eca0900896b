"""
When the truth of which earlier forecast comes in.
"""

import numpy as np
from numpy.typing import NDArray


def maturing(steps: NDArray[np.int64], horizon: int) -> list[list[tuple[int, int]]]:
    """
    For each origin the (earlier origin, step ahead) whose truth has come in since the origin before it.

    Args:
        steps: Of the origins, on the grid that the horizon counts on, int64 of shape (S,), rising.
        horizon: How many steps ahead each forecast goes; steps ahead are told from 0.
    """
    due = steps[:, None] + np.arange(1, horizon + 1)
    at = np.searchsorted(steps, due)  # the first origin at which it is known
    found: list[list[tuple[int, int]]] = [[] for _ in steps]
    for origin, ahead in zip(*np.nonzero(at < len(steps)), strict=True):
        found[at[origin, ahead]].append((int(origin), int(ahead)))
    return found
