import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from builders.operating import forecast_body
from tidecast_contract.services import ServiceId
from tidecast_operator.cluster import load_configuration
from tidecast_operator.handlers import Watches, settings
from tidecast_operator.picture import Picture
from tidecast_operator.resync import Resync

pytestmark = pytest.mark.real


@asynccontextmanager
async def watching(kubeconfig):
    picture = Picture()
    watches = Watches(picture.observe, configuration=lambda: load_configuration(kubeconfig))
    task = asyncio.create_task(watches.run())
    try:
        yield picture, watches
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def eventually(check):
    for _ in range(200):
        if check():
            return True
        await asyncio.sleep(0.1)
    return False


def checkout(namespace):
    labels = {"app": "checkout"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "none"}]}}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": namespace, "name": "checkout"},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod},
    }
    return deployment, forecast_body() | {"metadata": {"namespace": namespace, "name": "checkout"}}


def test_watches_have_two_minutes_to_end_before_kopf_kills_the_process():
    assert settings().process.ultimate_exiting_timeout == 120


async def test_the_picture_follows_the_cluster(definitions, apply, namespace):
    workload = ServiceId(namespace, "Deployment", "checkout")
    async with watching(definitions.kubeconfig) as (picture, _):
        await asyncio.to_thread(apply, *checkout(namespace))
        assert await eventually(lambda: workload in picture.workloads().workloads)
        assert await eventually(lambda: (namespace, "checkout") in {one.key for one in picture.forecasts()})
        assert namespace in picture.workloads().namespace_labels

        await asyncio.to_thread(definitions.kubectl, "delete", "deployment,spf", "-n", namespace, "checkout")
        assert await eventually(lambda: workload not in picture.workloads().workloads)
        assert await eventually(lambda: (namespace, "checkout") not in {one.key for one in picture.forecasts()})


async def test_what_is_watched_bears_no_trace_of_it(definitions, apply, get, namespace):
    async with watching(definitions.kubeconfig) as (picture, _):
        await asyncio.to_thread(apply, *checkout(namespace))
        assert await eventually(lambda: (namespace, "checkout") in {one.key for one in picture.forecasts()})

    metadata = get("spf", "-n", namespace, "checkout")["metadata"]
    assert "finalizers" not in metadata
    assert set(metadata["annotations"]) == {"kubectl.kubernetes.io/last-applied-configuration"}


async def test_watches_that_are_opened_again_go_on(definitions, apply, namespace):
    async with watching(definitions.kubeconfig) as (picture, watches):
        assert await eventually(picture.names)
        watches.restart()
        await asyncio.to_thread(apply, *checkout(namespace))

        assert await eventually(lambda: (namespace, "checkout") in {one.key for one in picture.forecasts()})


async def test_a_resync_finds_the_picture_right_and_corrects_a_wrong_one(definitions, cluster, apply, namespace):
    deaf = []
    async with watching(definitions.kubeconfig) as (picture, _):
        await asyncio.to_thread(apply, *checkout(namespace))
        resync = Resync(cluster, picture, on_deaf=lambda: deaf.append(1))
        await resync.complete()
        assert (namespace, "checkout") in {one.key for one in picture.forecasts()}

        picture.observe("ADDED", forecast_body("ghost"))
        await resync.once()

    assert ("shop", "ghost") not in {one.key for one in picture.forecasts()}
    assert deaf == []
