"""
T-GCN: its size, what it hears of neighbours, and that it learns from them.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from builders.networks import answer, graph, inputs, of_shape, parameters, shuffled
from builders.tasks import delayed_pair, error, later_origins, task
from tidecast_predictor.baselines.neural import Budget
from tidecast_predictor.baselines.t_gcn import TGcn, normalised, t_gcn

CHAIN = graph(((0, 1), (1, 2)), services=4)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small():
    torch.manual_seed(0)
    return TGcn(of_shape(channels=3, features=2, horizon=5), hidden=8).eval()


def test_it_has_as_many_weights_as_the_authors_count_for_speeds_alone():
    # Two convolutions of 1 + 64 numbers with their biases, and a linear map to 3 steps.
    assert parameters(TGcn(of_shape(channels=1, features=1, horizon=3))) == 65 * 128 + 128 + 65 * 64 + 64 + 64 * 3 + 3


def test_a_forecast_has_every_step_service_and_feature():
    assert answer(small(), inputs(samples=2, services=4), CHAIN).shape == (2, 5, 4, 2)


def test_the_order_of_services_does_not_matter():
    x, network = inputs(services=4), small()
    order = [2, 0, 3, 1]
    assert torch.allclose(
        answer(network, x[:, :, order], shuffled(CHAIN, order)), answer(network, x, CHAIN)[:, :, order], atol=1e-6
    )


def test_callers_and_callees_hear_each_other_and_strangers_do_not():
    x, network = inputs(services=4, steps=1), small()
    louder = x.clone()
    louder[:, :, 0] += 3
    heard = (answer(network, louder, CHAIN) != answer(network, x, CHAIN)).any(dim=(0, 1, 3))
    assert heard.tolist() == [True, True, False, False]


def test_without_calls_a_service_hears_itself_alone():
    x, network, alone = inputs(services=4), small(), graph((), services=4)
    louder = x.clone()
    louder[:, :, 0] += 3
    heard = (answer(network, louder, alone) != answer(network, x, alone)).any(dim=(0, 1, 3))
    assert heard.tolist() == [True, False, False, False]


def test_the_matrix_is_the_papers_for_weights_that_are_affinities():
    affinities = np.array([[0, 0.5, 0], [0.5, 0, 0.2], [0, 0.2, 0]])
    whole = affinities + np.eye(3)
    scale = np.diag(whole.sum(1) ** -0.5)
    given = graph(((0, 1), (1, 0), (1, 2)), services=3, weights=(0.5, 0.5, 0.2))
    assert np.allclose(normalised(given).to_dense().numpy(), scale @ whole @ scale, atol=1e-6)


def test_a_service_hears_itself_no_less_where_all_calls_are_a_hundred_times_more():
    few, many = (graph(((0, 1), (1, 2)), services=3, weights=(10.0 * by, 20.0 * by)) for by in (1, 100))
    assert torch.allclose(normalised(few).to_dense(), normalised(many).to_dense())


def test_what_a_callee_repeats_after_its_caller_is_learnt():
    given = replace(task(delayed_pair()), window=4, horizon=1)
    method = t_gcn(Budget(updates=250, seconds=60.0, batch=32, evaluations=5))
    origins = later_origins(given)
    fitted = replace(method, learning_rate=0.02).fit([given], seed=0, progress=lambda _: None)
    said = fitted.forecast(given.series, origins, window=4, horizon=1).mean
    last = given.series.values[origins][..., None]
    callees = [1, 3]
    of_callees = replace(given.series, values=given.series.values[:, callees])
    assert error(said[:, callees], of_callees, origins) < 0.6 * error(last[:, callees], of_callees, origins)
