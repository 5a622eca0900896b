"""
What a GPU answers is what a CPU answers. Needs one; CI has none, `docs/testing.md` says how to run it elsewhere.
"""

import numpy as np
import pytest
import torch

from builders.streams import WINDOW, model_of, reference_of, shop, without
from tidecast_predictor.predicting import predict
from tidecast_predictor.scaling import to_model
from tidecast_predictor.streaming import Stream
from tidecast_predictor.windows import past_at

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def close(one, other):
    """On the model's scale; a GPU multiplies with fewer digits."""
    scaled = (to_model(np.moveaxis(forecast, 3, -1)) for forecast in (one, other))
    return np.allclose(*scaled, rtol=5e-3, atol=5e-3, equal_nan=True)


@pytest.mark.parametrize("changes", [{}, {"recurrent": False}, {"periods": ()}], ids=str)
def test_a_window_is_forecast_alike(changes):
    snapshot = shop()
    past = past_at(snapshot, 100, WINDOW)
    here, there = (
        predict(model, past.material(reference_of(snapshot), model.architecture))
        for model in (model_of(**changes), model_of(**changes).to("cuda"))
    )
    assert close(here, there)


def test_a_stream_that_services_leave_and_enter_is_carried_alike():
    snapshot = shop()
    fewer = without(snapshot, 1)

    def carried(model):
        stream = Stream.begin(model, past_at(snapshot, 100, WINDOW), reference_of(snapshot))
        stream = stream.advance(past_at(fewer, 101, WINDOW), reference_of(fewer))
        stream = stream.advance(past_at(snapshot, 102, WINDOW), reference_of(snapshot))
        return stream.forecast(past_at(snapshot, 102, 1))

    assert close(carried(model_of()), carried(model_of().to("cuda")))
