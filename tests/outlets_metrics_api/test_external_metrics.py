import dataclasses

import pytest

from builders.hints import NOW, decided, entry
from builders.metrics_api import board
from tidecast_operator.hints.capacity import Capacity
from tidecast_operator.outlets.metrics_api.answers import Refused
from tidecast_operator.outlets.metrics_api.external import values

CART = entry(name="cart")
CHECKOUT = entry()


def value(shown=None, metric="tidecast-load", selector="forecast=checkout", *, namespace="shop", now=NOW):
    return values(shown or board(), namespace, metric, selector, now=now)


def refused(*arguments, **named):
    with pytest.raises(Refused) as caught:
        value(*arguments, **named)
    return caught.value.code, str(caught.value)


def test_the_load_is_one_item_with_the_time_of_the_forecast_and_how_far_it_looks():
    assert value() == {
        "kind": "ExternalMetricValueList",
        "apiVersion": "external.metrics.k8s.io/v1beta1",
        "metadata": {},
        "items": [
            {
                "metricName": "tidecast-load",
                "metricLabels": {"forecast": "checkout"},
                "timestamp": "2027-01-15T07:59:00Z",
                "window": 180,
                "value": "750",
            }
        ],
    }


def test_the_replicas_are_those_of_the_hint():
    assert value(metric="tidecast-replicas")["items"][0]["value"] == "8"


def test_a_load_a_hair_above_what_the_replicas_carry_asks_for_no_more_of_them():
    hint = dataclasses.replace(decided(800.0), load=800.00004)

    assert value(board(entry(hint=hint)))["items"][0]["value"] == "800"


def test_a_load_that_is_no_number_is_withheld():
    hint = dataclasses.replace(decided(750.0), load=float("nan"), capacity=Capacity(float("nan")))

    assert refused(board(entry(hint=hint))) == (503, "the hint cannot be told: nan is not a number from 0 to 9.22e+15")


@pytest.mark.parametrize(
    "selector",
    ["forecast=checkout", "forecast in (checkout, unheard-of)", "forecast!=cart", "forecast notin (cart),!team"],
)
def test_a_selector_that_picks_one_forecast_will_do(selector):
    answer = value(board(CART, CHECKOUT), selector=selector)

    assert [item["metricLabels"] for item in answer["items"]] == [{"forecast": "checkout"}]


@pytest.mark.parametrize("selector", ["forecast", "forecast in (cart,checkout)", "forecast!=web"])
def test_a_selector_that_picks_several_is_told_which(selector):
    code, text = refused(board(CART, CHECKOUT), selector=selector)

    assert code == 400
    assert "picks 2 forecasts (cart, checkout)" in text


@pytest.mark.parametrize("selector", ["", "team=shop", "!team"])
def test_a_selector_without_the_label_is_told_what_to_write(selector):
    assert refused(selector=selector) == (
        400,
        "which forecast is not said: write a selector as in matchLabels: {forecast: checkout}",
    )


def test_a_broken_selector_is_told_where():
    assert refused(selector="forecast in checkout")[0] == 400


def test_forecasts_of_other_namespaces_are_not_seen():
    assert refused(namespace="other")[0] == 404
    assert value(board(CHECKOUT, entry(namespace="other", name="cart")), selector="forecast")["items"]


def test_an_unknown_forecast_is_told_so():
    code, text = refused(selector="forecast=cart")

    assert code == 404
    assert "no ServicePerformanceForecast cart with spec.scaling in namespace shop" in text


@pytest.mark.parametrize("selector", ["forecast!=checkout", "!forecast", "forecast=checkout,team=shop"])
def test_a_selector_that_picks_none_is_told_so(selector):
    code, text = refused(selector=selector)

    assert code == 404
    assert f"matches {selector!r}" in text


def test_an_unknown_metric_is_told_which_there_are():
    assert refused(metric="tidecast-rps") == (
        404,
        "there is no metric 'tidecast-rps'; there are tidecast-load, tidecast-replicas",
    )


def test_what_is_withheld_is_told_why():
    assert refused(board(entry(withheld="NoSkill: 12 percent worse than last value"))) == (
        503,
        "NoSkill: 12 percent worse than last value",
    )


def test_an_expired_forecast_is_an_error_and_no_value():
    assert value(now=NOW + 539)
    assert refused(now=NOW + 540)[0] == 503


@pytest.mark.parametrize("selector", ["forecast=checkout", "forecast", "forecast in (a,b)"])
def test_before_the_first_cycle_nothing_is_unknown(selector):
    assert refused(board(is_known=False), selector=selector) == (503, "no cycle has completed since the start")
