"""
What is told of floors.
"""

import pytest

from builders.gauges import Clock, facts, floors, named, scraped
from builders.hints import NOW
from tidecast_operator.outlets.gauges.gauges import Gauges

FORCED = "tidecast_floors_forced_timestamp_seconds"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tidecast_floors_raised", 3),
        ("tidecast_floors_left", 2),
        ("tidecast_floors_complete", 0),
        (FORCED, NOW - 60),
    ],
)
def test_how_floors_are_is_told(name, value):
    assert named(scraped(facts(), floors=floors(left=2, is_complete=False)), name) == {(): value}


def test_floors_that_follow_after_everything_else_are_told_at_once():
    gauges = Gauges(clock=Clock())
    gauges.show(facts())
    assert b"tidecast_floors_" not in gauges.exposition()

    gauges.show_floors(floors())

    assert b"tidecast_floors_raised 3" in gauges.exposition()


def test_as_long_as_none_was_given_back_by_force_no_time_is_told():
    found = scraped(facts(), floors=floors(forced_time=None))

    assert not named(found, FORCED)
    assert named(found, "tidecast_floors_complete") == {(): 1}


def test_where_floors_are_not_raised_nothing_is_told_of_them():
    assert not [key for key in scraped(facts()) if key[0].startswith("tidecast_floors_")]


def test_a_replica_that_stands_by_tells_nothing_of_them():
    gauges = Gauges(clock=Clock())
    gauges.show(facts())
    gauges.show_floors(floors())
    gauges.clear()

    assert gauges.exposition() == b""
    gauges.show(facts())
    assert b"tidecast_floors_" not in gauges.exposition()
