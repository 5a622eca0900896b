"""
What a Forecaster's spec says, checked and typed.

The schema of the CRD checks most of this too; an API server before 1.25 ignores its CEL rules, and a spec may be older
than the schema, so everything is checked here again. Knows nothing of Kubernetes but the spec itself.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tidecast_contract.features import FORECAST_FEATURES
from tidecast_operator.errors import Misconfigured
from tidecast_operator.schedules import Schedule
from tidecast_operator.selectors import NOTHING, Selector

SOURCES = ("Auto", "Istio", "OpenTelemetry")
METRICS = tuple(feature.name for feature in FORECAST_FEATURES)


@dataclass(frozen=True, slots=True)
class SecretReference:
    """
    The Secret with the credentials for Prometheus.

    Attributes:
        namespace: Where it lives.
        name: Its name.
        type: `BearerToken` or `Basic`.
        key: The key of the bearer token; for `Basic` the keys are `username` and `password`.
    """

    namespace: str
    name: str
    type: str = "BearerToken"
    key: str = "token"


@dataclass(frozen=True, slots=True)
class PrometheusSettings:
    """
    How to reach Prometheus.

    Attributes:
        url: Base address.
        timeout_seconds: For one query.
        headers: Sent along with every request.
        secret: The credentials; None for none.
        ca_bundle: PEM; empty for the authorities of the system.
    """

    url: str
    timeout_seconds: int = 30
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret: SecretReference | None = None
    ca_bundle: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class PredictorSettings:
    """
    How to reach the predictor.

    Attributes:
        address: Host and port.
        timeout_seconds: For one forecast of the whole graph.
    """

    address: str
    timeout_seconds: int = 20


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """
    What the model learns from, and when.

    Attributes:
        history_seconds: How far back.
        minimum_history_seconds: From this much on.
        schedule: When to train anew.
    """

    history_seconds: int = 14 * 24 * 3600
    minimum_history_seconds: int = 2 * 3600
    schedule: Schedule = field(default_factory=lambda: Schedule.parse("17 3 * * *"))


@dataclass(frozen=True, slots=True)
class Settings:
    """
    Everything that a Forecaster settles.

    Attributes:
        prometheus: Where the telemetry is.
        predictor: Who forecasts.
        sources: Telemetry sources in order of preference; `Auto` for all that are found.
        namespaces: Selects the namespaces whose workloads get a resource of their own.
        step_seconds: Between two measurements, and between two cycles.
        window_steps: How many steps a forecast looks at.
        horizon_steps: How many steps are forecast.
        metrics: The names of the features that are published.
        training: What the model learns from.
    """

    prometheus: PrometheusSettings
    predictor: PredictorSettings
    sources: tuple[str, ...] = ("Auto",)
    namespaces: Selector = NOTHING
    step_seconds: int = 60
    window_steps: int = 60
    horizon_steps: int = 30
    metrics: tuple[str, ...] = METRICS
    training: TrainingSettings = field(default_factory=TrainingSettings)


def parse(spec: Mapping[str, Any]) -> Settings:
    """
    The settings that a Forecaster's spec means.

    Raises:
        Misconfigured: If a field is missing or cannot be followed; it names the field and what to write instead.
    """
    settings = Settings(
        prometheus=_prometheus(_section(spec, "prometheus")),
        predictor=_predictor(_section(spec, "predictor")),
        sources=_names(_section(spec, "telemetry"), "sources", ("spec.telemetry", SOURCES, ("Auto",))),
        namespaces=_selector(spec.get("namespaceSelector")),
        step_seconds=_integer(spec, "stepSeconds", 60, within=(5, 3600)),
        window_steps=_integer(spec, "windowSteps", 60, within=(2, 1440)),
        horizon_steps=_integer(spec, "horizonSteps", 30, within=(1, 360)),
        metrics=_names(spec, "metrics", ("spec", METRICS, METRICS)),
        training=_training(_section(spec, "training")),
    )
    if settings.step_seconds * settings.horizon_steps > 86400:
        raise Misconfigured(
            "spec.horizonSteps",
            f"{settings.horizon_steps} steps of {settings.step_seconds} s are more than a day",
            "keep stepSeconds times horizonSteps at or below 86400",
        )
    return settings


def _prometheus(section: Mapping[str, Any]) -> PrometheusSettings:
    url = section.get("url", "")
    if not _is_url(url):
        raise Misconfigured(
            "spec.prometheus.url", f"{url!r} is no address", "write it as in http://prometheus-operated.monitoring:9090"
        )
    return PrometheusSettings(
        url=url,
        timeout_seconds=_integer(section, "timeoutSeconds", 30, within=(1, 600), path="spec.prometheus"),
        headers=_headers(section.get("headers") or {}),
        secret=_secret(section.get("authSecretRef")),
        ca_bundle=_ca_bundle(section.get("caBundle") or ""),
    )


def _is_url(url: Any) -> bool:
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        return parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that do not match, a port that is none
        return False


def _headers(headers: Mapping[str, Any]) -> Mapping[str, str]:
    for name, value in headers.items():
        if not isinstance(value, str) or any(character in f"{name}{value}" for character in "\r\n"):
            raise Misconfigured(
                "spec.prometheus.headers", f"the value of {name!r} is no header", "write one line of text, in quotes"
            )
    return dict(headers)


def _secret(reference: Mapping[str, Any] | None) -> SecretReference | None:
    if reference is None:
        return None
    path = "spec.prometheus.authSecretRef"
    for name in ("name", "namespace"):
        if not reference.get(name):
            raise Misconfigured(f"{path}.{name}", "is missing", "name the Secret and its namespace")
    kind = reference.get("type", "BearerToken")
    if kind not in ("BearerToken", "Basic"):
        raise Misconfigured(f"{path}.type", f"{kind!r} is not known", "write BearerToken or Basic")
    return SecretReference(reference["namespace"], reference["name"], kind, reference.get("key") or "token")


def _ca_bundle(encoded: str) -> str:
    try:
        pem = base64.b64decode(encoded, validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        pem = "?"
    if pem and "-----BEGIN CERTIFICATE-----" not in pem:
        raise Misconfigured(
            "spec.prometheus.caBundle", "holds no certificate", "write PEM certificates, base64-encoded as a whole"
        )
    return pem


def _predictor(section: Mapping[str, Any]) -> PredictorSettings:
    address = section.get("address", "")
    host, _, port = str(address).rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise Misconfigured(
            "spec.predictor.address",
            f"{address!r} is not host and port",
            "write it as in tidecast-predictor:8500",
        )
    timeout = _integer(section, "timeoutSeconds", 20, within=(1, 600), path="spec.predictor")
    return PredictorSettings(address, timeout)


def _training(section: Mapping[str, Any]) -> TrainingSettings:
    path = "spec.training"
    history = _integer(section, "historySeconds", 14 * 24 * 3600, within=(3600, 365 * 24 * 3600), path=path)
    minimum = _integer(section, "minimumHistorySeconds", 2 * 3600, within=(600, 365 * 24 * 3600), path=path)
    if minimum > history:
        raise Misconfigured(
            f"{path}.minimumHistorySeconds", f"{minimum} exceeds historySeconds, {history}", f"write at most {history}"
        )
    return TrainingSettings(history, minimum, _schedule(section.get("schedule", "17 3 * * *")))


def _schedule(text: Any) -> Schedule:
    try:
        return Schedule.parse(str(text))
    except ValueError as error:
        raise Misconfigured(
            "spec.training.schedule", str(error), 'write five fields as cron has them, as in "17 3 * * *"'
        ) from error


def _selector(selector: Mapping[str, Any] | None) -> Selector:
    try:
        return Selector.parse(selector)
    except ValueError as error:
        raise Misconfigured(
            "spec.namespaceSelector", str(error), "write matchLabels and matchExpressions as a Deployment has them"
        ) from error


def _section(spec: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = spec.get(name) or {}
    if not isinstance(section, Mapping):
        raise Misconfigured(f"spec.{name}", f"{section!r} is no object", f"see kubectl explain forecaster.spec.{name}")
    return section


def _integer(
    section: Mapping[str, Any], name: str, default: int, *, within: tuple[int, int], path: str = "spec"
) -> int:
    value = section.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not within[0] <= value <= within[1]:
        raise Misconfigured(
            f"{path}.{name}", f"{value!r} is out of range", f"write an integer from {within[0]} to {within[1]}"
        )
    return value


def _names(
    section: Mapping[str, Any], name: str, bounds: tuple[str, tuple[str, ...], tuple[str, ...]]
) -> tuple[str, ...]:
    path, allowed, default = bounds
    names = section.get(name) or default
    unknown = [one for one in names if one not in allowed]
    if unknown or isinstance(names, str):
        raise Misconfigured(f"{path}.{name}", f"{names!r} is not known here", f"choose from {', '.join(allowed)}")
    return tuple(names)
