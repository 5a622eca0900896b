"""
Cuts windows and targets out of series; whatever lies outside of the origin's segment, or of the recording, is missing.

Shapes: `S` origins, `W` steps of a window, `N` services, `F` features, `H` horizon steps, `T` steps.
"""

import numpy as np
from numpy.typing import NDArray


def segment_begins(segments: NDArray[np.int32]) -> NDArray[np.int64]:
    """For every step the first step of its segment, int64 of shape (T,)."""
    steps = np.arange(len(segments))
    first = np.ones(len(segments), dtype=bool)
    first[1:] = segments[1:] != segments[:-1]
    begins: NDArray[np.int64] = np.maximum.accumulate(np.where(first, steps, 0)).astype(np.int64)
    return begins


def windows(
    values: NDArray[np.float32], begins: NDArray[np.int64], origins: NDArray[np.int64], window: int
) -> NDArray[np.float32]:
    """
    The last *window* steps up to each origin, the origin's own the last of them.

    Args:
        values: Of shape (T, N, F); NaN where missing.
        begins: Of `segment_begins`.
        origins: Of shape (S,).
        window: W.

    Returns:
        float32 of shape (S, W, N, F); NaN where missing, and before the segment of the origin.
    """
    at = origins[:, None] + np.arange(1 - window, 1)
    cut: NDArray[np.float32] = values[np.maximum(at, 0)]
    cut[at < begins[origins][:, None]] = np.nan
    return cut


def targets(
    values: NDArray[np.float32], segments: NDArray[np.int32], origins: NDArray[np.int64], horizon: int
) -> NDArray[np.float32]:
    """
    What came after each origin.

    Args:
        values: Of shape (T, N, F); NaN where missing.
        segments: Of shape (T,).
        origins: Of shape (S,).
        horizon: H.

    Returns:
        float32 of shape (S, H, N, F); NaN where missing, after the recording, and in another segment.
    """
    at = origins[:, None] + np.arange(1, horizon + 1)
    inside = np.minimum(at, len(values) - 1)
    cut: NDArray[np.float32] = values[inside]
    cut[(at >= len(values)) | (segments[inside] != segments[origins][:, None])] = np.nan
    return cut


def newest(cut: NDArray[np.float32]) -> NDArray[np.float32]:
    """The newest known value of windows (S, W, N, F), as (S, N, F); NaN where a window knows none."""
    latest: NDArray[np.float32] = cut[:, -1].copy()
    for step in range(cut.shape[1] - 2, -1, -1):
        missing = np.isnan(latest)
        if not missing.any():
            break
        latest[missing] = cut[:, step][missing]
    return latest


def filled(values: NDArray[np.float32], begins: NDArray[np.int64]) -> NDArray[np.float32]:
    """
    Every missing value replaced by the newest known one before it in the same segment.

    Args:
        values: Of shape (T, N, F); NaN where missing.
        begins: Of `segment_begins`.

    Returns:
        float32 of shape (T, N, F); NaN where nothing is known in the segment up to the step.
    """
    steps = np.arange(len(values), dtype=np.int32)[:, None]
    carried = np.empty_like(values)
    for service in range(values.shape[1]):  # one at a time: the positions take as much memory as the values
        own = values[:, service]
        at = np.maximum.accumulate(np.where(np.isfinite(own), steps, -1), axis=0)
        found = np.take_along_axis(own, np.maximum(at, 0), axis=0)
        carried[:, service] = np.where(at >= begins[:, None], found, np.nan)
    return carried
