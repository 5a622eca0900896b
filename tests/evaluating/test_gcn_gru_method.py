"""
The GCN-GRU as a method among others.
"""

import itertools
import time
from dataclasses import replace

import numpy as np
import pytest

from builders.tasks import changed_from, delayed_pair, error, later_origins, series, sines, task, with_segments
from tidecast_predictor.baselines import CannotForecast
from tidecast_predictor.config import Architecture
from tidecast_predictor.evaluation.grid import scales_for
from tidecast_predictor.evaluation.ours import Course, GcnGruMethod, Settings
from tidecast_predictor.evaluation.rewiring import no_calls

QUICK = Settings(updates=60, rows=64, hidden=16)
SHAPE = Architecture(step_seconds=1800, window_steps=8, horizon_steps=3, features=1, forecast_features=1)


def fitted(of, method=None, **changes):
    method = method or GcnGruMethod(settings=replace(QUICK, **changes))
    return method.fit([task(of)], seed=0, progress=lambda _: None)


def answer(of, learnt=None, method=None):
    chosen = task(of)
    learnt = learnt or fitted(of, method)
    return learnt.forecast(of, later_origins(chosen), window=chosen.window, horizon=chosen.horizon)


def last_value(of):
    origins = later_origins(task(of))
    return np.repeat(of.values[origins][..., None], 3, axis=3)


def test_it_beats_last_value_on_what_repeats_every_day():
    of = sines()
    assert error(answer(of).mean, of, later_origins(task(of))) < 0.8 * error(
        last_value(of), of, later_origins(task(of))
    )


def test_it_follows_a_caller_and_without_calls_it_cannot():
    of = delayed_pair(delay=1)
    method = GcnGruMethod(settings=replace(QUICK, updates=200))
    with_graph, without = (
        answer(of, method=replace(method, rewire=rewire)).mean[:, [1, 3], :, :1] for rewire in (None, no_calls)
    )
    callees = replace(of, values=of.values[:, [1, 3]])
    origins = later_origins(task(of))
    assert error(with_graph, callees, origins) < 0.8 * error(without, callees, origins)


def test_nothing_that_comes_after_the_origins_is_seen():
    of, chosen = sines(), task(sines())
    learnt, origins = fitted(of), later_origins(chosen)[:20]
    later = changed_from(of, int(origins[-1]) + 1)
    before, after = (learnt.forecast(one, origins, window=8, horizon=3) for one in (of, later))
    assert np.array_equal(before.quantiles, after.quantiles)
    assert np.array_equal(before.mean, after.mean)


def test_nothing_that_comes_after_validation_is_learnt():
    of, chosen = sines(), task(sines())
    later = replace(chosen, series=changed_from(of, chosen.known_steps))
    one, other = (
        GcnGruMethod(settings=QUICK).fit([task_], seed=0, progress=lambda _: None) for task_ in (chosen, later)
    )
    origins = later_origins(chosen)
    assert np.array_equal(
        one.forecast(of, origins, window=8, horizon=3).mean, other.forecast(of, origins, window=8, horizon=3).mean
    )


@pytest.mark.parametrize(
    "method", [GcnGruMethod(recurrent=False), GcnGruMethod(timed=False), GcnGruMethod(online=False)]
)
def test_a_part_can_be_left_out(method):
    assert np.isfinite(answer(sines(), method=replace(method, settings=replace(QUICK, updates=5))).mean).all()


def test_it_learns_from_several_graphs_and_forecasts_another():
    tasks = [task(sines(services=count, seed=count)) for count in (2, 4)]
    learnt = GcnGruMethod(settings=QUICK).fit(tasks, seed=0, progress=lambda _: None)
    other = sines(services=3, seed=9)
    assert error(answer(other, learnt).mean, other, later_origins(task(other))) < error(
        last_value(other), other, later_origins(task(other))
    )


def test_what_runs_beside_a_training_does_not_shorten_it(monkeypatch):
    told, clock = [], itertools.count(step=3600)
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))  # as on a busy host
    GcnGruMethod(settings=replace(QUICK, updates=4)).fit([task(sines())], seed=0, progress=told.append)
    assert told == [0, 0.25, 0.5, 0.75]


def test_how_long_pauses_are_does_not_matter():
    of = with_segments(delayed_pair(), 50)
    weeks = replace(of, times=of.times + of.segments * 7 * 86_400)
    near, far = (Course.of(one, SHAPE, scales_for(one, 300)).lesson(task(one)) for one in (of, weeks))
    assert far.recording.steps > 5 * near.recording.steps
    assert np.array_equal(far.reference.median, near.reference.median)
    assert np.array_equal(far.reference.change, near.reference.change)
    assert len(far.moments) == len(near.moments) == 300


def test_without_any_truth_in_validation_the_latest_state_is_kept():
    of = sines()
    values = of.values.copy()
    given = task(of)
    first = int(given.validation[0])
    values[first + 1 : int(given.validation[-1]) + given.horizon + 1] = np.nan
    blind = replace(given, series=replace(of, values=values))
    origins = later_origins(given)
    errors = []
    for updates in (1, 60):
        method = GcnGruMethod(settings=replace(QUICK, updates=updates))
        fitted = method.fit([blind], seed=0, progress=lambda _: None)
        errors.append(error(fitted.forecast(of, origins, window=given.window, horizon=given.horizon).mean, of, origins))
    assert errors[1] < 0.9 * errors[0]


def test_segments_do_not_disturb_each_other():
    of = with_segments(sines(), 96)
    assert np.isfinite(answer(of).mean).all()


def test_quantiles_do_not_cross():
    assert (np.diff(answer(sines()).quantiles, axis=-1) >= 0).all()


def test_another_horizon_than_it_learnt_is_refused():
    learnt = fitted(sines(), updates=1)
    with pytest.raises(CannotForecast, match="ahead 3 steps, not 8 and 5"):
        learnt.forecast(sines(), np.array([300]), window=8, horizon=5)


def test_a_service_that_was_never_measured_has_no_forecast():
    values = sines().values.copy()
    values[:, 1] = np.nan
    known = np.isfinite(answer(series(values)).mean).all(axis=(0, 2, 3))
    assert known.tolist() == [True, False, True]
