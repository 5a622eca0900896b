from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace

import pytest

from tidecast_operator.doors import Doors
from tidecast_operator.errors import Misconfigured
from tidecast_operator.settings import PredictorSettings, PrometheusSettings, SecretReference, Settings

URL = "http://prometheus.invalid:9090"
TOKEN = SecretReference("monitoring", "prometheus-token")


@dataclass
class FakeSecrets:
    """Secrets by namespace and name."""

    held: dict[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)

    def read_secret(self, namespace: str, name: str) -> Mapping[str, str] | None:
        return self.held.get((namespace, name))


def settings(**prometheus: object) -> Settings:
    """Settings with changes to how Prometheus is reached."""
    return Settings(replace(PrometheusSettings(URL), **prometheus), PredictorSettings("127.0.0.1:1"))


@pytest.fixture
def secrets() -> FakeSecrets:
    return FakeSecrets()


@pytest.fixture
async def doors(secrets: FakeSecrets) -> AsyncIterator[Doors]:
    opened = Doors(secrets)
    yield opened
    await opened.close()


async def test_the_same_settings_keep_the_same_connections(doors):
    assert await doors.collectors(settings()) is await doors.collectors(settings())


async def test_a_token_that_was_rotated_opens_new_connections(doors, secrets):
    secrets.held["monitoring", "prometheus-token"] = {"token": "old"}
    before = await doors.collectors(settings(secret=TOKEN))

    secrets.held["monitoring", "prometheus-token"] = {"token": "new"}

    assert await doors.collectors(settings(secret=TOKEN)) is not before


async def test_another_ca_bundle_opens_new_connections(doors):
    before = await doors.collectors(settings(ca_bundle="one"))

    assert await doors.collectors(settings(ca_bundle="another")) is not before


async def test_a_secret_that_is_not_there_is_named(doors):
    with pytest.raises(Misconfigured, match=r"authSecretRef.*no Secret monitoring/prometheus-token"):
        await doors.collectors(settings(secret=TOKEN))


@pytest.mark.parametrize(
    ("kind", "missing"), [("BearerToken", "token"), pytest.param("Basic", "username, password", id="Basic")]
)
async def test_a_secret_without_its_keys_names_them(doors, secrets, kind, missing):
    secrets.held["monitoring", "prometheus-token"] = {"something": "else"}

    with pytest.raises(Misconfigured, match=f"no value for {missing}"):
        await doors.collectors(settings(secret=replace(TOKEN, type=kind)))
