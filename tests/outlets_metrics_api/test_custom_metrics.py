import pytest

from builders.hints import NOW, entry
from builders.metrics_api import board
from tidecast_operator.outlets.metrics_api.answers import Refused
from tidecast_operator.outlets.metrics_api.custom import Wanted, values

THREE = board(entry(), entry(name="cart"), entry(name="web", withheld="TooFewSamples"))


def value(shown=None, forecast="checkout", metric="tidecast-load", **selectors):
    return values(shown or board(), Wanted("shop", forecast, metric, **selectors), now=NOW)


def refused(*arguments, **named):
    with pytest.raises(Refused) as caught:
        value(*arguments, **named)
    return caught.value.code, str(caught.value)


def described(answer):
    return [item["describedObject"]["name"] for item in answer["items"]]


def test_the_forecast_is_the_described_object():
    assert value() == {
        "kind": "MetricValueList",
        "apiVersion": "custom.metrics.k8s.io/v1beta2",
        "metadata": {},
        "items": [
            {
                "describedObject": {
                    "kind": "ServicePerformanceForecast",
                    "namespace": "shop",
                    "name": "checkout",
                    "apiVersion": "tidecast.dev/v1alpha1",
                },
                "metric": {"name": "tidecast-load", "selector": None},
                "timestamp": "2027-01-15T07:59:00Z",
                "windowSeconds": 180,
                "value": "750",
            }
        ],
    }


def test_a_name_brings_one_of_several():
    assert described(value(THREE, forecast="cart", metric="tidecast-replicas")) == ["cart"]


def test_a_star_brings_those_that_are_offered():
    assert described(value(THREE, forecast="*")) == ["cart", "checkout"]


def test_a_selector_picks_among_all():
    assert described(value(THREE, forecast="*", selector="forecast in (checkout,web)")) == ["checkout"]


def test_a_star_where_all_are_withheld_is_told_why():
    assert refused(THREE, forecast="*", selector="forecast=web") == (503, "TooFewSamples")


@pytest.mark.parametrize("selector", ["forecast=unheard-of", "team=shop"])
def test_a_star_where_none_matches_is_unknown(selector):
    assert refused(forecast="*", selector=selector)[0] == 404


def test_a_star_before_the_first_cycle_is_withheld():
    assert refused(board(is_known=False), forecast="*")[0] == 503


def test_unknown_and_withheld_are_told_apart():
    assert refused(forecast="unheard-of")[0] == 404
    assert refused(THREE, forecast="web")[0] == 503


def test_an_unknown_metric_is_told_which_there_are():
    assert refused(metric="cpu") == (404, "there is no metric 'cpu'; there are tidecast-load, tidecast-replicas")


def test_a_metric_has_no_labels_to_select():
    assert value(metric_selector="!team")
    assert refused(metric_selector="team=shop")[0] == 404
    assert refused(metric_selector="team in shop")[0] == 400
