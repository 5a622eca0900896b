"""
How a service usually behaves: what serving takes from samples of its history is what training takes from all of it.
"""

import numpy as np
import pytest

from tidecast_contract.features import FEATURES
from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot
from tidecast_predictor.recording import Recording
from tidecast_predictor.windows import Past, past_at, recorded

HORIZON = 30


def rhythmic(period, *, hours=7 * 24):
    """Minutes of a load that comes round every so often: three times as high in a quarter of each round."""
    steps = 60 * hours
    load = np.where(np.arange(steps) % period < period / 4, 300.0, 100.0)
    values = np.repeat(load[:, None, None], len(FEATURES), axis=2).astype(np.float32)
    services = (ServiceId("shop", "Deployment", "jobs"),)
    nothing = np.zeros((2, 0), np.int64), np.zeros(0, np.float32)
    return Snapshot(steps * 60, 60, services, values, *nothing)


def served_and_trained(snapshot):
    return past_at(snapshot, snapshot.steps - 1, 8).reference(HORIZON), Recording.of(snapshot).reference(
        snapshot.steps, HORIZON
    )


# A week in 192 even parts has 52 minutes in each: these rounds would be met in one of their phases alone.
@pytest.mark.parametrize("period", [4, 13, 26, 52])
def test_what_comes_round_is_met_in_all_of_its_phases(period):
    served, trained = served_and_trained(rhythmic(period))

    np.testing.assert_allclose(served.median, trained.median)
    np.testing.assert_allclose(served.spread, trained.spread, rtol=0.2)
    np.testing.assert_allclose(served.change, trained.change, rtol=0.2)


@pytest.mark.parametrize("hours", [4, 24])
def test_of_a_short_history_all_is_sampled(hours):
    served, trained = served_and_trained(rhythmic(52, hours=hours))

    np.testing.assert_allclose(served.spread, trained.spread, rtol=0.25)
    np.testing.assert_allclose(served.change, trained.change, rtol=0.25)


@pytest.mark.parametrize("horizon", [30, 194, 360])
@pytest.mark.parametrize("held", [1, 100, 193, 200, 300, 500, 800])
def test_it_looks_at_the_past_a_few_times_whatever_is_held_and_however_far_it_forecasts(held, horizon):
    snapshot = rhythmic(52, hours=14)
    looks = []

    def lookup(services, times):
        looks.append(times)
        values = recorded(snapshot)(services, times)
        values[times <= snapshot.end_time - held * 60] = np.nan
        return values

    past = past_at(snapshot, snapshot.steps - 1, 1)
    Past(past.snapshot, lookup).reference(horizon)

    assert len(looks) <= 12
