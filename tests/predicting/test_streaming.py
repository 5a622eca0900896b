"""
A state that is carried says what a window from the same beginning says, whoever comes, goes or is silent meanwhile.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from builders.recordings import HALF_HOUR, recording, services, untrained
from tidecast_contract.features import FEATURES
from tidecast_predictor.batch import assemble
from tidecast_predictor.model import CallGraph
from tidecast_predictor.predicting import predict
from tidecast_predictor.streaming import Stream, Streams
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
    return np.allclose(one, other, rtol=1e-4, atol=1e-5, equal_nan=True)


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
    assert torch.allclose(stream.newest_NC, batch.steps_NBTC[:, 0, -1], atol=1e-5)
    assert torch.allclose(stream.levels.levels_LNA[0, :, :6], batch.centre_NBPF[:, 0, 0], atol=1e-5, equal_nan=True)
    with torch.no_grad():
        graph = CallGraph.of(batch.calls_2E, batch.rates_E, len(snapshot.services))
        assert torch.allclose(stream.state_ND, model._recur(batch, graph)[:, 0, 0], atol=1e-5)


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
    assert torch.equal(joined.levels.levels_LNA, silent.levels.levels_LNA)
    assert joined.state_ND[3].abs().max() > 0
    begun = Stream.begin_with(model, past.only(np.array([3])), reference_of(without(whole, 0, 1, 2)))
    assert torch.allclose(joined.state_ND[3], begun.state_ND[0], atol=1e-6)


def test_a_newcomer_starts_from_where_it_was_last():
    snapshot, model = shop(missing=0), model_of()
    values = snapshot.values.copy()
    values[39:42, 3] = np.nan
    holed = replace(snapshot, values=values)
    joined = streamed(model, without(holed, 3), begin=0, end=40).advance(
        past_at(holed, 41, WINDOW), reference_of(holed)
    )
    assert joined.levels.levels_LNA[0, 3, 0] == pytest.approx(np.log1p(values[38, 3, 0] / 0.1))


def test_a_feature_silent_for_more_than_a_window_is_known_by_its_last_value():
    snapshot, model = shop(missing=0), model_of()
    values = snapshot.values.copy()
    values[20:, 1, 0] = np.nan
    silent = replace(snapshot, values=values)
    stream = streamed(model, silent, begin=0, end=20 + WINDOW)
    expected = np.log1p(values[19, 1, 0] / 0.1)
    assert stream.levels.levels_LNA[:, 1, 0] == pytest.approx(expected)
    window = past_at(silent, 20 + WINDOW, WINDOW).material(reference_of(silent), model.architecture)
    assert assemble(window, model.architecture).centre_NBPF[1, 0, 0, 0] == pytest.approx(expected)


def test_a_feature_silent_for_more_than_a_day_is_forgotten():
    snapshot, model = shop(steps=110, missing=0), model_of()
    values = snapshot.values.copy()
    values[20:, 1, 0] = np.nan
    stream = streamed(model, replace(snapshot, values=values), begin=0, end=20 + WINDOW + 48)
    assert torch.isnan(stream.levels.levels_LNA[:, 1, 0]).all()


def test_a_long_silence_within_a_window_leaves_the_levels_as_they_were():
    model, snapshot = model_of(1000), shop(steps=900, missing=0)
    values = snapshot.values.copy()
    values[20:] = np.nan
    silent = replace(snapshot, values=values)
    before = streamed(model, silent, begin=0, end=19)
    after = before.advance(past_at(silent, 899, 880), reference_of(silent))
    assert torch.allclose(after.levels.levels_LNA, before.levels.levels_LNA)


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


def served_alone(model, past, reference):
    return Streams().forecast(model, past, reference)


def carried(model, snapshot, pasts):
    """The last answer of a predictor that was asked for all of *pasts*, and whether it carried a state to it."""
    streams, reference = Streams(), reference_of(snapshot)
    answers = [streams.forecast(model, past, reference) for past in pasts]
    return answers[-1], not np.array_equal(answers[-1], served_alone(model, pasts[-1], reference), equal_nan=True)


def test_one_cycle_after_the_other_is_carried():
    snapshot, model = shop(), model_of()
    pasts = [past_at(snapshot, origin, WINDOW) for origin in (60, 61, 64)]
    stream = Stream.begin(model, pasts[0], reference_of(snapshot))
    for past in pasts[1:]:
        stream = stream.advance(past, reference_of(snapshot))
    answer, is_carried = carried(model, snapshot, pasts)
    assert is_carried
    assert np.array_equal(answer, stream.forecast(pasts[-1]))


def test_the_same_cycle_again_gets_the_same_answer():
    snapshot, model = shop(), model_of()
    pasts = [past_at(snapshot, origin, WINDOW) for origin in (60, 61, 61)]
    assert np.array_equal(carried(model, snapshot, pasts)[0], carried(model, snapshot, pasts[:2])[0])


def revised(snapshot):
    values = snapshot.values.copy()
    values[55, 0, 0] = 99
    return replace(snapshot, values=values)


def recalled(snapshot):
    return replace(snapshot, rates=snapshot.rates + 1)


@pytest.mark.parametrize(
    ("origins", "changed"),
    [
        pytest.param((60, 61), revised, id="what was measured before is measured otherwise"),
        pytest.param((61, 61), recalled, id="other calls at the same moment"),
        pytest.param((61, 60), lambda snapshot: snapshot, id="a moment before"),
        pytest.param((60, 60 + WINDOW), lambda snapshot: snapshot, id="no step in common"),
    ],
)
def test_what_does_not_go_on_is_answered_from_its_window(origins, changed):
    snapshot, model = shop(), model_of()
    pasts = [past_at(snapshot, origins[0], WINDOW), past_at(changed(snapshot), origins[1], WINDOW)]
    assert not carried(model, snapshot, pasts)[1]


def test_a_newcomer_with_a_past_is_answered_from_the_window_and_one_without_joins():
    whole, model = shop(missing=0), model_of()
    values = whole.values.copy()
    values[:61, 3] = np.nan
    for snapshot, is_joined in ((replace(whole, values=values), True), (whole, False)):
        pasts = [past_at(without(snapshot, 3), 60, WINDOW), past_at(snapshot, 61, WINDOW)]
        streams = Streams()
        streams.forecast(model, pasts[0], reference_of(without(snapshot, 3)))
        answer = streams.forecast(model, pasts[1], reference_of(snapshot))
        alone = served_alone(model, pasts[1], reference_of(snapshot))
        assert np.array_equal(answer, alone, equal_nan=True) != is_joined


def test_another_model_does_not_go_on_with_the_state_of_the_one_before():
    snapshot, streams = shop(), Streams()
    first, second = model_of(), model_of()
    second.gru.weight_ih_l0.data.mul_(2)
    past = past_at(snapshot, 61, WINDOW)
    streams.forecast(first, past_at(snapshot, 60, WINDOW), reference_of(snapshot))
    answer = streams.forecast(second, past, reference_of(snapshot))
    assert np.array_equal(answer, served_alone(second, past, reference_of(snapshot)))


def test_graphs_that_are_asked_for_at_once_do_not_disturb_each_other():
    snapshot, model = shop(), model_of()
    graphs = [without(snapshot, 3), without(snapshot, 0)]
    streams = Streams()

    def ask(graph):
        reference = reference_of(graph)
        return [streams.forecast(model, past_at(graph, origin, WINDOW), reference) for origin in range(60, 80)][-1]

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(ask, graphs))
    for graph, answer in zip(graphs, answers, strict=True):
        alone, _ = carried(model, graph, [past_at(graph, origin, WINDOW) for origin in range(60, 80)])
        assert np.array_equal(answer, alone)
