"""
From measurements to quantiles in units: what training scores and what inference answers are made by the same steps.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tidecast_predictor.batch import Material, OriginInputs, assemble
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
        return in_units(model, model(batch), batch)


def in_units(model: GcnGru, changes: Tensor, inputs: OriginInputs) -> NDArray[np.float32]:
    """Quantiles in units, as `predict` returns them, of what *model* made of *inputs*."""
    scaled = rescale(model.calibrated(changes), inputs)
    values = tensor_to_units(scaled, dim=3).cpu().numpy()
    # What rises by less than a rounding error may fall by one on the way through exp.
    return np.maximum.accumulate(values, axis=-1)


def rescale(changes: Tensor, inputs: OriginInputs) -> Tensor:
    """From the model's outputs, changes in usual changes, to its scale; (N, B, P, F, H, Q)."""
    return inputs.centre_NBPF[..., None, None] + changes * inputs.scale_NF[:, None, None, :, None, None]
