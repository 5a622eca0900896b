"""
STID: its size, which vectors a moment has, and that it is about the services it has seen.
"""

import math
from dataclasses import replace

import pytest
import torch

from builders.networks import answer, graph, inputs, of_shape, parameters
from builders.tasks import error, later_origins, sines, task
from tidecast_predictor.baselines import CannotForecast
from tidecast_predictor.baselines.neural import Budget
from tidecast_predictor.baselines.stid import Stid, slot, stid

NOBODY = graph((), services=4)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def built(**changes):
    torch.manual_seed(0)
    return Stid(of_shape(**({"services": 4, "channels": 8, "features": 2} | changes)), width=8).eval()


def test_it_has_as_many_weights_as_the_authors_count_on_pems04():
    # Theirs reads 3 numbers a step: the flow and the two clocks. Here the flow, its mask and four of the clocks.
    network = Stid(of_shape(services=307, channels=6, features=1, window=12, horizon=12))
    assert parameters(network) - 3 * 12 * 32 == 121_068


def test_a_forecast_has_every_step_service_and_feature():
    assert answer(built(), inputs(samples=2, channels=8), NOBODY).shape == (2, 3, 4, 2)


def test_services_do_not_know_each_other():
    x, network = inputs(channels=8), built()
    louder = x.clone()
    louder[:, :, 0] += 3
    heard = (answer(network, louder, NOBODY) != answer(network, x, NOBODY)).any(dim=(0, 1, 3))
    assert heard.tolist() == [True, False, False, False]


def test_each_service_has_a_vector_of_its_own():
    alike = inputs(services=1, channels=8).expand(-1, -1, 4, -1)
    said = answer(built(), alike, NOBODY)
    assert len({tuple(of_one.flatten().tolist()) for of_one in said.unbind(2)}) == 4


@pytest.mark.parametrize("count", [1, 7, 48, 288])
def test_every_part_of_a_period_begins_its_own_slot(count):
    turns = 2 * math.pi * torch.arange(count, dtype=torch.float64) / count
    assert slot(turns.sin().float(), turns.cos().float(), count).tolist() == list(range(count))


@pytest.mark.parametrize(("channels", "vectors"), [(4, []), (6, [48]), (8, [48, 7])])
def test_only_periods_that_the_recording_tells_have_vectors(channels, vectors):
    network = built(channels=channels, step_seconds=1800.0)
    assert [len(of) for of in network.moments] == vectors


def test_the_time_of_day_is_that_of_the_newest_step():
    network = built(channels=6)
    x = inputs(channels=6)
    network.window.weight.data.zero_()
    earlier, later = x.clone(), x.clone()
    earlier[:, :-1, :, 4:] *= -1
    later[:, -1, :, 4:] *= -1
    assert torch.equal(answer(network, earlier, NOBODY), answer(network, x, NOBODY))
    assert not torch.allclose(answer(network, later, NOBODY), answer(network, x, NOBODY))


def test_it_does_not_forecast_services_it_has_not_seen():
    given, budget = task(sines(2)), Budget(updates=1, seconds=60.0, batch=2, evaluations=1)
    fitted = stid(budget).fit([given], seed=0, progress=lambda _: None)
    others = replace(given.series, services=("new", "newer", "newest"))
    with pytest.raises(CannotForecast, match="others"):
        fitted.forecast(others, later_origins(given), window=8, horizon=3)


def test_a_season_is_learnt():
    given = task(sines(8))
    origins = later_origins(given)
    fitted = stid(Budget(updates=200, seconds=60.0, batch=32, evaluations=5)).fit([given], seed=0, progress=print)
    said = fitted.forecast(given.series, origins, window=8, horizon=3).mean
    last = given.series.values[origins][..., None].repeat(3, axis=-1)
    assert error(said, given.series, origins) < 0.8 * error(last, given.series, origins)
