"""
Bands for methods that say one number: what they erred by on validation, in deviations of each series.

The residual quantiles of a feature and a step ahead, over all services together; the simplest form of split conformal
prediction (Vovk et al. 2005; Lei et al., arXiv:1604.04173), with a side of its own for each quantile.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tidecast_predictor.baselines.method import QUANTILES


@dataclass(frozen=True, slots=True, eq=False)
class Residuals:
    """
    What came true less what was said, as deviations.

    Attributes:
        quantiles: float32 of shape (F, H, Q), not falling along Q; NaN where nothing came true, None if nothing was said.
    """

    quantiles: NDArray[np.float32] | None

    @classmethod
    def of(cls, errors: NDArray[np.float32], *, centred: bool) -> "Residuals":
        """
        Learn from errors.

        Args:
            errors: What came true less what was said, in deviations, (R, F, H); NaN where either is missing.
            centred: Whether what was said is the median already; otherwise the median of the errors is added to it.
        """
        if not len(errors):
            return cls(None)
        features, horizon = errors.shape[1:]
        quantiles = np.full((features, horizon, len(QUANTILES)), np.nan)
        for feature in range(features):
            for step in range(horizon):
                known = errors[:, feature, step]
                known = known[np.isfinite(known)]
                if known.size:
                    quantiles[feature, step] = np.quantile(known.astype(np.float64), QUANTILES)
        if centred:
            middle = QUANTILES.index(0.5)
            quantiles[..., middle] = 0.0
            quantiles[..., :middle] = np.minimum(quantiles[..., :middle], 0.0)
            quantiles[..., middle + 1 :] = np.maximum(quantiles[..., middle + 1 :], 0.0)
        # A feature that was missing all through validation has no band: one without width would claim certainty.
        quantiles[np.isnan(quantiles).any(axis=-1)] = np.nan
        return cls(quantiles.astype(np.float32))

    def around(self, mean: NDArray[np.float32], deviation: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """
        Quantiles of forecasts in units.

        Args:
            mean: What is said, (S, N, F, H).
            deviation: Of each series in units, (N, F).

        Returns:
            float32 of shape (S, N, F, H, Q); NaN where there is no band.
        """
        if self.quantiles is None:
            return None
        return mean[..., None] + self.quantiles * deviation[:, :, None, None]
