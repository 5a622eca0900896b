"""
Each alert fires on what it is for and on nothing else, and waits as long as it should: on promtool, which has
Prometheus' own engine. What goes wrong begins at the end of the first hour.
"""

from typing import NamedTuple

import pytest

from builders.alerts import (
    CHECKOUT,
    CUSTOM,
    EXTERNAL,
    LEADER,
    OUTLETS,
    PREDICTOR,
    STANDBY,
    complaints,
    condition,
    only,
    rising,
    rules,
    service,
    steady,
    then,
    unavailable,
    well,
)

pytestmark = pytest.mark.real("promtool")
HOUR = steady(1, 60)
SKILL = [f"tidecast_forecast_skill_ratio{{{service(n)}}}" for n in range(3)]


class Trouble(NamedTuple):
    """What is other than it should be, the last moment without the alert, and one with it."""

    alert: str
    changes: dict[str, str]
    quiet: str
    fires: str


def turned(of: str, good: str, bad: str) -> dict[str, str]:
    """A condition that becomes False after an hour."""
    return {
        condition(of, "True", good): then(HOUR, "stale"),
        condition(of, "False", bad): then("_x60", steady(1)),
    }


def gone(*words: str) -> dict[str, str]:
    """Series that end after an hour, whatever they were."""
    return {
        name: then(values.replace(f"x{12 * 60 - 1}", "x59"), "stale")
        for name, values in well().items()
        if any(word in name for word in words)
    }


def cut_off(follower):
    """It hears nobody from the end of the first hour on."""
    return {
        f"tidecast_relay_connected{{{follower}}}": then(HOUR, steady(0)),
        f"tidecast_board_age_seconds{{{follower}}}": then(steady(20, 60), rising(60, 80)),
    }


EXPIRED = {f"tidecast_forecast_expire_timestamp_seconds{{{LEADER}}}": then(rising(60, 540, 60), steady(4080))}
TROUBLES = {
    "the operator is gone": Trouble("TidecastOperatorDown", gone("tidecast-operator"), "69m", "75m"),
    "the operator is gone for half a day": Trouble("TidecastOperatorDown", gone("tidecast-operator"), "60m", "720m"),
    "nobody leads": Trouble(
        "TidecastOperatorDown", {f"tidecast_leader{{{LEADER}}}": then(HOUR, steady(0))}, "69m", "75m"
    ),
    "the leader hangs while the other stands by": Trouble(
        "TidecastCycleTooOld",
        {f"tidecast_last_cycle_timestamp_seconds{{{LEADER}}}": then(rising(60, 0, 60), steady(3540))},
        "74m",
        "80m",
    ),
    "the leader hangs before the first forecast": Trouble(
        "TidecastCycleTooOld",
        {
            f"tidecast_last_cycle_timestamp_seconds{{{LEADER}}}": then(rising(60, 0, 60), steady(3540)),
            f"tidecast_forecast_step_seconds{{{LEADER}}}": "stale",
        },
        "74m",
        "80m",
    ),
    "the leader hangs at steps of five minutes": Trouble(
        "TidecastCycleTooOld",
        {
            f"tidecast_last_cycle_timestamp_seconds{{{LEADER}}}": then(rising(60, 0, 60), steady(3540)),
            f"tidecast_forecast_step_seconds{{{LEADER}}}": steady(300),
        },
        "88m",
        "95m",
    ),
    "writes are refused": Trouble(
        "TidecastCyclesFailing",
        {
            f'tidecast_cycles_total{{outcome="Forecast", {LEADER}}}': then(rising(1, 0, 60), steady(60)),
            f'tidecast_cycles_total{{outcome="ApiServerUnavailable", {LEADER}}}': then(steady(0, 60), rising(1)),
        },
        "88m",
        "95m",
    ),
    "cycles break": Trouble(
        "TidecastCyclesFailing",
        {
            f'tidecast_cycles_total{{outcome="Forecast", {LEADER}}}': then(rising(1, 0, 60), steady(60)),
            f'tidecast_cycles_total{{outcome="Failed", {LEADER}}}': then(steady(0, 60), rising(1)),
        },
        "88m",
        "95m",
    ),
    "cycles fill their steps": Trouble(
        "TidecastCycleTooSlow",
        {f'tidecast_cycle_stage_seconds_sum{{stage="write", {LEADER}}}': then(rising(3, 0, 60), rising(60, 180))},
        "105m",
        "130m",
    ),
    "the spec is not valid": Trouble(
        "TidecastForecasterInvalid", turned("Ready", "Forecasting", "InvalidSpec"), "74m", "76m"
    ),
    "Prometheus is away": Trouble(
        "TidecastPrometheusUnreachable", turned("PrometheusReachable", "Answers", "PrometheusUnavailable"), "69m", "71m"
    ),
    "telemetry ends": Trouble("TidecastTelemetryLost", turned("TelemetryFound", "Found", "NoTelemetry"), "74m", "76m"),
    "a certificate is not renewed": Trouble(
        "TidecastCertificateNotRenewed",
        {
            f'tidecast_certificate_expiry_timestamp_seconds{{secret="tidecast-operator-tls", {LEADER}}}': steady(
                7 * 86_400
            )
        },
        "59m",
        "65m",
    ),
    "pods that only answer are cut off": Trouble("TidecastFollowerCutOff", cut_off(OUTLETS), "68m", "70m"),
    "an operator that stands by is cut off": Trouble("TidecastFollowerCutOff", cut_off(STANDBY), "68m", "70m"),
    "a pod that was started meanwhile never heard of a cycle": Trouble(
        "TidecastFollowerCutOff",
        {
            f"tidecast_relay_connected{{{OUTLETS}}}": then("_x60", steady(0)),
            f"tidecast_board_age_seconds{{{OUTLETS}}}": "stale",
        },
        "64m",
        "66m",
    ),
    "boards do not come through a connection that stands": Trouble(
        "TidecastFollowerCutOff", cut_off(OUTLETS) | {f"tidecast_relay_connected{{{OUTLETS}}}": steady(1)}, "68m", "70m"
    ),
    "the API server does not reach the external metrics": Trouble(
        "TidecastMetricsApiUnavailable", {unavailable(EXTERNAL): then(steady(0, 60), steady(1))}, "69m", "71m"
    ),
    "one of two API servers does not reach the custom metrics": Trouble(
        "TidecastMetricsApiUnavailable",
        {unavailable(CUSTOM).replace("control-plane", "second"): then(steady(0, 60), steady(1))},
        "69m",
        "71m",
    ),
    "the predictor is away": Trouble(
        "TidecastPredictorDown", turned("PredictorReachable", "Answers", "PredictorUnavailable"), "74m", "76m"
    ),
    "the history stands still": Trouble(
        "TidecastHistoryNotGrowing",
        {f"tidecast_predictor_history_end_timestamp_seconds{{{PREDICTOR}}}": then(rising(60, 0, 60), steady(3540))},
        "103m",
        "110m",
    ),
    "the history never begins": Trouble(
        "TidecastHistoryNotGrowing",
        {f"tidecast_predictor_history_end_timestamp_seconds{{{PREDICTOR}}}": steady(0)},
        "44m",
        "50m",
    ),
    "trainings fail and are tried again": Trouble(
        "TidecastTrainingFailing",
        {
            f'tidecast_predictor_training_state{{state="Failed", {PREDICTOR}}}': then(
                steady(0, 60), *[then(steady(1, 10), steady(0, 2))] * 40
            )
        },
        "179m",
        "185m",
    ),
    "the forecast has expired": Trouble("TidecastForecastStale", EXPIRED, "77m", "85m"),
    "the forecast has expired and a restart forgot it": Trouble(
        "TidecastForecastStale",
        {f"tidecast_forecast_expire_timestamp_seconds{{{LEADER}}}": then(rising(60, 540, 60), "stale")},
        "78m",
        "85m",
    ),
    "most forecasts have no skill": Trouble(
        "TidecastNoSkill", {name: then(steady(0.3, 60), steady(-0.1)) for name in SKILL[:2]}, "419m", "425m"
    ),
    "a hint is wanted and not offered": Trouble(
        "TidecastHintNotOffered",
        {f'tidecast_hint_offered{{mode="Active", {CHECKOUT}}}': then(HOUR, steady(0))},
        "239m",
        "245m",
    ),
    "a floor is given back by force": Trouble(
        "TidecastFloorGivenBackByForce",
        {f"tidecast_floors_forced_timestamp_seconds{{{LEADER}}}": then("_x60", steady(3600))},
        "60m",
        "70m",
    ),
    "a floor cannot be given back": Trouble(
        "TidecastFloorsStuck",
        {
            f"tidecast_floors_left{{{LEADER}}}": then(steady(0, 60), steady(1)),
            f"tidecast_floors_complete{{{LEADER}}}": then(HOUR, steady(0)),
        },
        "74m",
        "76m",
    ),
    "resources are left out": Trouble(
        "TidecastResourcesLeftOut",
        {f"tidecast_forecast_resources_left_out{{{LEADER}}}": then(steady(0, 60), steady(7))},
        "119m",
        "121m",
    ),
    "services are left out": Trouble(
        "TidecastResourcesLeftOut",
        {f"tidecast_forecast_services_left_out{{{LEADER}}}": then(steady(0, 60), steady(7))},
        "119m",
        "121m",
    ),
}


def test_every_alert_has_a_case_here():
    assert {trouble.alert for trouble in TROUBLES.values()} == {rule["alert"] for rule in rules()}


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
def test_an_alert_fires_alone_and_not_before_its_time(trouble, tmp_path):
    series = well() | trouble.changes

    assert not complaints(series, {trouble.quiet: set(), trouble.fires: {trouble.alert}}, tmp_path)


def test_where_all_is_well_nothing_fires(tmp_path):
    assert not complaints(well(), {at: set() for at in ("1m", "30m", "3h", "7h", "12h")}, tmp_path)


def test_a_prometheus_without_any_series_fires_nothing(tmp_path):
    assert not complaints({}, {at: set() for at in ("1m", "1h", "12h")}, tmp_path)


@pytest.mark.parametrize("name", ["v1beta1.metrics.k8s.io", "v1beta1.custom.metrics.k8s.io"])
def test_an_api_of_somebody_else_that_is_not_reached_fires_nothing(tmp_path, name):
    assert not complaints(well() | {unavailable(name): steady(1)}, {"30m": set(), "3h": set()}, tmp_path)


def test_an_api_that_was_not_reached_for_a_moment_fires_nothing(tmp_path):
    moment = {unavailable(EXTERNAL): then(steady(0, 60), steady(1, 9), steady(0))}

    assert not complaints(well() | moment, {"68m": set(), "75m": set(), "90m": set()}, tmp_path)


def first_install():
    """Images are pulled for two minutes, the predictor takes ten more, and history is short: a simple method speaks."""
    hours = 12 * 60
    waiting = ("_x2",)
    series = {
        name: then(*waiting, steady(1, hours))
        for name in (f"tidecast_leader{{{LEADER}}}", condition("PrometheusReachable", "True", "Answers"))
    }
    return series | {
        f"tidecast_last_cycle_timestamp_seconds{{{LEADER}}}": then(*waiting, rising(60, 120)),
        f'tidecast_cycles_total{{outcome="NoPrediction", {LEADER}}}': then(*waiting, rising(1, 1, 10), steady(10)),
        f'tidecast_cycles_total{{outcome="Forecast", {LEADER}}}': then("_x12", rising(1, 1)),
        condition("TelemetryFound", "True", "Found"): then(*waiting, steady(1)),
        condition("PredictorReachable", "False", "PredictorUnavailable"): then(*waiting, steady(1, 10), "stale"),
        condition("PredictorReachable", "True", "Answers"): then("_x12", steady(1)),
        condition("ModelReady", "False", "NoModelYet"): then("_x12", steady(1)),
        condition("Ready", "False", "PredictorUnavailable"): then(*waiting, steady(1, 10), "stale"),
        condition("Ready", "True", "Forecasting"): then("_x12", steady(1)),
        f"tidecast_forecast_step_seconds{{{LEADER}}}": then("_x12", steady(60)),
        f"tidecast_forecast_expire_timestamp_seconds{{{LEADER}}}": then("_x12", rising(60, 720 + 540)),
        f"tidecast_predictor_ready{{{PREDICTOR}}}": then("_x8", steady(0, 4), steady(1)),
        f"tidecast_predictor_history_end_timestamp_seconds{{{PREDICTOR}}}": then("_x12", "0", rising(60, 780)),
        f'tidecast_predictor_training_state{{state="Failed", {PREDICTOR}}}': then("_x12", steady(0)),
        # Last value speaks, which is no better than itself.
        **{name: then("_x43", steady(0)) for name in SKILL},
        **{f"tidecast_forecast_samples{{{service(n)}}}": then("_x13", rising(1, 1)) for n in range(3)},
        f'tidecast_hint_offered{{mode="Preview", {CHECKOUT}}}': then("_x13", steady(0)),
    }


def test_a_first_install_fires_nothing(tmp_path):
    assert not complaints(first_install(), {f"{at}m": set() for at in (1, 5, 12, 15, 30, 60, 180, 420, 700)}, tmp_path)


def test_an_install_without_telemetry_or_a_forecaster_fires_nothing(tmp_path):
    series = {
        f"tidecast_leader{{{LEADER}}}": steady(1),
        f"tidecast_last_cycle_timestamp_seconds{{{LEADER}}}": rising(60),
        f'tidecast_cycles_total{{outcome="NoForecaster", {LEADER}}}': then(rising(1, 0, 200), steady(200)),
        f'tidecast_cycles_total{{outcome="NoTelemetry", {LEADER}}}': then("_x200", rising(1)),
        condition("TelemetryFound", "False", "NoTelemetry"): then("_x200", steady(1)),
        condition("PredictorReachable", "Unknown", "NotTried"): then("_x200", steady(1)),
        f"tidecast_predictor_history_end_timestamp_seconds{{{PREDICTOR}}}": steady(0),
        f"tidecast_predictor_ready{{{PREDICTOR}}}": steady(1),
    }

    assert not complaints(series, {at: set() for at in ("30m", "3h", "5h", "11h")}, tmp_path)


def test_what_is_shown_in_preview_fires_nothing(tmp_path):
    series = well() | {name: steady(-1) for name in SKILL}
    del series[f'tidecast_hint_offered{{mode="Active", {CHECKOUT}}}']
    series[f'tidecast_hint_offered{{mode="Preview", {CHECKOUT}}}'] = steady(0)
    series[f"tidecast_forecast_trusted{{{CHECKOUT}}}"] = steady(0)

    assert not complaints(series, {at: set() for at in ("1h", "7h", "12h")}, tmp_path)


def test_a_simple_method_that_speaks_for_an_active_hint_is_no_want_of_skill(tmp_path):
    learning = {
        condition("ModelReady", "True", "ModelTrained"): "stale",
        condition("ModelReady", "False", "NoModelYet"): steady(1),
    }

    assert not complaints(
        well() | learning | {name: steady(0) for name in SKILL}, {"7h": set(), "12h": set()}, tmp_path
    )


def test_a_hand_over_fires_nothing(tmp_path):
    first = {name: values for name, values in gone("tidecast-operator").items() if "standby" not in name}
    second = {
        name.replace('instance="leader"', 'instance="standby"'): then("_x61", values)
        for name, values in well().items()
        if 'instance="leader"' in name and "cycles_total" not in name
    }
    clocks = only(["last_cycle"], second, rising(60)) | only(["expire"], second, then("_x61", rising(60, 4200)))
    leading = {f"tidecast_leader{{{STANDBY}}}": then(steady(0, 61), steady(1))}

    assert not complaints(
        well() | first | second | clocks | leading, {f"{at}m": set() for at in (62, 75, 90, 300, 700)}, tmp_path
    )


def test_a_restart_of_everything_within_ten_minutes_fires_nothing(tmp_path):
    back = {
        name: then(values.replace(f"x{12 * 60 - 1}", "x59"), "stale _x7", _again(name, values))
        for name, values in well().items()
    }

    assert not complaints(back, {f"{at}m": set() for at in (60, 66, 68, 75, 90, 120)}, tmp_path)


def _again(name, values):
    """The series after eight minutes of absence: clocks go on, counters begin anew."""
    if "timestamp" in name:
        start, by = values.split("+")
        return f"{int(start) + 68 * 60}+{by}"
    return values


def test_when_all_hints_are_withheld_for_want_of_a_forecast_that_alone_is_told(tmp_path):
    withheld = {f'tidecast_hint_offered{{mode="Active", {CHECKOUT}}}': then(HOUR, steady(0))}

    assert not complaints(well() | EXPIRED | withheld, {"300m": {"TidecastForecastStale"}}, tmp_path)


def test_a_forecaster_that_was_taken_away_is_no_stale_forecast(tmp_path):
    cycles = {f'tidecast_cycles_total{{outcome="NoForecaster", {LEADER}}}': then("_x60", rising(1, 1))}

    assert not complaints(well() | EXPIRED | cycles, {"90m": set(), "300m": set()}, tmp_path)


def test_a_floor_that_was_given_back_by_force_is_told_for_half_an_hour(tmp_path):
    forced = {f"tidecast_floors_forced_timestamp_seconds{{{LEADER}}}": then("_x60", steady(3600))}

    assert not complaints(well() | forced, {"88m": {"TidecastFloorGivenBackByForce"}, "95m": set()}, tmp_path)


def test_a_release_that_is_well_does_not_hide_another_that_is_not(tmp_path):
    second = {name.replace("tidecast-system", "team-b"): values for name, values in gone("tidecast-operator").items()}

    assert not complaints(well() | second, {"75m": {"TidecastOperatorDown"}}, tmp_path)


def test_a_cluster_that_is_well_does_not_hide_another_that_is_not(tmp_path):
    here = {name.replace("{", '{cluster="a", '): values for name, values in well().items()}
    there = {name.replace("{", '{cluster="b", '): values for name, values in gone("tidecast-operator").items()}

    assert not complaints(here | there, {"75m": {"TidecastOperatorDown"}}, tmp_path)
