"""
What cycles find out stands in /metrics: measurements, the step, and what became of floors.
"""

from dataclasses import replace

import pytest

from builders.gauges import Clock, named, series
from builders.hints import NOW, entry
from builders.operating import STEP, operator
from tidecast_operator.errors import ApiServerUnavailable, PrometheusUnavailable
from tidecast_operator.hints.board import Board, Noticeboard
from tidecast_operator.outlets.floors.carrying_out import FloorReport
from tidecast_operator.outlets.floors.claim import Claim
from tidecast_operator.outlets.gauges.facts import Facts
from tidecast_operator.outlets.gauges.gauges import Gauges
from tidecast_operator.outlets.outlets import Outlets
from tidecast_operator.scaling import Mode, Scaling

REQUESTS = "tidecast_measured_requests_per_second"
FORCED, RAISED = "tidecast_floors_forced_timestamp_seconds", "tidecast_floors_raised"
FLOOR = {("shop", "checkout"): Claim(original=2, floor=8, by="checkout")}
ACTIVE = Scaling(mode=Mode.ACTIVE, per_replica=100.0, autoscaler="checkout")


async def test_after_a_cycle_measurements_and_step_are_told():
    one = operator()
    await one.run()
    found = series(one.gauges.exposition())

    assert {key[-1] for key in named(found, REQUESTS)} >= {"frontend", "checkout"}
    assert named(found, "tidecast_forecast_step_seconds") == {(): STEP}


async def test_measurements_of_before_stay_while_prometheus_is_away():
    one = operator()
    await one.run()
    before = named(series(one.gauges.exposition()), REQUESTS)

    one.now += STEP
    one.doors_error = PrometheusUnavailable("it is away")
    await one.run()

    assert named(series(one.gauges.exposition()), REQUESTS) == before


class FakeFloors:
    """Reports what a test says, cycle after cycle."""

    def __init__(self, *reports):
        self._reports = iter(reports)

    def follow(self, _, *, budget_seconds=None):  # noqa: ARG002
        return next(self._reports)


class Floors:
    """Outlets with floors that report what a test says, and what is told of them."""

    def __init__(self, *reports):
        self.clock, self.gauges = Clock(), Gauges(clock=Clock())
        self.gauges.show(Facts())
        self.outlets = Outlets(Noticeboard(), self.gauges, FakeFloors(*reports), clock=self.clock)

    def follow(self, *entries):
        board = Board(NOW, {one.key: one for one in entries}, is_known=True)
        self.outlets.follow(board, budget_seconds=5)
        return {key[0]: value for key, value in series(self.gauges.exposition()).items()}


def test_what_became_of_floors_is_told_at_once():
    found = Floors(FloorReport(floors=dict(FLOOR), left=2)).follow(entry(scaling=ACTIVE))

    assert (found[RAISED], found["tidecast_floors_left"], found["tidecast_floors_complete"]) == (1, 2, 0)
    assert FORCED not in found


def test_floors_that_could_not_be_looked_at_count_as_they_were_and_are_not_complete():
    floors = Floors(FloorReport(floors=dict(FLOOR)), FloorReport(error=ApiServerUnavailable("it is away")))
    floors.follow(entry(scaling=ACTIVE))
    found = floors.follow(entry(scaling=ACTIVE, withheld="NotTrusted: it lies."))

    assert (found[RAISED], found["tidecast_floors_complete"]) == (1, 0)
    assert FORCED not in found


@pytest.mark.parametrize(
    "withheld",
    [
        pytest.param(entry(scaling=ACTIVE, withheld="NotTrusted: it lies."), id="not trusted"),
        pytest.param(entry(scaling=ACTIVE, expire_time=NOW), id="expired"),
        pytest.param(entry(scaling=ACTIVE, hint=None), id="no hint any more"),
    ],
)
def test_a_floor_that_goes_though_it_is_wanted_was_given_back_by_force(withheld):
    floors = Floors(FloorReport(floors=dict(FLOOR)), FloorReport(restored=1), FloorReport())
    floors.follow(entry(scaling=ACTIVE))

    assert floors.follow(withheld)[FORCED] == NOW
    floors.clock.now += 600
    assert floors.follow(withheld)[FORCED] == NOW


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([entry(scaling=ACTIVE)], id="the hint fell"),
        pytest.param([entry(scaling=replace(ACTIVE, mode=Mode.PREVIEW), withheld="Preview")], id="preview"),
        pytest.param([entry(scaling=replace(ACTIVE, autoscaler=""), withheld="NotTrusted")], id="not asked for"),
        pytest.param([], id="the resource is gone"),
    ],
)
def test_a_floor_that_nobody_wants_any_more_goes_without_force(entries):
    floors = Floors(FloorReport(floors=dict(FLOOR)), FloorReport(restored=1))
    floors.follow(entry(scaling=ACTIVE))
    found = floors.follow(*entries)

    assert FORCED not in found
    assert found[RAISED] == 0


def test_a_floor_that_stays_was_not_given_back():
    floors = Floors(FloorReport(floors=dict(FLOOR)), FloorReport(floors=dict(FLOOR)))
    floors.follow(entry(scaling=ACTIVE))

    assert FORCED not in floors.follow(entry(scaling=ACTIVE, withheld="NotTrusted"))


def test_a_replica_that_stood_by_takes_no_floor_for_its_own():
    floors = Floors(FloorReport(floors=dict(FLOOR)), FloorReport(), FloorReport())
    floors.follow(entry(scaling=ACTIVE))
    floors.outlets.withdraw()
    floors.gauges.show(Facts())

    assert FORCED not in floors.follow(entry(scaling=ACTIVE, withheld="NotTrusted"))


def test_where_floors_are_not_raised_nothing_is_told_of_them():
    gauges = Gauges(clock=Clock())
    gauges.show(Facts())
    Outlets(Noticeboard(), gauges).follow(Board(is_known=True), budget_seconds=5)

    assert b"tidecast_floors" not in gauges.exposition()
