"""
From measurements to quantiles in units: what training scores and what inference answers are made by the same steps.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tidecast_predictor.batch import Material, OriginInputs, assemble
from tidecast_predictor.model import Answer, GcnGru
from tidecast_predictor.scaling import tensor_to_units


def predict(model: GcnGru, material: Material) -> NDArray[np.float32]:
    """
    Quantiles in units, within each feature's range.

    Returns:
        float32 of shape (N, B, P, F, H, Q), not falling along Q; NaN where a series was never measured.
    """
    with torch.inference_mode():
        batch = assemble(material, model.architecture).to(model.device)
        return in_units(on_scale(model, model(batch), batch))


def on_scale(model: GcnGru, answer: Answer, inputs: OriginInputs) -> Tensor:
    """Calibrated quantiles on the model's scale, (N, B, P, F, H, Q), of what *model* made of *inputs*."""
    return rescale(model.calibrated(answer, inputs), inputs)


def in_units(quantiles: Tensor) -> NDArray[np.float32]:
    """From quantiles on the model's scale to those that `predict` returns."""
    values = tensor_to_units(quantiles, dim=3).cpu().numpy()
    # What rises by less than a rounding error may fall by one on the way through exp.
    return np.maximum.accumulate(values, axis=-1)


def rescale(changes: Tensor, inputs: OriginInputs) -> Tensor:
    """From the model's outputs, changes in usual changes, to its scale; (N, B, P, F, H, Q)."""
    return inputs.centre_NBPF[..., None, None] + changes * inputs.scale_NF[:, None, None, :, None, None]
