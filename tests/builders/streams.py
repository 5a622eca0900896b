"""
A small shop whose window moves on, and models for it.
"""

from dataclasses import replace

import numpy as np

from builders.recordings import recording, untrained
from tidecast_contract.features import FEATURES
from tidecast_predictor.windows import past_at

WINDOW = 12
CALLS = {"calls": np.array([[0, 1, 0], [1, 2, 3]]), "rates": np.array([5, 3, 1], dtype=np.float32)}


def shop(steps=120, missing=0.2):
    """All features of four services, which call each other; some measurements are missing."""
    chance = np.random.default_rng(3)
    requests = 50 * np.exp(chance.normal(0, 0.1, (steps, 4)).cumsum(axis=0))
    values = (requests[..., None] * chance.uniform(0.1, 0.2, (steps, 4, len(FEATURES)))).astype(np.float32)
    values[..., 3] = chance.uniform(0, 0.2, (steps, 4))
    values[chance.random(values.shape) < missing] = np.nan
    return replace(recording(requests, **CALLS), values=values)


def model_of(window_steps=WINDOW, **changes):
    return untrained(window_steps=window_steps, **changes).model


def reference_of(snapshot):
    return past_at(snapshot, snapshot.steps - 1, WINDOW).reference(4, untrained().pool)


def without(snapshot, *gone):
    """The recording without some services, their calls included."""
    kept = [index for index in range(len(snapshot.services)) if index not in gone]
    both = np.isin(snapshot.calls, kept).all(axis=0)
    return replace(
        snapshot,
        services=tuple(snapshot.services[index] for index in kept),
        values=snapshot.values[:, kept],
        calls=np.searchsorted(kept, snapshot.calls[:, both]),
        rates=snapshot.rates[both],
    )
