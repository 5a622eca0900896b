"""
What each simple method is for, and that it finds it where it is.
"""

import itertools
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from builders.tasks import (
    autoregressive,
    delayed_pair,
    later_error,
    learn,
    origins_of,
    series,
    sines,
    task,
    with_missing,
    with_segments,
)
from tidecast_predictor.baselines import CannotForecast
from tidecast_predictor.baselines.batching import Graph
from tidecast_predictor.baselines.dlinear import DLinearNetwork, carried_forward, dlinear
from tidecast_predictor.baselines.gru import gru
from tidecast_predictor.baselines.history_mean import HistoryMean
from tidecast_predictor.baselines.last_value import LastValue
from tidecast_predictor.baselines.neural import Budget, NeuralMethod, Shape, newest_in
from tidecast_predictor.baselines.seasonal_naive import SeasonalNaive
from tidecast_predictor.baselines.window_mean import WindowMean

NOTHING = np.float32(np.nan)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def hours_pass(monkeypatch):
    """Between any two looks at the clock on the wall."""
    clock = itertools.count(step=3600)
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))


def said(method, values, origin, *, window=3, horizon=2, **about):
    made = series(np.array(values, np.float32)[:, None, None], **about)
    return method.say(made, np.array([origin]), window=window, horizon=horizon)[0, 0, 0]


def test_the_last_value_is_the_newest_that_was_measured():
    assert said(LastValue(), [1, 2, NOTHING, NOTHING, NOTHING, NOTHING], 4).tolist() == [2, 2]


def test_the_last_value_of_another_segment_does_not_count():
    assert np.isnan(said(LastValue(), [1, NOTHING, 3], 1, segments=np.array([0, 1, 1]))).all()


def test_the_window_mean_is_that_of_what_was_measured():
    assert said(WindowMean(), [100, 1, NOTHING, 2, 100], 3).tolist() == [1.5, 1.5]


def test_an_empty_window_leaves_the_last_value():
    assert said(WindowMean(), [5, NOTHING, NOTHING, NOTHING], 3).tolist() == [5, 5]


def test_the_history_mean_is_that_of_all_that_was_measured_up_to_the_origin():
    assert said(HistoryMean(), [100, 1, NOTHING, 2, 1000], 3).tolist() == pytest.approx([103 / 3] * 2)


def test_the_history_mean_is_the_same_whatever_the_order_of_origins():
    made = series(np.arange(8, dtype=np.float32)[:, None, None])
    forecast = HistoryMean().say(made, np.array([5, 1, 3]), window=2, horizon=1)
    assert forecast.ravel().tolist() == [2.5, 0.5, 1.5]


def test_what_was_never_measured_has_no_history_mean():
    assert np.isnan(said(HistoryMean(), [NOTHING, NOTHING, 3], 1)).all()


def test_the_seasonal_naive_forecast_repeats_the_day_before():
    assert said(SeasonalNaive(), [1, 2, 3, 4, 5, 6], 4, step_seconds=21_600.0).tolist() == [2, 3]


def test_beyond_a_day_the_newest_day_known_is_repeated():
    forecast = said(SeasonalNaive(), [1, 2, 3, 4, 5, 6], 3, horizon=5, step_seconds=21_600.0)
    assert forecast.tolist() == [1, 2, 3, 4, 1]


def test_without_a_day_before_the_last_value_is_taken():
    assert said(SeasonalNaive(), [1, 2, 3], 1).tolist() == [2, 2]


def test_a_gap_in_time_does_not_shift_the_hour():
    made = series(np.arange(1.0, 9.0)[:, None, None], step_seconds=21_600.0)
    late = made.times + np.where(np.arange(8) >= 5, 21_600, 0)  # one step was not recorded
    gapped = replace(made, times=late, segments=(np.arange(8) >= 5).astype(np.int32))
    # The target lies at hour 42; a day before, at hour 18, the fourth value was measured.
    assert SeasonalNaive().say(gapped, np.array([5]), window=2, horizon=1).ravel().tolist() == [4.0]


@pytest.mark.parametrize("make", [dlinear, gru], ids=lambda make: make.__name__)
def test_a_network_learns_a_wave(make):
    given = task(sines(6, noise=0.1))
    quick = replace(make(Budget(updates=250, evaluations=5)), learning_rate=5e-3)
    assert later_error(quick, given) < 0.5 * later_error(LastValue(), given)


def test_a_network_learns_from_every_recording():
    low, high = task(sines(4)), task(autoregressive(192))
    high = replace(high, series=replace(high.series, services=("a", "b")))
    fitted = learn(gru(Budget(updates=20, evaluations=2)), low, high)
    assert fitted.standards.knows(low.series)
    assert fitted.standards.knows(high.series)


def test_a_service_not_seen_is_scaled_by_its_own_steps_up_to_the_first_origin():
    fitted = learn(gru(Budget(updates=2, evaluations=1)), task(sines(4)))
    other = series(np.arange(40.0).reshape(-1, 1, 1))
    standard = fitted.standards.of(other, 20)
    assert standard.mean.item() == pytest.approx(10.0)


def test_a_network_of_single_services_refuses_others():
    method = NeuralMethod("own", DLinearNetwork, budget=Budget(updates=2, evaluations=1))
    fitted = learn(method, task(sines(4)))
    with pytest.raises(CannotForecast):
        fitted.forecast(sines(4, services=2), np.array([50]), window=8, horizon=3)
    with pytest.raises(CannotForecast):
        learn(method, task(sines(4)), task(sines(4)))


class Spy(torch.nn.Module):
    """Remembers what it is given."""

    def __init__(self, shape):
        super().__init__()
        self.shape, self.seen, self.taught = shape, [], []
        self.one = torch.nn.Parameter(torch.zeros(1))

    def teach(self, truth, done):
        self.taught.append((truth, done))

    def forward(self, x, graph):
        self.seen.append((x, graph))
        return self.one.expand(len(x), self.shape.horizon, x.shape[2], self.shape.features)


def spied(of, **changes):
    spies = []

    def build(shape):
        spies.append(Spy(shape))
        return spies[0]

    method = NeuralMethod("spy", build, **({"budget": Budget(updates=4, evaluations=2)} | changes))
    return spies, learn(method, of)


def test_a_network_is_given_values_masks_and_the_clock():
    given = task(with_missing(sines(10, features=2), 0.2))
    spies, _ = spied(given)
    (x, graph), shape = spies[0].seen[0], spies[0].shape
    assert shape.clock == 2
    assert x.shape[-1] == shape.channels == 6
    assert (x[..., :2][x[..., 2:4] == 0] == 0).all()
    assert float(x[..., 2:4].mean()) == pytest.approx(0.8, abs=0.05)
    assert torch.allclose(x[..., 4] ** 2 + x[..., 5] ** 2, torch.ones(()))
    assert isinstance(graph, Graph)


@pytest.mark.parametrize(("days", "clock"), [(1, 0), (4, 2), (14, 4)])
def test_a_clock_is_read_that_the_training_part_can_tell(days, clock):
    spies, _ = spied(task(sines(days)))
    assert spies[0].shape.clock == clock


def test_windows_do_not_reach_into_another_segment():
    spies, fitted = spied(task(with_segments(sines(4), 24)))
    spies[0].seen.clear()
    fitted.forecast(fitted.standards.known[0][0], np.array([26]), window=8, horizon=3)
    masks = spies[0].seen[0][0][0, :, 0, 1]
    assert masks.tolist() == [0] * 5 + [1] * 3


def test_an_inductive_network_is_built_without_the_services():
    spies, _ = spied(task(delayed_pair()), inductive=True)
    assert spies[0].shape.services == 0
    assert spies[0].shape.calls.shape == (2, 0)
    assert spies[0].seen[0][1].calls.shape == (2, 2)


def test_a_network_that_decodes_is_taught_the_truth():
    spies, _ = spied(task(sines(4)))
    assert [done for _, done in spies[0].taught] == [0, 0.25, 0.5, 0.75]
    assert spies[0].taught[0][0].shape[1:] == (3, 3, 1)


def test_time_ends_a_training():
    spies, _ = spied(task(sines(4)), budget=Budget(updates=10**9, seconds=0.2, evaluations=10**9, patience=10**9))
    assert 0 < len(spies[0].taught) < 10**6


def test_what_runs_beside_a_training_does_not_shorten_it(hours_pass):  # noqa: ARG001 - a busy host
    spies, _ = spied(task(sines(4)))
    assert [done for _, done in spies[0].taught] == [0, 0.25, 0.5, 0.75]


def test_a_training_that_does_not_get_better_ends():
    spies, _ = spied(task(sines(4)), learning_rate=0.0, budget=Budget(updates=100, evaluations=100, patience=3))
    assert len(spies[0].taught) == 1 + 3


def test_the_best_state_on_validation_is_kept():
    # Everything that the network says is one number; on validation it should be above that of training.
    values = np.concatenate([np.zeros(60), np.full(40, 4.0)]) + np.random.default_rng(0).normal(0, 1, 100)
    given = task(series(values[:, None, None], step_seconds=60.0))
    spies, _ = spied(given, learning_rate=0.5, budget=Budget(updates=40, batch=4, evaluations=40, patience=40))
    assert spies[0].one.item() > 0.3


def test_the_newest_value_is_that_of_the_last_step_measured():
    values = torch.tensor([1.0, 2.0, 0.0])
    masks = torch.tensor([1.0, 1.0, 0.0])
    x = torch.stack([values, masks], dim=-1)[None, :, None]
    assert newest_in(x, 1).item() == 2.0
    assert newest_in(torch.zeros_like(x), 1).item() == 0.0


def test_gaps_are_filled_with_the_value_before():
    values, masks = (torch.tensor(row)[None, :, None, None] for row in ([0.0, 3.0, 0.0, 5.0], [0.0, 1.0, 0.0, 1.0]))
    assert carried_forward(values, masks).flatten().tolist() == [0, 3, 3, 5]


@pytest.mark.parametrize(("window", "kernel"), [(60, 25), (25, 25), (12, 11), (7, 7), (1, 1)])
def test_the_moving_average_fits_the_window(window, kernel):
    nothing = torch.zeros((2, 0), dtype=torch.int64), torch.zeros(0)
    network = DLinearNetwork(Shape(0, 2, 1, window, 3, 60.0, *nothing))
    assert network.kernel == kernel
    assert network(torch.ones(2, window, 4, 2), None).shape == (2, 3, 4, 1)


def test_origins_of_segments_do_not_reach_over_their_ends():
    assert origins_of(with_segments(sines(1), 8), 0, 48, horizon=3).max() == 44
