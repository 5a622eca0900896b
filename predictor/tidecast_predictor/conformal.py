"""
Keeps quantiles honest while they are used: what came true since corrects how far from the median they lie.

Quantile tracking in the manner of adaptive conformal inference (arXiv:2106.00170, arXiv:2307.16895): whenever the truth
of an earlier forecast comes in, the distance of each outer quantile from the median is stretched if it was passed and
shrunk a little if not, so that in the long run it is passed as often as it should be. For each feature and step ahead
there is one stretch of all services, which learns fast, and one of each service, which learns slowly.
"""

import numpy as np
from numpy.typing import NDArray

_RATE_OF_ALL = 0.15
_RATE_OF_ONE = 0.05
_LIMIT = 5.0  # of a stretch's logarithm; what is mostly 0 has a median a hair above it, far within a narrow band


def stretch_online(
    quantiles: NDArray[np.float32],
    truth: NDArray[np.float32],
    levels: tuple[float, ...],
    steps: NDArray[np.int64],
) -> NDArray[np.float32]:
    """
    Forecasts at rising origins, each corrected by what was known at its origin and by nothing later.

    Args:
        quantiles: On a scale on which errors are comparable, float32 of shape (S, N, F, H, Q), rising along Q.
        truth: What came true, (S, N, F, H); NaN where missing.
        levels: Q of them, rising around 0.5.
        steps: Of the origins, on the grid that H counts on, int64 of shape (S,), rising.

    Returns:
        As *quantiles*; the median as it was.
    """
    origins, services, features, horizon, _ = quantiles.shape
    middle = levels.index(0.5)
    outer = [index for index in range(len(levels)) if index != middle]
    side = np.array([np.sign(levels[index] - 0.5) for index in outer], dtype=np.float32)
    chance = np.array([min(levels[index], 1 - levels[index]) for index in outer], dtype=np.float32)
    median = quantiles[..., middle, None]
    distances = (quantiles[..., outer] - median) * side
    beyond = (truth[..., None] - median) * side  # how far the truth lies on each quantile's side
    known = np.isfinite(beyond) & np.isfinite(distances)
    of_all = np.zeros((features, horizon, len(outer)), dtype=np.float32)
    of_one = np.zeros((services, features, horizon, len(outer)), dtype=np.float32)
    corrected = quantiles.copy()
    maturing = _maturing(steps, horizon)
    for now in range(origins):
        for origin, ahead in maturing[now]:
            stretch = np.exp(of_all[:, ahead] + of_one[:, :, ahead])
            seen = known[origin, :, :, ahead]
            passed = beyond[origin, :, :, ahead] > stretch * distances[origin, :, :, ahead]
            surprise = np.where(seen, passed - chance, 0)
            of_all[:, ahead] += _RATE_OF_ALL * surprise.sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
            of_one[:, :, ahead] += _RATE_OF_ONE * surprise
        np.clip(of_all, -_LIMIT, _LIMIT, out=of_all)
        np.clip(of_one, -_LIMIT, _LIMIT, out=of_one)
        stretch = np.exp(of_all + of_one)
        corrected[now][..., outer] = median[now] + side * stretch * distances[now]
    return np.maximum.accumulate(corrected, axis=-1)


def _maturing(steps: NDArray[np.int64], horizon: int) -> list[list[tuple[int, int]]]:
    """For each origin the (earlier origin, step ahead) whose truth has come in since the origin before it."""
    due = steps[:, None] + np.arange(1, horizon + 1)
    at = np.searchsorted(steps, due)  # the first origin at which it is known
    found: list[list[tuple[int, int]]] = [[] for _ in steps]
    for origin, ahead in zip(*np.nonzero(at < len(steps)), strict=True):
        found[at[origin, ahead]].append((int(origin), int(ahead)))
    return found
