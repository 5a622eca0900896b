"""
What autoscalers may act on is there, and what they must not act on is not.
"""

from dataclasses import replace

import numpy as np
import pytest

from builders.gauges import Clock, board, facts, forecast, named, scraped
from builders.hints import NOW, decided, entry
from tidecast_contract.features import CPU
from tidecast_operator.hints.board import Board
from tidecast_operator.hints.capacity import Capacity
from tidecast_operator.outlets.gauges.gauges import Gauges
from tidecast_operator.scaling import Mode, Scaling

HINT = ("tidecast_hint_replicas", "tidecast_hint_load", "tidecast_hint_per_replica")
OFFERED, TRUSTED = "tidecast_hint_offered", "tidecast_forecast_trusted"
PREVIEW = Scaling(mode=Mode.PREVIEW, per_replica=100.0)
WITHHELD = {
    "untrusted": {"withheld": "NotTrusted: it lies."},
    "expired": {"expire_time": NOW},
    "without a hint": {"hint": None},
    "without a valid spec": {"scaling": None, "hint": None, "withheld": "InvalidScaling: what?"},
    "never given a time": {"expire_time": 0},
}


def told(*entries, clock=None, **changes):
    return scraped(facts(board=board(*entries), **changes), clock=clock)


def test_an_offered_hint_is_told():
    found = told(entry(hint=decided(750.0)))

    assert named(found, "tidecast_hint_replicas") == {("Active", "checkout", "shop"): 8}
    assert named(found, "tidecast_hint_load") == {("Active", "checkout", "shop", "RequestsPerSecond"): 750}
    assert named(found, "tidecast_hint_per_replica") == {("Active", "checkout", "shop", "RequestsPerSecond"): 100}
    assert named(found, OFFERED) == {("Active", "checkout", "shop"): 1}


def test_the_signal_is_that_of_the_spec():
    found = told(entry(scaling=Scaling(mode=Mode.ACTIVE, signal=CPU, per_replica=100.0)))

    assert {key[-1] for name in HINT[1:] for key in named(found, name)} == {"CPU"}


@pytest.mark.parametrize("why", WITHHELD.values(), ids=WITHHELD)
def test_an_active_hint_that_must_not_be_acted_on_is_absent(why):
    found = told(entry(**why))

    assert not [name for name in HINT if named(found, name)]
    assert list(named(found, OFFERED).values()) == [0]


@pytest.mark.parametrize("why", WITHHELD.values(), ids=WITHHELD)
def test_one_that_is_withheld_does_not_hide_another(why):
    found = told(entry(**why), entry(name="other"))

    assert [key[1] for key in named(found, "tidecast_hint_replicas")] == ["other"]


def test_an_active_hint_goes_when_it_expires_without_a_new_cycle():
    clock = Clock(NOW + 539.9)
    gauges = Gauges(clock=clock)
    gauges.show(facts(expire_time=NOW + 10_000))
    assert b"tidecast_hint_replicas{" in gauges.exposition()

    clock.now = NOW + 540

    assert b"tidecast_hint_replicas{" not in gauges.exposition()
    assert b"tidecast_forecast_requests_per_second{" in gauges.exposition()


def test_hints_that_expire_one_after_the_other_go_one_after_the_other():
    clock = Clock()
    gauges = Gauges(clock=clock)
    gauges.show(facts(board=board(entry(expire_time=NOW + 60), entry(name="other", expire_time=NOW + 120))))
    there = []
    for now in (NOW, NOW + 60, NOW + 120):
        clock.now = now
        there.append(gauges.exposition().count(b"tidecast_hint_replicas{"))

    assert there == [2, 1, 0]


def test_a_clock_that_is_set_back_does_not_bring_an_expired_hint_back():
    clock = Clock(NOW + 540)
    gauges = Gauges(clock=clock)
    gauges.show(facts())
    gauges.exposition()

    clock.now = NOW

    assert b"tidecast_hint_replicas{" not in gauges.exposition()


def test_a_hint_whose_mode_leaves_active_is_active_no_more():
    gauges = Gauges(clock=Clock())
    gauges.show(facts())
    gauges.exposition()
    gauges.show(facts(board=board(entry(scaling=PREVIEW, withheld="Preview: shown only."))))

    assert b'mode="Active"' not in gauges.exposition()


@pytest.mark.parametrize("withheld", ["Preview: shown only.", "NotTrusted: it lies.", ""])
def test_a_preview_is_shown_and_never_offered(withheld):
    found = told(entry(scaling=PREVIEW, withheld=withheld))

    assert named(found, "tidecast_hint_replicas") == {("Preview", "checkout", "shop"): 8}
    assert named(found, OFFERED) == {("Preview", "checkout", "shop"): 0}


@pytest.mark.parametrize("why", [{"expire_time": NOW}, {"hint": None}], ids=["expired", "without a hint"])
def test_a_preview_that_is_gone_is_absent(why):
    found = told(entry(scaling=PREVIEW, withheld="Preview: shown only.", **why))

    assert not [name for name in HINT if named(found, name)]


@pytest.mark.parametrize("load", [np.nan, np.inf])
def test_a_load_that_is_no_number_is_absent(load):
    found = told(entry(hint=replace(decided(750.0), load=load)))

    assert not named(found, "tidecast_hint_load")


@pytest.mark.parametrize("carried", [1 / 3, 100 / 3, 133.33333333333334])
def test_load_over_what_a_replica_carries_is_not_rounded_to_another_replica(carried):
    hint = replace(decided(750.0), load=9 * carried, capacity=Capacity(carried))
    found = told(entry(hint=hint))
    (load,), (per_replica,) = (named(found, name).values() for name in HINT[1:])

    assert load / per_replica == 9 * carried / carried


def test_numbers_of_numpy_are_told_as_numbers():
    found = told(entry(hint=replace(decided(750.0), load=np.float64(812.5), replicas=np.int64(9))))

    assert list(named(found, "tidecast_hint_load").values()) == [812.5]
    assert list(named(found, "tidecast_hint_replicas").values()) == [9]


def test_trust_is_told_where_it_is_known():
    found = scraped(facts(trusted={("shop", "cart"): True, ("shop", "pay"): False}))

    assert named(found, TRUSTED) == {("cart", "shop"): 1, ("pay", "shop"): 0}


def test_nobody_is_trusted_beyond_the_forecast():
    trusted = {("shop", "cart"): True, ("shop", "pay"): False}
    found = scraped(facts(trusted=trusted), clock=Clock(NOW + 540))

    assert named(found, TRUSTED) == {("pay", "shop"): 0}


def test_trust_that_is_not_known_any_more_is_absent():
    gauges = Gauges(clock=Clock())
    gauges.show(facts())
    gauges.show(facts(forecast=forecast(), trusted={}))

    assert TRUSTED.encode() not in gauges.exposition()


def test_without_any_resource_nothing_is_told_of_resources():
    found = scraped(facts(board=Board(), trusted={}))

    assert not [key for key in found if key[0].startswith("tidecast_hint") or key[0] == TRUSTED]
