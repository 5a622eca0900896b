"""
Which requests are answered from what is carried, and that bands are corrected on the way.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from builders.streams import WINDOW, model_of, reference_of, shop, without
from tidecast_predictor.streaming import Stream
from tidecast_predictor.streams import Streams
from tidecast_predictor.track_record import TrackRecord
from tidecast_predictor.windows import past_at


@pytest.fixture(autouse=True)
def believed(monkeypatch):
    """The network alone is told, whatever came true: medians then say what was carried."""
    monkeypatch.setattr(TrackRecord, "mixed", lambda _self, said: said[..., 0])


def served_alone(model, past, reference):
    return Streams(model).forecast(past, reference)


def carried(model, snapshot, pasts):
    """The last answer of a predictor that was asked for all of *pasts*, and whether it carried a state to it."""
    streams, reference = Streams(model), reference_of(snapshot)
    answers = [streams.forecast(past, reference) for past in pasts]
    return answers[-1], not same_median(answers[-1], served_alone(model, pasts[-1], reference))


def same_median(one, other):
    """Bands are corrected by what came true, whether a state was carried or not."""
    return np.array_equal(one[..., 1], other[..., 1], equal_nan=True)


def test_one_cycle_after_the_other_is_carried():
    snapshot, model = shop(), model_of()
    pasts = [past_at(snapshot, origin, WINDOW) for origin in (60, 61, 64)]
    stream = Stream.begin(model, pasts[0], reference_of(snapshot))
    for past in pasts[1:]:
        stream = stream.advance(past, reference_of(snapshot))
    answer, is_carried = carried(model, snapshot, pasts)
    assert is_carried
    assert same_median(answer, stream.forecast(pasts[-1])[:, 0, 0])


def test_the_same_cycle_again_gets_the_same_answer():
    snapshot, model = shop(), model_of()
    pasts = [past_at(snapshot, origin, WINDOW) for origin in (60, 61, 61)]
    assert np.array_equal(carried(model, snapshot, pasts)[0], carried(model, snapshot, pasts[:2])[0])


def revised(snapshot, step=55):
    values = snapshot.values.copy()
    values[step, 0, 0] = 99
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
        streams = Streams(model)
        streams.forecast(pasts[0], reference_of(without(snapshot, 3)))
        answer = streams.forecast(pasts[1], reference_of(snapshot))
        alone = served_alone(model, pasts[1], reference_of(snapshot))
        assert same_median(answer, alone) != is_joined


def test_graphs_that_are_asked_for_at_once_do_not_disturb_each_other():
    snapshot, model = shop(), model_of()
    graphs = [without(snapshot, 3), without(snapshot, 0)]
    streams = Streams(model)

    def ask(graph):
        reference = reference_of(graph)
        return [streams.forecast(past_at(graph, origin, WINDOW), reference) for origin in range(60, 80)][-1]

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(ask, graphs))
    for graph, answer in zip(graphs, answers, strict=True):
        alone, _ = carried(model, graph, [past_at(graph, origin, WINDOW) for origin in range(60, 80)])
        assert np.array_equal(answer, alone)


def test_windows_that_are_asked_for_once_do_not_push_out_a_stream_that_goes_on():
    snapshot, model = shop(), model_of()
    reference, streams = reference_of(snapshot), Streams(model)
    for origin in (60, 61):
        streams.forecast(past_at(snapshot, origin, WINDOW), reference)
    for once in (20, 33, 46):  # too far from one another to go on
        streams.forecast(past_at(snapshot, once, WINDOW), reference)
    answer = streams.forecast(past_at(snapshot, 62, WINDOW), reference)
    alone, _ = carried(model, snapshot, [past_at(snapshot, origin, WINDOW) for origin in (60, 61, 62)])
    assert same_median(answer, alone)


def test_a_stream_that_nobody_goes_on_with_any_more_gives_way_to_new_ones():
    snapshot, model = shop(), model_of()
    streams = Streams(model)
    for gone in (0, 1, 2):
        graph = without(snapshot, gone)
        for origin in (60, 61):
            streams.forecast(past_at(graph, origin, WINDOW), reference_of(graph))
    assert len(streams._held) == 2
    assert all(held.snapshot.services != without(snapshot, 0).services for held in streams._held)


def coverage(streams, snapshot, first, last):
    """The share of what came true one step after each forecast between its p10 and p90."""
    reference, within = reference_of(snapshot), []
    for origin in range(first, last):
        forecast = streams.forecast(past_at(snapshot, origin, WINDOW), reference)[:, :, 0]
        truth = snapshot.values[origin + 1, :, : forecast.shape[1]]
        held = (forecast[..., 0] <= truth) & (truth <= forecast[..., 2])
        within.append(np.where(np.isfinite(truth + forecast[..., 1]), held, np.nan))
    return np.nanmean(within)


@pytest.mark.parametrize("width", [0.1, 8.0])
def test_bands_that_are_too_narrow_or_too_wide_come_to_hold_four_of_five(width):
    snapshot, model = shop(600), model_of()
    model.calibration.fill_(width)
    streams = Streams(model)
    before = coverage(streams, snapshot, 60, 90)
    coverage(streams, snapshot, 90, 400)
    assert abs(before - 0.8) > 0.1
    assert coverage(streams, snapshot, 400, 590) == pytest.approx(0.8, abs=0.05)


def test_what_is_known_of_bands_outlives_a_past_that_was_revised():
    snapshot, model = shop(300), model_of()
    model.calibration.fill_(0.1)
    reference, streams = reference_of(snapshot), Streams(model)
    for origin in range(60, 200):
        streams.forecast(past_at(snapshot, origin, WINDOW), reference)
    values = snapshot.values.copy()
    values[195, 0, 0] = 99
    past = past_at(replace(snapshot, values=values), 200, WINDOW)
    low, _, high = np.moveaxis(streams.forecast(past, reference), -1, 0)
    low_alone, _, high_alone = np.moveaxis(served_alone(model, past, reference), -1, 0)
    assert np.nanmean(high - low) > 2 * np.nanmean(high_alone - low_alone)


def reordered(snapshot):
    order = [2, 0, 3, 1]
    services = tuple(snapshot.services[place] for place in order)
    return replace(
        snapshot, services=services, values=snapshot.values[:, order], calls=np.argsort(order)[snapshot.calls]
    )


@pytest.mark.parametrize(
    "origins", [(200,), (199, 200), (201,)], ids=["the same", "one before, then the same", "the next"]
)
@pytest.mark.parametrize(
    "changed", [recalled, lambda snapshot: revised(snapshot, step=195), reordered], ids=["calls", "values", "order"]
)
def test_what_is_known_outlives_a_moment_asked_for_otherwise(changed, origins):
    snapshot, model = shop(300), model_of()
    model.calibration.fill_(0.1)
    reference, streams = reference_of(snapshot), Streams(model)
    for origin in range(60, 201):
        streams.forecast(past_at(snapshot, origin, WINDOW), reference)
    reference = reference_of(changed(snapshot))
    for origin in origins:
        past = past_at(changed(snapshot), origin, WINDOW)
        low, _, high = np.moveaxis(streams.forecast(past, reference), -1, 0)
    low_alone, _, high_alone = np.moveaxis(served_alone(model, past, reference), -1, 0)
    assert np.nanmean(high - low) > 2 * np.nanmean(high_alone - low_alone)


def test_a_shorter_window_of_the_same_graph_takes_nothing_from_a_longer_one():
    snapshot, model = shop(), model_of()
    reference, streams = reference_of(snapshot), Streams(model)
    for origin in range(60, 70):
        answer = streams.forecast(past_at(snapshot, origin, WINDOW), reference)
        streams.forecast(past_at(snapshot, origin, 2), reference)
    alone, _ = carried(model, snapshot, [past_at(snapshot, origin, WINDOW) for origin in range(60, 70)])
    assert same_median(answer, alone)


def test_a_stream_of_a_shorter_window_is_not_gone_on_with_by_a_longer_one():
    snapshot, model = shop(), model_of()
    pasts = [past_at(snapshot, 60, 2), past_at(snapshot, 61, WINDOW)]
    assert not carried(model, snapshot, pasts)[1]


def test_a_newly_trained_model_goes_on_with_the_record_of_the_one_before_and_not_with_its_bands():
    snapshot, model = shop(300), model_of()
    reference, before = reference_of(snapshot), Streams(model)
    for origin in range(60, 200):
        before.forecast(past_at(snapshot, origin, WINDOW), reference)
    after = Streams(model_of(), before=before)
    after.forecast(past_at(snapshot, 200, WINDOW), reference)
    assert np.array_equal(after.known.record.losses_NFHE, before.known.record.losses_NFHE)
    assert not after.known.stretches.of_one_NFHO.any()
    assert [one.time for one in after.known.issued] == [snapshot.times[200]]
