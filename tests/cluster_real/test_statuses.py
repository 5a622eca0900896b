import json
from dataclasses import replace

import pytest

from builders.operating import forecast_body
from tidecast_contract.services import ServiceId
from tidecast_operator.api_answers import Outcome, WriteRefused
from tidecast_operator.cluster import Cluster, load_configuration
from tidecast_operator.errors import PrometheusUnavailable
from tidecast_operator.published import Condition
from tidecast_operator.resources import managed_forecast

pytestmark = pytest.mark.real

MINE = {"labels": {"app.kubernetes.io/managed-by": "tidecast"}}


def checkout(get):
    return get("spf", "-n", "shop", "checkout")


async def test_a_workload_owns_its_resource(shop, get):
    await shop.run()

    (owner,) = checkout(get)["metadata"]["ownerReferences"]

    assert owner["uid"] == get("deployment", "-n", "shop", "checkout")["metadata"]["uid"]
    assert checkout(get)["metadata"]["labels"] == MINE["labels"]


async def test_what_is_written_is_stored_as_it_is_so_that_nothing_is_written_twice(shop, get):
    shop.predictor.slope = 0.0
    await shop.run(cycles=2)
    version = checkout(get)["metadata"]["resourceVersion"]

    await shop.run(cycles=3)

    assert checkout(get)["metadata"]["resourceVersion"] == version


async def test_a_status_is_small_and_one_managed_field(shop, get):
    shop.predictor.slope = 1.0
    await shop.run(cycles=2)

    found = get("spf", "-n", "shop", "checkout", "--show-managed-fields")

    assert len(json.dumps(found["status"], separators=(",", ":"))) < 6 * 1024
    assert len(json.dumps(found["metadata"]["managedFields"])) < 1024


async def test_a_forecast_that_ages_keeps_its_numbers(shop, get):
    await shop.run(cycles=2)
    before = checkout(get)["status"]
    shop.collector.error = PrometheusUnavailable("away")

    await shop.run(cycles=12)

    after = checkout(get)["status"]
    assert after["forecasts"] == before["forecasts"]
    assert {one["type"]: one["status"] for one in after["conditions"]}["ForecastFresh"] == "False"


async def test_kubectl_can_wait_for_a_forecast(shop, definitions):
    await shop.run(cycles=2)

    definitions.kubectl("wait", "--for=condition=Ready", "spf/checkout", "-n", "shop", "--timeout=1s")
    definitions.kubectl("wait", "--for=condition=Ready", "fcst/default", "--timeout=1s")


async def test_events_stand_with_their_objects_once(shop, definitions):
    await shop.run(cycles=4)

    text = definitions.kubectl("describe", "spf", "-n", "shop", "checkout")

    assert text.split("Events:")[1].count("ForecastIssued") == 1


def test_a_name_that_is_taken_conflicts(cluster, apply, namespace):
    apply(forecast_body() | {"metadata": {"namespace": namespace, "name": "a"}})
    body = managed_forecast("a", ServiceId(namespace, "Deployment", "a"), {"apiVersion": "apps/v1", "uid": "u"})

    assert cluster.create_forecast(body) is Outcome.CONFLICT


def test_only_that_very_object_is_deleted(cluster, apply, get, namespace):
    apply(forecast_body() | {"metadata": {"namespace": namespace, "name": "a"}})
    uid = get("spf", "-n", namespace, "a")["metadata"]["uid"]

    assert cluster.delete_forecast(namespace, "a", uid="another") is Outcome.CONFLICT
    assert cluster.delete_forecast(namespace, "a", uid=uid) is Outcome.DONE
    assert cluster.delete_forecast(namespace, "a", uid=uid) is Outcome.GONE


def test_a_status_that_the_schema_does_not_allow_is_refused(cluster, apply, namespace):
    apply(forecast_body() | {"metadata": {"namespace": namespace, "name": "a"}})

    with pytest.raises(WriteRefused, match="issuedTime"):
        cluster.patch_forecast_status(namespace, "a", {"issuedTime": 7})


def test_an_object_that_is_not_there_is_gone(cluster, namespace):
    assert cluster.patch_forecast_status(namespace, "nobody", {}) is Outcome.GONE
    assert cluster.read_secret(namespace, "nothing") is None


def test_one_connection_serves_many_writes(definitions, apply, get, namespace):
    apply(forecast_body() | {"metadata": {"namespace": namespace, "name": "a"}})
    cluster = Cluster(load_configuration(definitions.kubeconfig), connections=1)
    # More than the 8 KiB of answer that are read at once.
    words = Condition("Ready", "True", "Tested", "x" * 1000)
    conditions = [replace(words, type=f"Ready{number}").to_dict() for number in range(12)]

    written = [
        cluster.patch_forecast_status(namespace, "a", {"observedGeneration": n, "conditions": conditions})
        for n in range(10)
    ]

    pools = cluster._client.rest_client.pool_manager.pools
    assert written == [Outcome.DONE] * 10
    assert [pools[key].num_connections for key in pools.keys()] == [1]  # noqa: SIM118 - it cannot be iterated
    cluster.close()
    assert get("spf", "-n", namespace, "a")["status"]["observedGeneration"] == 9
