import json
from pathlib import Path

import pytest
import yaml

from tidecast_operator.doors import Doors
from tidecast_operator.resources import ForecastResource
from tidecast_operator.settings import parse

pytestmark = pytest.mark.real

EXAMPLES = Path(__file__).parents[2] / "manifests" / "examples"


@pytest.fixture
def applied(definitions, apply):
    """Applies an example as it stands, and gives what the API server made of its last object."""
    apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "tidecast-system"}})
    done = []

    def apply_example(name, *where):
        done.append(("-f", str(EXAMPLES / name), *where))
        definitions.kubectl("apply", *done[-1])
        *_, body = yaml.safe_load_all((EXAMPLES / name).read_text())
        return json.loads(definitions.kubectl("get", body["kind"], body["metadata"]["name"], "--output=json", *where))

    yield apply_example
    for arguments in done:
        definitions.kubectl("delete", "--ignore-not-found", *arguments)


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("forecaster-*.yaml")))
def test_an_example_of_a_forecaster_is_taken_by_api_server_and_operator(applied, name):
    spec = applied(name)["spec"]

    settings = parse(spec)

    assert settings.prometheus.url == spec["prometheus"]["url"]
    assert settings.namespaces.matches({"kubernetes.io/metadata.name": "shop", "tidecast.dev/forecast": "enabled"})
    assert not settings.namespaces.matches({"kubernetes.io/metadata.name": "kube-system"})


async def test_the_credentials_of_the_example_are_found_in_its_secret(applied, cluster):
    settings = parse(applied("forecaster-authenticated.yaml")["spec"])
    doors = Doors(cluster)

    connection = doors._connection(settings.prometheus)

    assert (connection.bearer_token, connection.headers) == ("put-the-token-here", {"X-Scope-OrgID": "shop"})
    assert connection.ca_file.read_text().startswith("-----BEGIN CERTIFICATE-----")
    await doors.close()


def test_the_example_of_a_forecast_is_taken_and_shows_its_mode(applied, definitions, namespace):
    body = applied("serviceperformanceforecast.yaml", "--namespace", namespace)

    resource = ForecastResource.parse(body)
    _, row = definitions.kubectl("get", "spf", "--namespace", namespace).splitlines()

    assert (resource.target.kind, resource.target.name, resource.is_managed) == ("Deployment", "checkout", False)
    assert row.split()[:2] == ["checkout", "Preview"]


def test_every_example_is_tried_here_or_with_its_outlet():
    # KEDA's definitions are not installed; tests/outlets_keda reads its manifests. The others are applied beside theirs.
    tried = {
        *(path.name for kind in ("scaledobject", "hpa", "apiservice") for path in EXAMPLES.glob(f"{kind}-*.yaml")),
        "serviceperformanceforecast.yaml",
        "serviceperformanceforecast-floor.yaml",
        *(path.name for path in EXAMPLES.glob("forecaster-*.yaml")),
    }

    assert {path.name for path in EXAMPLES.iterdir()} == tried
