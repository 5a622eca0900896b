from dataclasses import replace

import numpy as np
import pytest
import torch

from builders import tasks
from tidecast_predictor.baselines import CannotForecast
from tidecast_predictor.baselines import graph_wavenet as module
from tidecast_predictor.baselines.graph_wavenet import (
    GraphWaveNet,
    gaps_for,
    graph_wavenet,
    graph_wavenet_fixed,
    receptive_field,
)
from tidecast_predictor.baselines.neural import Budget, Graph, Shape

TINY = Budget(updates=25, evaluations=2)


def _graph(services: int, calls: tuple[tuple[int, int], ...]) -> Graph:
    return Graph(torch.tensor(calls, dtype=torch.int64).reshape(-1, 2).T, torch.ones(len(calls)), services)


def _shape(graph: Graph, *, channels: int = 2, features: int = 1, window: int = 12, horizon: int = 12) -> Shape:
    return Shape(graph.services, channels, features, window, horizon, 60.0, graph.calls, graph.weights)


CHAIN = _graph(3, ((0, 1), (1, 2)))


def test_the_papers_configuration_has_its_authors_parameters_less_those_they_never_read() -> None:
    network = GraphWaveNet(_shape(_graph(207, ())))
    theirs, behind_the_graph, behind_the_last_layer = 309_400, 8 * (32 * 32 + 32), (7 * 32 + 1) * 32 + 64
    assert sum(each.numel() for each in network.parameters()) == theirs - behind_the_graph - behind_the_last_layer


def test_a_window_up_to_thirteen_steps_has_the_papers_gaps() -> None:
    assert gaps_for(12) == gaps_for(13) == (1, 2, 1, 2, 1, 2, 1, 2)


@pytest.mark.parametrize(("window", "layers"), [(24, 8), (60, 10), (120, 12)])
def test_a_longer_window_gets_the_fewest_layers_that_see_all_of_it(window: int, layers: int) -> None:
    gaps = gaps_for(window)
    assert len(gaps) == layers
    assert receptive_field(gaps) >= window > receptive_field(gaps) // 2


@pytest.mark.parametrize("window", [1, 12, 24, 60, 120])
def test_a_window_of_any_length_is_forecast_from(window: int) -> None:
    network = GraphWaveNet(_shape(CHAIN, channels=7, features=2, window=window, horizon=5), channels=4)
    assert network(torch.randn(2, window, 3, 7), CHAIN).shape == (2, 5, 3, 2)


@pytest.mark.parametrize("window", [12, 24, 60, 120])
def test_every_step_of_the_window_is_seen(window: int) -> None:
    network = GraphWaveNet(_shape(CHAIN, window=window), channels=4).eval()
    x = torch.randn(1, window, 3, 2, requires_grad=True)
    network(x, CHAIN).sum().backward()
    assert (x.grad.abs().sum(dim=(0, 2, 3)) > 0).all()


def test_without_the_learnt_adjacency_a_service_hears_only_those_it_shares_calls_with() -> None:
    graph = _graph(4, ((0, 1), (2, 3)))
    network = GraphWaveNet(_shape(graph), adaptive=False, channels=4).eval()
    x = torch.randn(1, 12, 4, 2, requires_grad=True)
    network(x, graph)[:, :, 1].sum().backward()
    heard = x.grad.abs().sum(dim=(0, 1, 3)) > 0
    assert heard.tolist() == [True, True, False, False]


def test_the_learnt_adjacency_reaches_services_without_any_call() -> None:
    graph = _graph(3, ())
    network = GraphWaveNet(_shape(graph), channels=4).eval()
    x = torch.randn(1, 12, 3, 2, requires_grad=True)
    network(x, graph)[:, :, 0].sum().backward()
    assert (x.grad.abs().sum(dim=(0, 1, 3)) > 0).all()


def test_working_layers_out_again_to_save_memory_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(2, 24, 3, 2)
    gradients = []
    for remembered in (10**9, 0):
        monkeypatch.setattr(module, "_REMEMBERED", remembered)
        torch.manual_seed(3)
        network = GraphWaveNet(_shape(CHAIN, window=24), channels=4)
        network(x, CHAIN).square().mean().backward()
        gradients.append([each.grad for each in network.parameters()])
    for kept, again in zip(*gradients, strict=True):
        torch.testing.assert_close(kept, again)


@pytest.mark.parametrize("method", [graph_wavenet, graph_wavenet_fixed])
def test_a_callee_is_forecast_from_its_callers_past(method) -> None:
    of = tasks.delayed_pair()
    task = tasks.task(of, window=2, horizon=1)
    origins = tasks.later_origins(task)
    quick = replace(method(TINY), learning_rate=0.01)
    fitted = quick.fit([task], seed=0, progress=lambda _: None)
    said = fitted.forecast(of, origins, window=2, horizon=1).mean
    last = of.values[origins][..., None]
    callees = [1, 3]
    errors = [np.abs(each - tasks.truth(of, origins, 1))[:, callees].mean() for each in (said, last)]
    assert errors[0] < 0.5 * errors[1]


def test_other_services_are_refused_by_the_learnt_adjacency_and_forecast_without_it() -> None:
    known, other = tasks.sines(days=2), tasks.sines(days=2, services=2)
    task = tasks.task(known)
    short = Budget(updates=2, evaluations=1)
    with pytest.raises(CannotForecast):
        graph_wavenet(short).fit([task], seed=0, progress=lambda _: None).forecast(
            other, np.array([60]), window=8, horizon=3
        )
    fitted = graph_wavenet_fixed(short).fit([task, tasks.task(other)], seed=0, progress=lambda _: None)
    unseen = fitted.forecast(tasks.sines(days=2, services=5), np.array([60]), window=8, horizon=3)
    assert np.isfinite(unseen.mean).all()


def test_several_recordings_cannot_share_a_learnt_adjacency() -> None:
    of = [tasks.task(tasks.sines(days=2)), tasks.task(tasks.sines(days=2, services=2))]
    with pytest.raises(CannotForecast):
        graph_wavenet(TINY).fit(of, seed=0, progress=lambda _: None)
