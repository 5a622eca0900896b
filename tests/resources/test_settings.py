import base64

import pytest

from builders.operating import forecaster_body, forecaster_spec
from tidecast_operator.errors import Misconfigured
from tidecast_operator.resources import ForecasterResource
from tidecast_operator.settings import parse
from tidecast_operator.settings_keeper import SettingsKeeper


def test_what_is_left_out_has_the_defaults_of_the_definition():
    settings = parse({"prometheus": {"url": "http://p:9090"}, "predictor": {"address": "p:8500"}})

    assert (settings.step_seconds, settings.window_steps, settings.horizon_steps) == (60, 60, 30)
    assert settings.training.history_seconds == 14 * 24 * 3600
    assert not settings.namespaces.matches({"tidecast.dev/forecast": "enabled"})


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("spec.prometheus.url", {"prometheus": {}}),
        ("spec.prometheus.url", {"prometheus": {"url": "prometheus:9090"}}),
        ("spec.prometheus.url", {"prometheus": {"url": "http://[prometheus"}}),
        ("spec.prometheus.url", {"prometheus": {"url": "http://prometheus:port"}}),
        ("spec.prometheus.timeoutSeconds", {"prometheus": {"url": "http://p", "timeoutSeconds": 0}}),
        ("spec.prometheus.headers", {"prometheus": {"url": "http://p", "headers": {"X": "a\nb"}}}),
        ("spec.prometheus.caBundle", {"prometheus": {"url": "http://p", "caBundle": "no base64"}}),
        (
            "spec.prometheus.authSecretRef.namespace",
            {"prometheus": {"url": "http://p", "authSecretRef": {"name": "a"}}},
        ),
        ("spec.predictor.address", {"predictor": {"address": "predictor"}}),
        ("spec.predictor.address", {"predictor": {"address": "predictor:99999"}}),
        ("spec.telemetry.sources", {"telemetry": {"sources": ["Linkerd"]}}),
        ("spec.stepSeconds", {"stepSeconds": "60"}),
        ("spec.stepSeconds", {"stepSeconds": 1}),
        ("spec.horizonSteps", {"stepSeconds": 3600, "horizonSteps": 25}),
        ("spec.metrics", {"metrics": ["Disk"]}),
        ("spec.training.minimumHistorySeconds", {"training": {"historySeconds": 3600, "minimumHistorySeconds": 3601}}),
        ("spec.training.schedule", {"training": {"schedule": "every day"}}),
        ("spec.namespaceSelector", {"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "Like"}]}}),
        ("spec.training", {"training": "often"}),
    ],
)
def test_what_cannot_be_followed_is_named_with_its_remedy(field, changes):
    with pytest.raises(Misconfigured) as error:
        parse(forecaster_spec(**changes))

    assert error.value.field == field
    assert error.value.remedy


def test_certificates_are_decoded():
    pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    encoded = base64.b64encode(pem.encode()).decode()

    assert parse(forecaster_spec(prometheus={"url": "https://p", "caBundle": encoded})).prometheus.ca_bundle == pem


def test_credentials_and_headers_stay_out_of_the_log():
    settings = parse(forecaster_spec(prometheus={"url": "http://p", "headers": {"X-Scope-OrgID": "secret-tenant"}}))

    assert "secret-tenant" not in repr(settings)


def test_another_forecaster_of_the_same_name_does_not_inherit_settings():
    keeper = SettingsKeeper()
    keeper.in_use([ForecasterResource.parse(forecaster_body())])
    other = forecaster_body(prometheus={})
    other["metadata"]["uid"] = "another"

    found = keeper.in_use([ForecasterResource.parse(other)])

    assert found.settings is None
    assert found.invalid is not None
