import asyncio
from contextlib import asynccontextmanager

import kopf
import pytest

from builders.operating import forecast_body
from tidecast_contract.services import ServiceId
from tidecast_operator import handlers
from tidecast_operator.cluster import load_configuration
from tidecast_operator.picture import Picture

pytestmark = pytest.mark.real


@asynccontextmanager
async def watching(kubeconfig):
    picture, stop = Picture(), asyncio.Event()
    registry = handlers.registry(picture.observe, configuration=lambda: load_configuration(kubeconfig))
    operator = kopf.operator(
        registry=registry, settings=handlers.settings(), clusterwide=True, standalone=True, stop_flag=stop
    )
    task = asyncio.create_task(operator)
    try:
        yield picture
    finally:
        stop.set()
        await task


async def eventually(check):
    for _ in range(200):
        if check():
            return True
        await asyncio.sleep(0.1)
    return False


async def test_the_picture_follows_the_cluster(definitions, apply, namespace):
    workload = ServiceId(namespace, "Deployment", "checkout")
    in_thread = asyncio.to_thread
    async with watching(definitions.kubeconfig) as picture:
        await in_thread(apply, *_checkout(namespace))
        assert await eventually(lambda: workload in picture.workloads().workloads)
        assert await eventually(lambda: (namespace, "checkout") in {one.key for one in picture.forecasts()})
        assert namespace in picture.workloads().namespace_labels
        assert await eventually(picture.is_settled)

        await in_thread(definitions.kubectl, "delete", "deployment,spf", "-n", namespace, "checkout")
        assert await eventually(lambda: workload not in picture.workloads().workloads)
        assert await eventually(lambda: (namespace, "checkout") not in {one.key for one in picture.forecasts()})


async def test_what_is_watched_bears_no_trace_of_it(definitions, apply, get, namespace):
    async with watching(definitions.kubeconfig) as picture:
        await asyncio.to_thread(apply, *_checkout(namespace))
        assert await eventually(lambda: (namespace, "checkout") in {one.key for one in picture.forecasts()})

    metadata = get("spf", "-n", namespace, "checkout")["metadata"]
    assert "finalizers" not in metadata
    assert set(metadata["annotations"]) == {"kubectl.kubernetes.io/last-applied-configuration"}


def _checkout(namespace):
    labels = {"app": "checkout"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "none"}]}}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": namespace, "name": "checkout"},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod},
    }
    return deployment, forecast_body() | {"metadata": {"namespace": namespace, "name": "checkout"}}
