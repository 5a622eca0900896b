"""
Series of a release over twelve hours, and what its rules make of them; told to promtool, which has Prometheus' own engine.

A series is written as it is named in a query, with one value a minute.
"""

import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from builders.documents import ROOT
from tidecast_simulator.testbed import binaries

RULES = ROOT / "charts" / "tidecast" / "files" / "monitoring" / "rules.yaml"
MINUTES = 12 * 60
WEEKS = 30 * 86_400  # until a certificate expires

RELEASE = 'namespace="tidecast-system"'
LEADER = f'{RELEASE}, job="tidecast-operator", instance="leader"'
STANDBY = f'{RELEASE}, job="tidecast-operator", instance="standby"'
OUTLETS = f'{RELEASE}, job="tidecast-outlet-server", instance="outlets"'
PREDICTOR = f'{RELEASE}, job="tidecast-predictor", instance="predictor"'
API_SERVER = 'job="apiserver", instance="control-plane"'
EXTERNAL, CUSTOM = "v1beta1.external.metrics.k8s.io", "v1beta2.custom.metrics.k8s.io"
CHECKOUT = 'namespace="shop", name="checkout", job="tidecast-operator", instance="leader"'

Series = Mapping[str, str]
"""The values of each series, in promtool's notation."""


def steady(value: float, minutes: int = MINUTES) -> str:
    """The same value, minute after minute."""
    return f"{value}+0x{minutes - 1}"


def rising(by: float = 1, start: float = 0, minutes: int = MINUTES) -> str:
    """A value that rises evenly; by 60 it is the time, since promtool's clock begins at 0."""
    return f"{start}+{by}x{minutes - 1}"


def then(*parts: str) -> str:
    """One after the other."""
    return " ".join(parts)


def condition(of: str, status: str, reason: str) -> str:
    """The name of the series of a condition of the Forecaster."""
    return f'tidecast_forecaster_condition{{type="{of}", status="{status}", reason="{reason}", {LEADER}}}'


def service(number: int) -> str:
    """The labels of what came of past forecasts of a service."""
    named = f'namespace="shop", kind="Deployment", service="service-{number}", metric="RequestsPerSecond"'
    return f'{named}, offset_seconds="300", job="tidecast-operator", instance="leader"'


def unavailable(api_service: str) -> str:
    """The name of the API server's own series about an APIService."""
    return f'aggregator_unavailable_apiservice{{name="{api_service}", {API_SERVER}}}'


def well() -> dict[str, str]:
    """A release in which nothing is wrong: two replicas, pods that only answer, a predictor, an Active hint, floors."""
    return {
        f"tidecast_leader{{{LEADER}}}": steady(1),
        f"tidecast_leader{{{STANDBY}}}": steady(0),
        f"tidecast_last_cycle_timestamp_seconds{{{LEADER}}}": rising(60),
        f"tidecast_last_cycle_timestamp_seconds{{{STANDBY}}}": rising(60),
        **{f"tidecast_board_age_seconds{{{one}}}": steady(20) for one in (LEADER, STANDBY, OUTLETS)},
        **{f"tidecast_relay_connected{{{one}}}": steady(1) for one in (STANDBY, OUTLETS)},
        f'tidecast_cycles_total{{outcome="Forecast", {LEADER}}}': rising(1),
        f'tidecast_cycles_total{{outcome="Standby", {STANDBY}}}': rising(1),
        f'tidecast_cycle_stage_seconds_sum{{stage="observe", {LEADER}}}': rising(2),
        f'tidecast_cycle_stage_seconds_sum{{stage="write", {LEADER}}}': rising(3),
        f"tidecast_forecast_step_seconds{{{LEADER}}}": steady(60),
        f"tidecast_forecast_expire_timestamp_seconds{{{LEADER}}}": rising(60, 540),
        f"tidecast_forecast_services_left_out{{{LEADER}}}": steady(0),
        f"tidecast_forecast_resources_left_out{{{LEADER}}}": steady(0),
        condition("Ready", "True", "Forecasting"): steady(1),
        condition("PrometheusReachable", "True", "Answers"): steady(1),
        condition("TelemetryFound", "True", "Found"): steady(1),
        condition("PredictorReachable", "True", "Answers"): steady(1),
        condition("ModelReady", "True", "ModelTrained"): steady(1),
        **{f"tidecast_forecast_skill_ratio{{{service(n)}}}": steady(0.3) for n in range(3)},
        **{f"tidecast_forecast_samples{{{service(n)}}}": steady(300) for n in range(3)},
        f'tidecast_hint_offered{{mode="Active", {CHECKOUT}}}': steady(1),
        f"tidecast_floors_raised{{{LEADER}}}": steady(3),
        f"tidecast_floors_left{{{LEADER}}}": steady(0),
        f"tidecast_floors_complete{{{LEADER}}}": steady(1),
        f'tidecast_certificate_expiry_timestamp_seconds{{secret="tidecast-operator-tls", {LEADER}}}': rising(60, WEEKS),
        unavailable(EXTERNAL): steady(0),
        unavailable(CUSTOM): steady(0),
        f"tidecast_predictor_ready{{{PREDICTOR}}}": steady(1),
        f"tidecast_predictor_history_end_timestamp_seconds{{{PREDICTOR}}}": rising(60),
        f'tidecast_predictor_training_state{{state="Idle", {PREDICTOR}}}': steady(1),
        f'tidecast_predictor_training_state{{state="Failed", {PREDICTOR}}}': steady(0),
    }


def only(words: Iterable[str], series: Series, values: str) -> dict[str, str]:
    """These values for all series that have a word in their name or labels."""
    return {name: values for name in series if any(word in name for word in words)}


def rules() -> list[Mapping[str, Any]]:
    """All rules of the file."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def complaints(series: Series, firing: Mapping[str, set[str]], folder: Path) -> str:
    """
    What promtool says when other alerts fire than these; empty when it is as wanted.

    Args:
        series: What Prometheus has.
        firing: The alerts that fire, by the time after the beginning, as in 90m.
        folder: For promtool's file.
    """
    checks = [
        {
            "expr": 'group by (alertname) (ALERTS{alertstate="firing"})',
            "eval_time": at,
            "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(names)],
        }
        for at, names in firing.items()
    ]
    return _promtool(series, {"promql_expr_test": checks}, folder)


def alert_complaints(series: Series, expected: Mapping[str, Any], folder: Path) -> str:
    """The same for one alert with its labels and annotations, as promtool wants an `alert_rule_test`."""
    return _promtool(series, {"alert_rule_test": [expected]}, folder)


def _promtool(series: Series, checks: Mapping[str, Any], folder: Path) -> str:
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    test = {"interval": "1m", "input_series": inputs} | checks
    path = folder / "test.yaml"
    path.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]}))
    done = subprocess.run(
        [binaries.find("promtool"), "test", "rules", path], capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr
