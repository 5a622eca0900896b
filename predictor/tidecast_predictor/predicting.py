"""
From measurements to quantiles in units: what training scores and what inference answers are made by the same steps.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from tidecast_predictor.batch import Batch, Material, assemble
from tidecast_predictor.model import GcnGru
from tidecast_predictor.scaling import tensor_to_units


def predict(model: GcnGru, material: Material) -> NDArray[np.float32]:
    """
    Quantiles in units, within each feature's range.

    Returns:
        float32 of shape (N, B, P, F, H, Q), not falling along Q; NaN where a series was never measured.
    """
    with torch.inference_mode():
        batch = assemble(material, model.architecture).to(model.device)
        scaled = rescale(model.calibrated(model(batch)), batch)
        values = tensor_to_units(scaled, dim=3).cpu().numpy()
    # What rises by less than a rounding error may fall by one on the way through exp.
    return np.maximum.accumulate(values, axis=-1)


def rescale(changes: torch.Tensor, batch: Batch) -> torch.Tensor:
    """From the model's outputs, changes in usual changes, to its scale; (N, B, P, F, H, Q)."""
    return batch.centre_NBPF[..., None, None] + changes * batch.scale_NF[:, None, None, :, None, None]
