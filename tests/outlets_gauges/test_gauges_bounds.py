"""
The number of series is bounded, whoever comes.
"""

import numpy as np
import pytest

from builders.gauges import Clock, board, facts, forecast, measured, named, scraped, series, services
from builders.hints import entry
from tidecast_contract.services import ServiceId
from tidecast_operator.hints.board import Board
from tidecast_operator.outlets.gauges.gauges import Gauges
from tidecast_operator.scaling import Mode, Scaling

LEFT_OUT = "tidecast_forecast_services_left_out"
RESOURCES_LEFT_OUT = "tidecast_forecast_resources_left_out"


def shown(found):
    return {key[-1] for key in named(found, "tidecast_forecast_requests_per_second")}


def of(*loads, **changes):
    """Services with these loads, without anybody who asks for a hint."""
    empty = {"board": Board(is_known=True), "skills": None, "trusted": {}, "measured": measured(len(loads))}
    return facts(forecast=forecast(len(loads), loads=loads), **(empty | changes))


def test_the_busiest_are_shown_and_the_rest_is_counted():
    found = scraped(of(5, 100, 1, 50), services_limit=2)

    assert shown(found) == {"service-1", "service-3"}
    assert named(found, LEFT_OUT) == {(): 2}


def test_what_is_shown_of_a_service_is_its_own():
    found = named(scraped(of(5, 100, 1, 50), services_limit=2), "tidecast_forecast_requests_per_second")

    assert found["Deployment", "shop", "300", "0.5", "service-3"] == 50


def test_within_the_limit_nobody_is_left_out():
    found = scraped(of(5, 100), services_limit=2)

    assert len(shown(found)) == 2
    assert named(found, LEFT_OUT) == {(): 0}


def test_who_asks_for_a_hint_comes_first_and_who_acts_on_it_before():
    quiet = [ServiceId("shop", "Deployment", name) for name in ("active", "preview", "neither")]
    known = (*quiet, *services(2))
    entries = [
        entry(name="preview", target=quiet[1], scaling=Scaling(mode=Mode.PREVIEW)),
        entry(name="active", target=quiet[0]),
    ]
    told = facts(board=board(*entries), forecast=forecast(known, loads=[1, 2, 0.5, 70, 80]), skills=None)

    for limit, names in ((1, {"active"}), (2, {"active", "preview"}), (3, {"active", "preview", "service-1"})):
        assert shown(scraped(told, services_limit=limit)) == names


def test_a_service_of_which_nothing_is_known_takes_no_place():
    loads = np.array([100.0, 1.0])
    unknown = forecast(2, loads=loads)
    unknown.values[0] = np.nan
    found = scraped(facts(forecast=unknown, skills=None), services_limit=1)

    assert shown(found) == {"service-1"}
    assert named(found, LEFT_OUT) == {(): 0}


def test_a_service_without_requests_comes_last():
    silent = forecast(2, loads=[np.nan, 1.0])

    assert shown(scraped(facts(forecast=silent), services_limit=1)) == {"service-1"}


@pytest.mark.parametrize(
    ("load", "stays"),
    [pytest.param(12.0, True, id="a little busier"), pytest.param(13.0, False, id="much busier")],
)
def test_a_service_that_is_shown_stays_when_in_doubt(load, stays):
    gauges = Gauges(clock=Clock(), services_limit=1)
    gauges.show(of(10, 5))
    gauges.exposition()
    gauges.show(of(10, load))

    assert shown(series(gauges.exposition())) == {"service-0" if stays else "service-1"}


def test_resources_are_bounded_too_and_those_left_out_are_counted():
    entries = [entry(name=f"preview-{n}", scaling=Scaling(mode=Mode.PREVIEW)) for n in range(3)]
    told = facts(
        board=board(*entries, entry(name="z-active")), trusted={("shop", f"plain-{n}"): True for n in range(9)}
    )
    found = scraped(told, services_limit=3)

    assert {key[1] for key in named(found, "tidecast_hint_offered")} == {"z-active", "preview-0", "preview-1"}
    assert named(found, RESOURCES_LEFT_OUT) == {(): 10}


def test_a_place_that_no_hint_takes_goes_to_a_verdict():
    told = facts(board=board(entry()), trusted={("shop", name): True for name in ("a", "b", "c")})
    found = scraped(told, services_limit=3)

    assert named(found, "tidecast_forecast_trusted") == {("a", "shop"): 1, ("b", "shop"): 1}
    assert named(found, RESOURCES_LEFT_OUT) == {(): 1}


def test_ten_times_as_many_services_as_the_limit_make_no_more_series():
    few = scraped(of(*range(1, 21)), services_limit=20)
    many = scraped(of(*range(1, 201)), services_limit=20)

    assert len(many) == len(few)


def test_a_limit_of_none_shows_none():
    found = scraped(facts(), services_limit=0)

    assert not shown(found)
    assert not named(found, "tidecast_hint_replicas")
    assert named(found, LEFT_OUT) == {(): 2}


def test_a_limit_below_none_is_refused():
    with pytest.raises(ValueError, match="services_limit"):
        Gauges(services_limit=-1)
