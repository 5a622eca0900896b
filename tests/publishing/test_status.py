import json

import numpy as np

from builders.snapshots import CHECKOUT, FRONTEND, MIDDAY, forecast, snapshot
from tidecast_contract.features import FEATURES, FORECAST_FEATURES, MEMORY, READY_REPLICAS, REQUESTS
from tidecast_contract.forecast import QUANTILES, ModelKind
from tidecast_contract.services import ServiceId
from tidecast_operator.publishing.status import MAX_BYTES, Statuses, merged
from tidecast_operator.settings import METRICS


def status_of(service=CHECKOUT, *, metrics=METRICS, window=None, valid_steps=1, **changes):
    return Statuses(window or snapshot(), forecast(**changes), metrics=metrics, valid_steps=valid_steps).of(service)


def rising(steps, feature=REQUESTS):
    """Values of two services that are their step's number, from 1, in every quantile."""
    values = np.zeros((2, len(FORECAST_FEATURES), steps, len(QUANTILES)), dtype=np.float32)
    values[:, FORECAST_FEATURES.index(feature)] = np.arange(1, steps + 1, dtype=np.float32).reshape(-1, 1)
    return values


def test_a_short_horizon_is_shown_step_by_step():
    row = status_of(values=rising(4))["forecasts"][0]

    assert row["startTime"] == "2027-01-15T12:01:00Z"
    assert row["stepSeconds"] == 60
    assert row["quantiles"][1] == {"quantile": "0.5", "values": ["1", "2", "3", "4"]}


def test_of_a_long_horizon_every_third_step_is_shown_and_the_last_one_always():
    row = status_of(values=rising(32))["forecasts"][0]

    assert row["quantiles"][1]["values"] == ["2", "5", "8", "11", "14", "17", "20", "23", "26", "29", "32"]
    assert (row["startTime"], row["stepSeconds"]) == ("2027-01-15T12:02:00Z", 180)


def test_the_peak_looks_at_steps_that_are_not_shown():
    values = rising(30)
    values[:, 0, 3] = 77

    assert status_of(values=values)["peak"] == {
        "metric": "RequestsPerSecond",
        "time": "2027-01-15T12:04:00Z",
        "p50": "77",
        "p90": "77",
    }


def test_the_outlook_holds_the_columns():
    outlook = status_of(values=rising(30))["outlook"]

    assert outlook["target"] == "Deployment/checkout"
    assert outlook["requestsPerSecondIn5Minutes"] == "5"
    assert outlook["requestsPerSecondIn30Minutes"] == "30"


def test_an_outlook_beyond_the_horizon_is_absent():
    assert "requestsPerSecondIn30Minutes" not in status_of(values=rising(29))["outlook"]


def test_a_spread_that_is_not_known_is_absent():
    values = rising(4)
    values[..., 0] = values[..., 2] = np.nan

    status = status_of(values=values)

    assert [row["quantile"] for row in status["forecasts"][0]["quantiles"]] == ["0.5"]
    assert "p90" not in status["peak"]


def test_a_metric_without_a_median_is_absent():
    values = rising(4)
    values[:, FORECAST_FEATURES.index(MEMORY)] = np.nan

    assert "Memory" not in [row["metric"] for row in status_of(values=values)["forecasts"]]


def test_a_measurement_that_is_missing_is_absent_and_a_zero_is_there():
    window = snapshot()
    window.values[-1, 1] = np.nan
    window.values[-1, 1, FEATURES.index(REQUESTS)] = 0
    window.values[-1, 1, FEATURES.index(READY_REPLICAS)] = 3

    assert status_of(window=window)["current"] == {"requestsPerSecond": "0", "readyReplicas": 3}


def test_a_service_without_a_forecast_has_no_status():
    assert status_of(kinds=(ModelKind.GCN_GRU, ModelKind.NONE)) is None
    assert status_of(ServiceId("shop", "Deployment", "unknown")) is None


def test_only_the_metrics_that_were_asked_for_are_shown():
    assert [row["metric"] for row in status_of(metrics=("CPU",))["forecasts"]] == ["CPU"]


def test_a_service_knows_its_neighbours():
    assert status_of(CHECKOUT)["callers"] == [{"namespace": "shop", "name": "frontend", "requestsPerSecond": "2"}]
    assert status_of(FRONTEND)["callees"] == [{"namespace": "shop", "name": "checkout", "requestsPerSecond": "2"}]


def test_the_ten_busiest_neighbours_are_shown():
    services = (CHECKOUT, *(ServiceId("shop", "Deployment", f"caller-{number:02}") for number in range(15)))
    window = snapshot(
        services=services,
        calls=np.array([range(1, 16), [0] * 15], dtype=np.int64),
        rates=np.arange(15, dtype=np.float32),
    )

    names = [row["name"] for row in status_of(window=window)["callers"]]

    assert names == [f"caller-{number:02}" for number in range(14, 4, -1)]


def test_the_longest_names_keep_within_six_kibibytes():
    long = [ServiceId("n" * 63, "StatefulSet", f"{number:02}" + "x" * 251) for number in range(25)]
    window = snapshot(
        services=(CHECKOUT, *long),
        calls=np.array([[*range(1, 26), *[0] * 25], [*[0] * 25, *range(1, 26)]], dtype=np.int64),
        rates=np.full(50, 1234.5, dtype=np.float32),
    )
    noisy = np.random.default_rng(0).uniform(0.1, 1e6, (26, 6, 30, 3)).astype(np.float32)
    values = np.sort(noisy, axis=3)

    status = status_of(window=window, services=window.services, values=values, kinds=(ModelKind.GCN_GRU,) * 26)

    assert len(json.dumps(status, separators=(",", ":"))) < MAX_BYTES - 2400  # the conditions' part
    assert "callers" in status or "callees" in status


def test_what_a_new_status_lacks_is_removed():
    patch = merged({"model": {"kind": "LastValue"}, "current": {}, "conditions": []})

    assert patch["model"] == {"kind": "LastValue", "version": None, "trainedTime": None}
    assert patch["current"]["cpuCores"] is None
    assert patch["callers"] is None


def test_the_forecast_expires_ten_steps_after_its_issue():
    status = status_of()

    assert status["issuedTime"] == "2027-01-15T12:00:00Z"
    assert status["expireTime"] == "2027-01-15T12:10:00Z"
    assert MIDDAY == 1_800_014_400


def test_where_renewal_takes_longer_a_forecast_stands_longer_within_its_horizon():
    assert status_of(values=rising(30), valid_steps=16)["expireTime"] == "2027-01-15T12:16:00Z"
    assert status_of(values=rising(30), valid_steps=99)["expireTime"] == "2027-01-15T12:30:00Z"
    assert status_of(values=rising(4), valid_steps=99)["expireTime"] == "2027-01-15T12:10:00Z"
