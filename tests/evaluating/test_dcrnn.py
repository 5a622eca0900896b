"""
DCRNN: its size, where its walks lead, how its decoder is taught, and that it learns from neighbours.
"""

from dataclasses import replace

import pytest
import torch

from builders.networks import answer, graph, inputs, of_shape, parameters, shuffled
from builders.tasks import delayed_pair, error, later_origins, task
from tidecast_predictor.baselines.dcrnn import Dcrnn, Walks, dcrnn, truth_chance
from tidecast_predictor.baselines.neural import Budget

CHAIN = graph(((0, 1), (1, 2), (2, 3)), services=5)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small(**changes):
    torch.manual_seed(0)
    return Dcrnn(of_shape(**({"channels": 3, "features": 2, "horizon": 4} | changes)), hidden=8).eval()


def test_it_has_as_many_weights_as_the_authors_count_on_their_first_recording():
    network = Dcrnn(of_shape(channels=2, features=1, horizon=12))
    assert parameters(network) == 372_353


def test_a_forecast_has_every_step_service_and_feature():
    assert answer(small(), inputs(samples=2, services=5), CHAIN).shape == (2, 4, 5, 2)


def test_the_order_of_services_does_not_matter():
    x, network = inputs(services=5), small()
    order = [2, 0, 4, 3, 1]
    assert torch.allclose(
        answer(network, x[:, :, order], shuffled(CHAIN, order)), answer(network, x, CHAIN)[:, :, order], atol=1e-6
    )


def test_who_calls_and_who_is_called_differ():
    x, network = inputs(services=5), small()
    turned = graph(((1, 0), (2, 1), (3, 2)), services=5)
    assert not torch.allclose(answer(network, x, turned), answer(network, x, CHAIN), atol=1e-4)


def test_without_calls_a_service_hears_itself_alone():
    x, network, alone = inputs(services=5), small(), graph((), services=5)
    louder = x.clone()
    louder[:, :, 0] += 3
    heard = (answer(network, louder, alone) != answer(network, x, alone)).any(dim=(0, 1, 3))
    assert heard.tolist() == [True, False, False, False, False]


def test_a_walk_goes_by_the_share_of_each_call():
    walks = Walks.on(graph(((0, 1), (0, 2), (3, 2)), services=4, weights=(3.0, 1.0, 4.0)))
    assert walks.callees_NN.to_dense()[0].tolist() == [0, 0.75, 0.25, 0]
    assert torch.allclose(walks.callers_NN.to_dense()[2], torch.tensor([0.2, 0, 0, 0.8]))


def test_walks_are_the_powers_of_a_step_in_both_directions():
    walks = Walks.on(CHAIN)
    by_walk = inputs(samples=5, steps=5, services=2, channels=3, seed=1)[0]  # (walk, B, X) of what one service says
    said = torch.zeros(5, 2, 15)
    said[2] = by_walk.permute(1, 0, 2).flatten(1)  # only the service in the middle of the chain says anything
    heard = walks.diffuse(said)
    where = {2: 0, 1: 1, 0: 2, 3: 3}  # it itself; its caller walks down to it, and so does its caller's caller
    assert all(torch.allclose(heard[service], by_walk[walk]) for service, walk in where.items())
    assert not heard[4].any()


def test_the_truth_is_given_ever_more_rarely():
    chances = [truth_chance(done / 10) for done in range(11)]
    assert chances == sorted(chances, reverse=True)
    assert chances[0] > 0.99
    assert chances[-1] < 0.01


def test_in_learning_the_decoder_goes_on_from_the_truth_and_otherwise_from_what_it_said():
    x, network, truth = inputs(services=5), small(), torch.full((3, 4, 5, 2), 5.0)
    untaught = answer(network, x, CHAIN)
    network.train()
    network.teach(truth, 0.0)
    taught = answer(network, x, CHAIN)
    assert torch.equal(taught[:, 0], untaught[:, 0])
    assert not torch.allclose(taught[:, 1], untaught[:, 1])
    network.teach(truth, 1.0)
    assert torch.equal(answer(network, x, CHAIN), untaught)


def test_what_was_taught_before_is_not_remembered():
    x, network = inputs(services=5), small()
    untaught = answer(network, x, CHAIN)
    network.teach(torch.full((3, 4, 5, 2), 5.0), 0.0)
    assert torch.equal(answer(network, x, CHAIN), untaught)
    network.train()
    assert torch.equal(answer(network, x, CHAIN), untaught)


def test_what_a_callee_repeats_after_its_caller_is_learnt():
    given = replace(task(delayed_pair()), window=3, horizon=1)
    method = replace(
        dcrnn(Budget(updates=120, seconds=60.0, batch=32, evaluations=4)), build=lambda shape: Dcrnn(shape, hidden=12)
    )
    origins = later_origins(given)
    fitted = method.fit([given], seed=0, progress=lambda _: None)
    said = fitted.forecast(given.series, origins, window=3, horizon=1).mean
    last = given.series.values[origins][..., None]
    callees = [1, 3]
    of_callees = replace(given.series, values=given.series.values[:, callees])
    assert error(said[:, callees], of_callees, origins) < 0.6 * error(last[:, callees], of_callees, origins)
