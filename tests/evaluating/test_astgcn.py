from dataclasses import replace

import numpy as np
import pytest
import torch

from builders import tasks
from tidecast_predictor.baselines import CannotForecast
from tidecast_predictor.baselines.astgcn import Astgcn, SpatialAttention, TemporalAttention, astgcn, chebyshev
from tidecast_predictor.baselines.neural import Budget, Graph, Shape

TINY = Budget(updates=40, batch=16, evaluations=2)


def _graph(services: int, calls: tuple[tuple[int, int], ...], weight: float = 1.0) -> Graph:
    pairs = torch.tensor(calls, dtype=torch.int64).reshape(-1, 2).T
    return Graph(pairs, torch.full((len(calls),), weight), services)


def _shape(graph: Graph, *, channels: int = 2, features: int = 1, window: int = 12, horizon: int = 12) -> Shape:
    return Shape(graph.services, channels, features, window, horizon, 60.0, graph.calls, graph.weights)


CHAIN = _graph(3, ((0, 1), (1, 2)))


def test_the_papers_configuration_has_its_authors_number_of_parameters() -> None:
    network = Astgcn(_shape(_graph(307, ()), channels=1))
    assert sum(each.numel() for each in network.parameters()) == 450_031


@pytest.mark.parametrize("window", [1, 12, 24, 60, 120])
def test_a_window_of_any_length_is_forecast_from(window: int) -> None:
    network = Astgcn(_shape(CHAIN, channels=7, features=2, window=window, horizon=5), filters=4)
    assert network(torch.randn(2, window, 3, 7), CHAIN).shape == (2, 5, 3, 2)


def test_polynomials_follow_the_recurrence_on_a_laplacian_within_one() -> None:
    first, second, third = chebyshev(_shape(CHAIN), 3).double()
    assert torch.equal(first, torch.eye(3, dtype=torch.float64))
    values = torch.linalg.eigvalsh(second)
    torch.testing.assert_close(values[[0, -1]], torch.tensor([-1.0, 1.0], dtype=torch.float64), atol=1e-6, rtol=0)
    torch.testing.assert_close(third, 2 * second @ second - first, atol=1e-6, rtol=0)


def test_neighbours_are_the_same_whoever_calls_and_however_often() -> None:
    turned = _graph(3, ((1, 0), (2, 1)), weight=250.0)
    assert torch.equal(chebyshev(_shape(CHAIN), 3), chebyshev(_shape(turned), 3))


def test_without_any_call_no_service_is_a_neighbour() -> None:
    polynomials = chebyshev(_shape(_graph(3, ())), 3)
    assert torch.equal(polynomials, torch.eye(3) * torch.tensor([1.0, -1.0, 1.0])[:, None, None])


def test_a_service_that_calls_itself_is_not_its_own_neighbour() -> None:
    assert torch.equal(chebyshev(_shape(_graph(2, ((0, 0),))), 3), chebyshev(_shape(_graph(2, ())), 3))


def test_attentions_add_up_to_one_over_what_is_listened_to() -> None:
    x = torch.randn(2, 3, 12, 4)
    steps = TemporalAttention(4, 3, 12)(x)
    services = SpatialAttention(4, 3, 12)(x, steps)
    torch.testing.assert_close(steps.sum(dim=1), torch.ones(2, 12))
    torch.testing.assert_close(services.sum(dim=1), torch.ones(2, 3))


def test_the_convolution_hears_neighbours_and_no_stranger() -> None:
    graph = _graph(5, ((0, 1), (1, 2), (2, 3)))
    network = Astgcn(_shape(graph), blocks=1, filters=4)
    for name, weights in network.named_parameters():
        if ".steps." in name or ".services." in name:
            torch.nn.init.zeros_(weights)  # everybody listens to everybody alike: what is left is the graph
    x = torch.randn(1, 12, 5, 2, requires_grad=True)
    network(x, graph)[:, :, 0].sum().backward()
    heard = x.grad.abs().sum(dim=(0, 1, 3)) > 0
    assert heard.tolist() == [True, True, True, False, False]


def test_a_callee_is_forecast_from_its_callers_past() -> None:
    of = tasks.delayed_pair()
    task = tasks.task(of, window=2, horizon=1)
    origins = tasks.later_origins(task)
    quick = replace(astgcn(TINY), learning_rate=0.01)
    fitted = quick.fit([task], seed=0, progress=lambda _: None)
    said = fitted.forecast(of, origins, window=2, horizon=1).mean
    last = of.values[origins][..., None]
    callees = [1, 3]
    errors = [np.abs(each - tasks.truth(of, origins, 1))[:, callees].mean() for each in (said, last)]
    assert errors[0] < 0.5 * errors[1]


def test_other_services_are_refused() -> None:
    fitted = astgcn(Budget(updates=2, evaluations=1)).fit(
        [tasks.task(tasks.sines(days=2))], seed=0, progress=lambda _: None
    )
    with pytest.raises(CannotForecast):
        fitted.forecast(tasks.sines(days=2, services=2), np.array([60]), window=8, horizon=3)


def test_several_recordings_cannot_share_weights_of_single_services() -> None:
    of = [tasks.task(tasks.sines(days=2)), tasks.task(tasks.sines(days=2, services=2))]
    with pytest.raises(CannotForecast):
        astgcn(TINY).fit(of, seed=0, progress=lambda _: None)
