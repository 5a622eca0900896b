from dataclasses import replace

import numpy as np
import pytest

from builders.operating import forecast_body
from tidecast_contract.features import CPU, FEATURES, FORECAST_FEATURES, READY_REPLICAS, REQUESTS, index_of
from tidecast_contract.forecast import QUANTILES, Forecast, ModelInfo, ModelKind
from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot
from tidecast_operator.hints.capacity import Capacity
from tidecast_operator.hints.keeper import HintKeeper, Seen
from tidecast_operator.resources import ForecastResource

NOW, STEP, HORIZON = 1_800_000_000, 60, 30
CHECKOUT = ServiceId("shop", "Deployment", "checkout")
KEY = ("shop", "checkout")


def resource(**scaling):
    return ForecastResource.parse(forecast_body(scaling={"perReplica": "100"} | scaling))


def window(replicas=5.0, end_time=NOW):
    values = np.full((10, 1, len(FEATURES)), np.nan, np.float32)
    values[..., index_of(REQUESTS)] = 300
    values[..., index_of(READY_REPLICAS)] = replicas
    return Snapshot(end_time, STEP, (CHECKOUT,), values, np.zeros((2, 0), np.int64), np.zeros(0, np.float32))


def forecast(load=lambda step: 300 + 100.0 * step, feature=REQUESTS, issued_time=NOW):
    """The p90 is the load at each step ahead, from 1 on."""
    values = np.full((1, len(FORECAST_FEATURES), HORIZON, len(QUANTILES)), np.nan, np.float32)
    p90 = np.array([load(step) for step in range(1, HORIZON + 1)])
    values[0, FORECAST_FEATURES.index(feature)] = p90[:, None] * [0.8, 0.9, 1.0]
    return Forecast(
        issued_time, STEP, (CHECKOUT,), QUANTILES, values, (ModelKind.GCN_GRU,), ModelInfo(ModelKind.GCN_GRU)
    )


def keeper():
    return HintKeeper(valid_steps=10)


def hinted(one, *, now=NOW, capacities=None, seen=None, kept=None):
    seen = seen or Seen(now, window(), forecast(), capacities)
    return (kept or keeper()).after(seen, [one])[KEY]


class Knows:
    """Knows what a replica carries."""

    def of(self, service, feature):
        return {(CHECKOUT, REQUESTS): Capacity(200.0, 500), (CHECKOUT, CPU): Capacity(0.5, 500)}.get((service, feature))


def test_the_hint_covers_the_lead_time_and_one_step_more():
    # 180 s and 60 s ahead is the fourth step: 700 requests/s.
    assert hinted(resource(leadTimeSeconds=180)).hint.replicas == 7


def test_as_time_goes_on_the_same_forecast_is_read_further_on():
    kept = keeper()
    hinted(resource(), kept=kept)

    later = hinted(resource(), seen=Seen(NOW + 120, window(), None), kept=kept)

    assert later.hint.replicas == 9


def test_a_forecast_that_has_expired_gives_no_hint():
    kept = keeper()
    hinted(resource(), kept=kept)

    later = hinted(resource(), seen=Seen(NOW + 600, window(), None), kept=kept)

    assert (later.hint, later.reason) == (None, "NoForecast")


def test_a_hint_expires_with_its_forecast():
    found = hinted(resource())

    assert (found.issued_time, found.expire_time) == (NOW, NOW + 600)


def test_what_a_replica_carries_is_learned_where_it_is_not_given():
    one = replace(resource(), scaling={})

    assert hinted(one, capacities=Knows()).hint.replicas == 4
    assert hinted(one).reason == "CapacityUnknown"


def test_a_signal_of_its_own_is_followed():
    one = replace(resource(), scaling={"signal": "CPU"})
    seen = Seen(NOW, window(), forecast(lambda _: 2.4, feature=CPU), Knows())

    assert hinted(one, seen=seen).hint.replicas == 5


def test_a_signal_that_is_not_forecast_gives_no_hint():
    assert hinted(resource(signal="CPU")).reason == "DemandUnknown"


def test_a_spec_that_cannot_be_followed_says_why():
    found = hinted(resource(quantile="0.2"))

    assert (found.scaling, found.hint, found.reason) == (None, None, "InvalidScaling")
    assert "spec.scaling.quantile" in found.message


def test_a_suspended_resource_gets_none():
    assert hinted(replace(resource(), suspend=True)).hint is None


def test_a_resource_without_scaling_is_left_out():
    one = ForecastResource.parse(forecast_body())

    assert keeper().after(Seen(NOW, window(), forecast()), [one]) == {}


@pytest.mark.parametrize(("replicas", "told"), [(5.0, 5), (np.nan, None), (0.0, 0)])
def test_ready_replicas_are_told_as_measured_and_absent_where_not(replicas, told):
    found = hinted(resource(), seen=Seen(NOW, window(replicas), forecast()))

    assert found.hint.current_replicas == told


def test_a_hint_is_held_from_one_cycle_to_the_next():
    kept = keeper()
    hinted(resource(), seen=Seen(NOW, window(), forecast(lambda _: 900.0)), kept=kept)

    later = Seen(NOW + 60, window(end_time=NOW + 60), forecast(lambda _: 100.0, issued_time=NOW + 60))

    assert hinted(resource(), seen=later, kept=kept).hint.replicas == 9


def test_another_object_of_the_same_name_begins_without_a_past():
    kept = keeper()
    hinted(resource(), seen=Seen(NOW, window(), forecast(lambda _: 900.0)), kept=kept)

    later = Seen(NOW + 60, window(end_time=NOW + 60), forecast(lambda _: 100.0, issued_time=NOW + 60))

    assert hinted(replace(resource(), uid="another"), seen=later, kept=kept).hint.replicas == 1
