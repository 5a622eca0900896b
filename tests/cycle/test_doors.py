import base64

import pytest

from builders.operating import forecaster_spec
from tidecast_contract.rpc.tls import TlsFiles
from tidecast_operator.doors import Doors
from tidecast_operator.errors import ApiServerUnavailable, Misconfigured, PredictorUnavailable
from tidecast_operator.settings import parse

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


class FakeSecrets:
    """Secrets by namespace and name."""

    def __init__(self, values):
        self.values = values
        self.error = None

    def read_secret(self, namespace, name):
        if self.error:
            raise self.error
        return self.values if (namespace, name) == ("monitoring", "credentials") else None


def settings(url="http://prometheus:9090", **prometheus):
    return parse(forecaster_spec(prometheus={"url": url, **prometheus}))


def with_secret(kind="BearerToken", name="credentials", **reference):
    return settings(authSecretRef={"namespace": "monitoring", "name": name, "type": kind, **reference})


@pytest.fixture
async def doors():
    made = Doors(FakeSecrets({"token": " abc\n", "username": "me", "password": "pass"}))
    yield made
    await made.close()


async def connection(doors, chosen):
    await doors.collectors(chosen)
    return doors._made_for[0]


async def test_the_same_settings_keep_their_connection(doors):
    first = await doors.collectors(settings())

    assert await doors.collectors(settings()) is first
    assert await doors.collectors(settings(url="http://other:9090")) is not first


async def test_what_works_at_the_same_time_has_a_collector_of_its_own(doors):
    found = await doors.collectors(settings())

    assert len({id(one) for one in (found.window, found.history, found.capacities)}) == 3


async def test_a_bearer_token_is_read_from_its_secret(doors):
    assert (await connection(doors, with_secret())).bearer_token == "abc"  # noqa: S105 - no secret


async def test_user_and_password_are_read_from_their_secret(doors):
    assert (await connection(doors, with_secret("Basic"))).basic == ("me", "pass")


async def test_a_token_that_is_rotated_is_taken_up(doors):
    first = await doors.collectors(with_secret())
    doors._secrets.values = {"token": "new"}

    assert await doors.collectors(with_secret()) is not first
    assert doors._made_for[0].bearer_token == "new"  # noqa: S105 - no secret


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ({"name": "unknown"}, "there is no Secret monitoring/unknown"),
        ({"key": "unknown"}, "no value for unknown"),
    ],
)
async def test_a_secret_or_key_that_is_missing_is_named(doors, reference, problem):
    with pytest.raises(Misconfigured, match=problem):
        await doors.collectors(with_secret(**reference))


async def test_a_secret_without_user_and_password_lacks_both(doors):
    doors._secrets.values = {"token": "abc"}

    with pytest.raises(Misconfigured, match="no value for username, password"):
        await doors.collectors(with_secret("Basic"))


async def test_an_api_server_that_is_away_is_no_misconfiguration(doors):
    doors._secrets.error = ApiServerUnavailable("away")

    with pytest.raises(ApiServerUnavailable):
        await doors.collectors(with_secret())


async def test_certificates_are_handed_over_in_a_file_that_changes_with_them(doors):
    chosen = [settings(caBundle=base64.b64encode(pem.encode()).decode()) for pem in (PEM, PEM + PEM)]
    first, second = [doors._connection(one.prometheus) for one in chosen]

    assert (first.ca_file.read_text(), second.ca_file.read_text()) == (PEM, PEM + PEM)
    assert first != second


async def test_another_address_of_the_predictor_is_another_client(doors):
    first = await doors.predictor(settings())

    assert await doors.predictor(settings()) is first
    other = parse(forecaster_spec(predictor={"address": "other:8500"}))
    assert await doors.predictor(other) is not first


async def test_the_predictor_is_called_with_the_certificate_that_is_given(tmp_path):
    made = Doors(FakeSecrets({}), predictor_tls=TlsFiles.in_folder(tmp_path))
    client = await made.predictor(settings())

    with pytest.raises(PredictorUnavailable, match=r"the certificate for it cannot be used: .*tls\.crt"):
        await client.status()
    await made.close()
