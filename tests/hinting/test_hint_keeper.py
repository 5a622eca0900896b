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
from tidecast_operator.published import to_time
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


def test_a_floor_is_held_from_one_cycle_to_the_next():
    kept = keeper()
    hinted(resource(), seen=Seen(NOW, window(), forecast(lambda _: 900.0)), kept=kept)

    later = Seen(NOW + 60, window(end_time=NOW + 60), forecast(lambda _: 100.0, issued_time=NOW + 60))

    assert hinted(resource(), seen=later, kept=kept).hint.floor == 9


def test_another_object_of_the_same_name_begins_without_a_past():
    kept = keeper()
    hinted(resource(), seen=Seen(NOW, window(), forecast(lambda _: 900.0)), kept=kept)

    later = Seen(NOW + 60, window(end_time=NOW + 60), forecast(lambda _: 100.0, issued_time=NOW + 60))

    assert hinted(replace(resource(), uid="another"), seen=later, kept=kept).hint.replicas == 1


def told(*, replicas=9, floor=None, evidence="", expires=NOW + 300, generation=1, **scaling):
    """A resource whose status tells a hint, as after a restart."""
    status = {
        "issuedTime": to_time(NOW - 60),
        "expireTime": to_time(expires),
        "hint": {
            "replicas": replicas,
            "load": "850",
            "perReplica": "100",
            "effectiveTime": to_time(NOW + 120),
            "reason": "because",
        }
        | ({"evidence": evidence} if evidence else {})
        | ({"floorReplicas": floor} if floor else {}),
        "conditions": [{"type": "Ready", "status": "True", "observedGeneration": generation}],
    }
    spec = {"perReplica": None if evidence else "100"} | scaling
    return ForecastResource.parse(forecast_body(scaling=spec) | {"status": status})


NOTHING = Seen(NOW)


def test_after_a_restart_a_hint_goes_on_until_its_forecast_expires():
    kept, one = keeper(), told()

    now = kept.after(NOTHING, [one])[KEY]
    later = kept.after(Seen(NOW + 300), [one])[KEY]

    assert (now.hint.replicas, now.expire_time) == (9, NOW + 300)
    assert (later.hint, later.reason) == (None, "NoForecast")


@pytest.mark.parametrize(("floor", "held"), [(None, 9), (12, 12)], ids=["the hint", "a floor above the hint"])
def test_after_a_restart_the_first_floor_is_held_before_it_falls_from(floor, held):
    seen = Seen(NOW, window(), forecast(lambda _: 100.0))

    assert hinted(told(floor=floor), seen=seen).hint.floor == held


@pytest.mark.parametrize(
    "changes", [{"generation": 0}, {"expires": NOW}], ids=["its spec has changed", "its forecast has expired"]
)
def test_after_a_restart_a_hint_does_not_go_on_when(changes):
    assert hinted(told(**changes), seen=NOTHING).hint is None


def test_once_there_was_a_hint_of_its_own_that_of_before_a_restart_is_over():
    kept, one = keeper(), told()
    hinted(one, kept=kept)

    later = kept.after(Seen(NOW + 299, window(), None, None), [replace(one, scaling={}, generation=2)])

    # Another spec: the capacity is not known any more, and what was told before counts for nothing.
    assert later[KEY].reason == "CapacityUnknown"


def silent(now):
    """A cycle whose forecast has no band, as the first ones of a predictor that was started anew."""
    return Seen(now, window(), forecast(lambda _: np.nan, issued_time=now // STEP * STEP))


def test_a_forecast_without_a_band_takes_nothing_back_until_the_one_before_it_expires():
    kept, one = keeper(), resource()
    before = hinted(one, kept=kept)

    assert hinted(one, seen=silent(NOW + 60), kept=kept) == before
    assert hinted(one, seen=silent(NOW + 10 * STEP - 1), kept=kept) == before
    assert hinted(one, seen=silent(NOW + 10 * STEP), kept=kept).reason == "DemandUnknown"


def test_after_a_restart_forecasts_without_a_band_do_not_put_the_end_off():
    kept, one = keeper(), told()
    later = told(expires=NOW + 900)  # its status tells of such a forecast by then

    assert hinted(one, seen=silent(NOW), kept=kept).hint.replicas == 9
    assert hinted(later, seen=silent(NOW + 299), kept=kept).hint.replicas == 9
    assert hinted(later, seen=silent(NOW + 300), kept=kept).reason == "DemandUnknown"
    assert hinted(later, seen=silent(NOW + 360), kept=kept).reason == "DemandUnknown"


@pytest.mark.parametrize("changes", [{"generation": 2}, {"suspend": True}, {"uid": "another"}])
def test_a_forecast_without_a_band_does_not_keep_up_what_was_asked_for_by_another_spec(changes):
    kept = keeper()
    hinted(resource(), kept=kept)

    assert hinted(replace(resource(), **changes), seen=silent(NOW + 60), kept=kept).hint is None


def test_after_a_restart_the_first_forecast_speaks_though_what_a_replica_carries_is_not_learned_anew_yet():
    found = hinted(told(evidence="100 requests/s a replica is the most that was seen"))

    assert (found.hint.replicas, found.hint.capacity.per_replica) == (7, 100.0)
    assert found.hint.capacity.evidence == "100 a replica was carried before"


def test_what_another_replica_told_meanwhile_counts_and_not_what_was_remembered():
    kept = keeper()
    hinted(resource(), kept=kept)
    kept.forget()

    now = NOW + 180
    found = kept.after(Seen(now), [told(replicas=20, expires=now + 300)])[KEY]

    assert (found.hint.replicas, found.expire_time) == (20, now + 300)


def test_what_was_asked_for_long_ago_lets_no_hint_rise_faster():
    kept = keeper()
    hinted(resource(), seen=Seen(NOW, window(50.0), forecast(lambda _: 9000.0)), kept=kept)

    later = NOW + 6 * 3600
    seen = Seen(later, window(5.0, later), forecast(lambda _: 9000.0, issued_time=later))

    assert hinted(resource(), seen=seen, kept=kept).hint.replicas == 10


class Learned:
    """Knows one capacity, which can be changed."""

    def __init__(self, per_replica, *, is_limit=False):
        self.capacity = Capacity(per_replica, 500, is_limit=is_limit, evidence="seen")

    def of(self, *_):
        return self.capacity


def carried(kept, per_replica, *, is_limit=False):
    seen = Seen(NOW, window(), forecast(), Learned(per_replica, is_limit=is_limit))
    return kept.after(seen, [replace(resource(), scaling={})])[KEY].hint.capacity.per_replica


def test_what_was_carried_once_is_not_forgotten_because_more_replicas_carry_less_each():
    kept = keeper()

    assert [carried(kept, amount) for amount in (100.0, 60.0, 130.0, 20.0)] == [100.0, 100.0, 130.0, 130.0]


def test_latency_that_rises_lowers_what_was_carried():
    kept = keeper()

    assert [carried(kept, 100.0), carried(kept, 80.0, is_limit=True), carried(kept, 60.0)] == [100.0, 80.0, 80.0]


def test_what_was_carried_outlives_a_restart():
    one = told(evidence="100 requests/s a replica is the most that was seen")

    found = hinted(one, seen=Seen(NOW, window(), forecast(), Learned(40.0)))

    assert found.hint.capacity.per_replica == 100.0
    assert "carried before" in found.hint.capacity.evidence
