"""Two sources of one service do not take turns from one collection to the next."""

import numpy as np
import pytest

from builders.snapshots import MIDDAY
from builders.telemetry import cluster, observations, series, traffic, workload_peer
from tidecast_contract.features import REQUESTS, index_of
from tidecast_contract.services import ServiceId
from tidecast_operator import snapshots
from tidecast_operator.voices import Voices

CHECKOUT = ServiceId("shop", "Deployment", "checkout")
checkout = workload_peer("checkout")


def step_of(source, rates):
    """What a source says of one step: requests by peer, and nothing else."""
    nothing = series({}, steps=1)
    requests = series({peer: [rate] for peer, rate in rates.items()}, steps=1)
    return traffic(source=source, requests=requests, errors=nothing, latencies={})


class Told:
    """Collections of a step each: what sources say of the checkout's requests, None for nothing."""

    def __init__(self):
        self.voices, self.time = Voices(), MIDDAY

    def after(self, *, pause_steps=1, **rates):
        """The requests of the snapshot that is built of what the sources say, in the order of trust."""
        self.time += 60 * pause_steps
        sources = [step_of(name, {} if rate is None else {checkout: rate}) for name, rate in rates.items()]
        found = self.build(*sources)
        return float(found.values[0, found.services.index(CHECKOUT), index_of(REQUESTS)])

    def build(self, *sources):
        """The snapshot of what these say of the step."""
        built = snapshots.build(observations(*sources, end_time=self.time, steps=1), cluster(), voices=self.voices)
        self.voices = built.voices
        return built.snapshot


def test_a_less_trusted_source_is_not_heard_where_the_trusted_one_misses_a_step():
    told = Told()
    assert told.after(istio=10.0, traces=1.0) == 10
    assert np.isnan(told.after(istio=None, traces=1.0))
    assert told.after(istio=10.0, traces=1.0) == 10


def test_nor_is_it_where_the_trusted_source_is_not_found_at_all():
    told = Told()
    told.after(istio=10.0, traces=1.0)
    assert np.isnan(told.after(traces=1.0))


def test_a_source_that_stays_silent_hands_over_after_ten_steps():
    told = Told()
    told.after(istio=10.0, traces=1.0)
    heard = [told.after(istio=None, traces=1.0) for _ in range(11)]
    assert np.isnan(heard[:10]).all()
    assert heard[10] == 1


def test_who_is_trusted_more_is_heard_as_soon_as_it_speaks():
    told = Told()
    assert told.after(istio=None, traces=1.0) == 1
    assert told.after(istio=10.0, traces=1.0) == 10
    assert np.isnan(told.after(istio=None, traces=1.0))


def test_after_a_long_pause_nobody_has_the_word():
    told = Told()
    told.after(istio=10.0, traces=1.0)
    assert told.after(pause_steps=11, istio=None, traces=1.0) == 1


def test_the_word_of_a_service_outlasts_steps_in_which_others_alone_are_told_of():
    told = Told()
    told.after(istio=10.0, traces=1.0)
    told.time += 60
    told.build(step_of("istio", {workload_peer("frontend"): 5.0}))
    assert np.isnan(told.after(istio=None, traces=1.0))


def test_a_service_is_forgotten_when_its_source_has_been_silent_for_long():
    told = Told()
    told.after(istio=10.0)
    assert told.voices.at(told.time + 600, 60).services == (CHECKOUT,)
    assert told.voices.at(told.time + 660, 60).services == ()


@pytest.mark.parametrize(
    ("step_seconds", "patience"), [(10, 100), (60, 600), (120, 600), (300, 600), (900, 1800), (3600, 7200)]
)
def test_the_longer_steps_are_the_fewer_of_them_a_silent_source_keeps_the_word_for(step_seconds, patience):
    told = Told()
    told.after(istio=10.0)
    assert told.voices.at(told.time + patience, step_seconds).services == (CHECKOUT,)
    assert told.voices.at(told.time + patience + step_seconds, step_seconds).services == ()


@pytest.mark.parametrize("last", [1, 2, 3])
def test_within_a_collection_of_many_steps_the_last_that_was_measured_counts(last):
    rates = [10.0] * last + [float("nan")] * (3 - last)
    built = snapshots.build(observations(traffic(requests=series({checkout: rates}))), cluster())
    row = built.voices.services.index(CHECKOUT)
    assert built.voices.times[row, index_of(REQUESTS)] == MIDDAY - 60 * (3 - last)
