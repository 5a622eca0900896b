"""
A state that is carried says what a window from the same beginning says, whoever comes, goes or is silent meanwhile.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from builders.recordings import HALF_HOUR, services
from builders.streams import WINDOW, model_of, reference_of, shop, without
from tidecast_predictor.batch import assemble
from tidecast_predictor.convolution import CallGraph
from tidecast_predictor.predicting import predict
from tidecast_predictor.scaling import to_model
from tidecast_predictor.streaming import Stream
from tidecast_predictor.windows import past_at


def streamed(model, snapshot, *, begin, end):
    """The stream that was fed from step *begin* on, after step *end*."""
    reference = reference_of(snapshot)
    stream = Stream.begin_with(model, past_at(snapshot, begin, 1), reference)
    for origin in range(begin + 1, end + 1):
        stream = stream.advance(past_at(snapshot, origin, WINDOW), reference)
    return stream


def windowed(model, snapshot, origin):
    """What the full window says, (N, 1, 1, F, H, Q)."""
    past = past_at(snapshot, origin, model.architecture.window_steps)
    return predict(model, past.material(reference_of(snapshot), model.architecture))


def close(one, other):
    """On the model's scale: in units, rounding of a few hundred bytes of memory is more than of as many gigabytes."""
    scaled = (to_model(np.moveaxis(forecast, 3, -1)) for forecast in (one, other))
    return np.allclose(*scaled, rtol=1e-5, atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("begin", [0, 70])
@pytest.mark.parametrize("changes", [{}, {"hidden": 16}, {"recurrent": False}, {"periods": ()}], ids=str)
def test_fed_step_by_step_it_forecasts_as_a_window_from_the_same_beginning(begin, changes):
    snapshot, model = shop(), model_of(**changes)
    stream = streamed(model, snapshot, begin=begin, end=begin + WINDOW - 1)
    forecast = stream.forecast(past_at(snapshot, begin + WINDOW - 1, 1))
    assert close(forecast, windowed(model, snapshot, begin + WINDOW - 1))


def test_levels_and_state_are_those_of_a_window_from_the_same_beginning():
    long = 60
    snapshot, model = shop(), model_of(long)
    material = past_at(snapshot, long - 1, long).material(reference_of(snapshot), model.architecture)
    batch = assemble(material, model.architecture)
    stream = streamed(model, snapshot, begin=0, end=long - 1)
    carried = stream.carried.levels.levels_LNA[0, :, :6]
    assert torch.allclose(carried, batch.centre_NBPF[:, 0, 0], atol=1e-5, equal_nan=True)
    with torch.no_grad():
        graph = CallGraph.of(batch.calls_2E, batch.rates_E, len(snapshot.services))
        assert torch.allclose(stream.carried.state_ND, model._recur(batch, graph)[:, 0, 0], atol=1e-5)


def test_it_begins_with_what_a_full_window_says():
    snapshot, model = shop(), model_of()
    past = past_at(snapshot, 100, WINDOW)
    stream = Stream.begin(model, past, reference_of(snapshot))
    assert close(stream.forecast(past), windowed(model, snapshot, 100))


def test_several_new_steps_at_once_are_as_one_after_the_other():
    snapshot, model = shop(), model_of()
    stream = streamed(model, snapshot, begin=0, end=40)
    jumped = stream.advance(past_at(snapshot, 45, WINDOW), reference_of(snapshot))
    past = past_at(snapshot, 45, 1)
    assert close(jumped.forecast(past), streamed(model, snapshot, begin=0, end=45).forecast(past))


def test_steps_that_nobody_measured_are_missing_ones():
    snapshot, model = shop(), model_of()
    values = snapshot.values.copy()
    values[41:45] = np.nan
    holed = replace(snapshot, values=values)
    jumped = streamed(model, holed, begin=0, end=40).advance(past_at(holed, 45, 1), reference_of(holed))
    past = past_at(holed, 45, 1)
    assert close(jumped.forecast(past), streamed(model, holed, begin=0, end=45).forecast(past))


def test_after_a_gap_longer_than_a_window_it_begins_anew():
    snapshot, model = shop(), model_of()
    stream = streamed(model, snapshot, begin=0, end=40)
    later = past_at(snapshot, 41 + WINDOW, WINDOW)
    assert close(stream.advance(later, reference_of(snapshot)).forecast(later), windowed(model, snapshot, 41 + WINDOW))


def test_the_state_follows_the_service_and_not_its_place():
    snapshot, model = shop(), model_of()
    stream, last = streamed(model, snapshot, begin=0, end=40), past_at(snapshot, 41, WINDOW)
    there, back = [2, 0, 3, 1], np.array([1, 3, 0, 2])
    shuffled = replace(
        snapshot,
        services=tuple(snapshot.services[index] for index in there),
        values=snapshot.values[:, there],
        calls=back[snapshot.calls],
    )
    moved = stream.advance(past_at(shuffled, 41, WINDOW), reference_of(shuffled))
    stayed = stream.advance(last, reference_of(snapshot))
    assert close(moved.forecast(past_at(shuffled, 41, 1))[back], stayed.forecast(last))


def test_those_that_stay_do_not_notice_that_a_stranger_goes():
    snapshot = replace(shop(), calls=np.array([[0, 1], [1, 2]]), rates=np.array([5, 3], dtype=np.float32))
    model, fewer = model_of(), without(snapshot, 3)
    stream = streamed(model, snapshot, begin=0, end=40)
    left = stream.advance(past_at(fewer, 41, WINDOW), reference_of(fewer))
    stayed = stream.advance(past_at(snapshot, 41, WINDOW), reference_of(snapshot))
    assert close(left.forecast(past_at(fewer, 41, 1)), stayed.forecast(past_at(snapshot, 41, 1))[:3])


def test_a_newcomer_is_as_if_it_had_been_silent_and_the_others_go_on():
    """Its state is empty, and not that of silence: what it says differs a little, the rest must not."""
    alone = replace(shop(missing=0), calls=np.zeros((2, 0), np.int64), rates=np.zeros(0, np.float32))
    values = alone.values.copy()
    values[:41, 3] = np.nan
    whole, model = replace(alone, values=values), model_of()
    joined = streamed(model, without(whole, 3), begin=0, end=40).advance(
        past_at(whole, 41, WINDOW), reference_of(whole)
    )
    silent = streamed(model, whole, begin=0, end=41)
    past = past_at(whole, 41, 1)
    assert close(joined.forecast(past)[:3], silent.forecast(past)[:3])
    assert torch.equal(joined.carried.levels.levels_LNA, silent.carried.levels.levels_LNA)
    assert joined.carried.state_ND[3].abs().max() > 0
    begun = Stream.begin_with(model, past.only(np.array([3])), reference_of(without(whole, 0, 1, 2)))
    assert torch.allclose(joined.carried.state_ND[3], begun.carried.state_ND[0], atol=1e-6)


def test_a_newcomer_starts_from_where_it_was_last():
    snapshot, model = shop(missing=0), model_of()
    values = snapshot.values.copy()
    values[39:42, 3] = np.nan
    holed = replace(snapshot, values=values)
    joined = streamed(model, without(holed, 3), begin=0, end=40).advance(
        past_at(holed, 41, WINDOW), reference_of(holed)
    )
    assert joined.carried.levels.levels_LNA[0, 3, 0] == pytest.approx(np.log1p(values[38, 3, 0] / 0.1))


def test_a_feature_silent_for_more_than_a_window_is_known_by_its_last_value():
    snapshot, model = shop(missing=0), model_of()
    values = snapshot.values.copy()
    values[20:, 1, 0] = np.nan
    silent = replace(snapshot, values=values)
    stream = streamed(model, silent, begin=0, end=20 + WINDOW)
    expected = np.log1p(values[19, 1, 0] / 0.1)
    assert stream.carried.levels.levels_LNA[:, 1, 0] == pytest.approx(expected)
    window = past_at(silent, 20 + WINDOW, WINDOW).material(reference_of(silent), model.architecture)
    assert assemble(window, model.architecture).centre_NBPF[1, 0, 0, 0] == pytest.approx(expected)


def test_a_feature_silent_for_more_than_a_day_is_forgotten():
    snapshot, model = shop(steps=110, missing=0), model_of()
    values = snapshot.values.copy()
    values[20:, 1, 0] = np.nan
    stream = streamed(model, replace(snapshot, values=values), begin=0, end=20 + WINDOW + 48)
    assert torch.isnan(stream.carried.levels.levels_LNA[:, 1, 0]).all()


def test_a_long_silence_within_a_window_leaves_the_levels_as_they_were():
    model, snapshot = model_of(1000), shop(steps=900, missing=0)
    values = snapshot.values.copy()
    values[20:] = np.nan
    silent = replace(snapshot, values=values)
    before = streamed(model, silent, begin=0, end=19)
    after = before.advance(past_at(silent, 899, 880), reference_of(silent))
    assert torch.allclose(after.carried.levels.levels_LNA, before.carried.levels.levels_LNA)


def test_it_is_never_changed_by_going_on():
    snapshot, model = shop(), model_of()
    stream = streamed(model, snapshot, begin=0, end=30)
    before = stream.forecast(past_at(snapshot, 30, 1))
    stream.advance(past_at(snapshot, 31, WINDOW), reference_of(snapshot))
    assert np.array_equal(stream.forecast(past_at(snapshot, 30, 1)), before)


@pytest.mark.parametrize("shift", [0, -HALF_HOUR, 60])
def test_a_step_that_does_not_follow_is_refused(shift):
    snapshot = shop()
    stream = streamed(model_of(), snapshot, begin=0, end=20)
    past = past_at(snapshot, 20, WINDOW)
    object.__setattr__(past.snapshot, "end_time", past.snapshot.end_time + shift)
    with pytest.raises(ValueError, match="does not follow"):
        stream.advance(past, reference_of(snapshot))


def test_it_forecasts_at_its_own_moment_for_its_own_services_only():
    snapshot = shop()
    stream = streamed(model_of(), snapshot, begin=0, end=20)
    for other in (past_at(snapshot, 21, 1), past_at(replace(snapshot, services=services(4)[::-1]), 20, 1)):
        with pytest.raises(ValueError, match="advance it"):
            stream.forecast(other)
