"""
The clock as the model sees it: where a moment lies within the day and the week.

Each period gives the sine and cosine of its angle and of twice that angle; the second harmonic lets a linear layer
tell two peaks a day from one.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

HARMONICS = 2


def width(periods: Sequence[int]) -> int:
    """How many numbers encode a moment."""
    return 2 * HARMONICS * len(periods)


def encode(times: Tensor, periods: Sequence[int]) -> Tensor:
    """
    Encode moments.

    Args:
        times: Unix seconds, int64 of any shape.
        periods: In seconds.

    Returns:
        float32 of shape (*times.shape, width(periods)), each within [-1, 1].
    """
    waves = []
    for period in periods:
        angle = (times % period).double() * (2 * torch.pi / period)
        for harmonic in range(1, HARMONICS + 1):
            waves += [torch.sin(harmonic * angle), torch.cos(harmonic * angle)]
    if not waves:
        return torch.zeros((*times.shape, 0))
    return torch.stack(waves, dim=-1).float()
