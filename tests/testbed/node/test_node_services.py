import pytest
import requests

from builders.node_pods import deployment, pod, script, service, web
from builders.waiting import eventually
from tidecast_simulator.testbed import binaries

pytestmark = pytest.mark.real(*binaries.ALL)

FETCH = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode(), flush=True)"
FETCH_ONCE_IT_ANSWERS = f"""
import time
while True:
    try:
        {FETCH}
        time.sleep(600)
    except OSError:
        time.sleep(0.2)
"""
FETCH_TOLD = f"import sys; sys.argv[1] = open(sys.argv[1]).read(); {FETCH}"


def answered_by(kept, name, port=80):
    """The pods that answer at a Service, over some requests."""
    address = kept.node.service_address(kept.namespace, name, port)
    try:
        return {requests.get(f"http://{address}", timeout=5).text.split()[-1] for _ in range(6)}
    except requests.RequestException:
        return set()


def fetching(*arguments, code=FETCH, **more):
    container = script(code, **more)
    container["args"] += arguments
    return container


@pytest.fixture
def shop(kept):
    """Two ready pods behind a Service."""
    kept.apply(deployment("web", web(), replicas=2), service("web"))
    eventually(lambda: kept.available("web") == 2)
    eventually(lambda: answered_by(kept, "web") == set(kept.pods("web")))
    return kept


def test_a_service_leads_to_its_ready_pods_in_turn(shop):
    assert answered_by(shop, "web") == set(shop.pods("web"))


@pytest.mark.parametrize(
    "host", ["web", "web.{}", "web.{}.svc", "web.{}.svc.cluster.local", "web.{}.svc.cluster.local:80"]
)
def test_a_pod_reaches_a_service_by_each_of_its_names(shop, host):
    shop.apply(pod("fetches", fetching(f"http://{host.format(shop.namespace)}/")))

    assert shop.ends("fetches") == "Succeeded", shop.says("fetches")
    assert shop.says("fetches").split()[-1] in shop.pods("web")


def test_the_name_of_a_service_in_a_mounted_file_works_too(shop):
    told = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "told"}, "data": {"url": "http://web:80/"}}
    mounts = [{"name": "told", "mountPath": "/etc/told"}]
    volumes = [{"name": "told", "configMap": {"name": "told"}}]
    shop.apply(told, pod("fetches", fetching("/etc/told/url", code=FETCH_TOLD, volumeMounts=mounts), volumes=volumes))

    assert shop.ends("fetches") == "Succeeded", shop.says("fetches")


def test_a_pod_that_is_not_ready_gets_no_requests(kept):
    unready = web(arguments=("--ready-file=/nowhere",))
    kept.apply(pod("ready", web()) | {"metadata": {"name": "ready", "labels": {"app": "web"}}}, service("web"))
    kept.apply(pod("unready", unready) | {"metadata": {"name": "unready", "labels": {"app": "web"}}})
    eventually(lambda: kept.is_ready("ready") and kept.container("unready").get("started"))

    assert eventually(lambda: answered_by(kept, "web") == {"ready"})
    assert answered_by(kept, "web") == {"ready"}


def test_a_service_of_unready_pods_can_be_asked_for(kept):
    kept.apply(pod("web", web(arguments=("--ready-file=/nowhere",))))
    kept.apply(service("web", publishNotReadyAddresses=True, clusterIP="None"))
    eventually(lambda: kept.container("web").get("started"))

    assert eventually(lambda: answered_by(kept, "web") == {"web"})


def test_containers_of_a_pod_meet_on_the_loopback(kept):
    beside = fetching("http://127.0.0.1:8080/", code=FETCH_ONCE_IT_ANSWERS)
    local = web() | {"args": ["--address=127.0.0.1:8080"]}
    kept.apply(pod("both", local, beside))

    assert eventually(lambda: kept.phase("both") == "Running" and kept.says("both", container="script") == "1 both\n")


def test_a_pods_own_address_is_its_to_listen_on(kept):
    env = [{"name": "ADDRESS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]
    kept.apply(pod("web", web() | {"args": ["--address=$(ADDRESS):8080"], "env": env}))

    assert eventually(lambda: kept.is_ready("web"))


def test_a_name_outside_of_the_cluster_can_be_given(start_node):
    kept = start_node(names={"prometheus.monitoring.svc:9090": "127.0.0.1:12345"})
    shows = script("import sys; print(sys.argv[1])")
    shows["args"].append("--url=http://prometheus.monitoring.svc:9090/metrics")
    kept.apply(pod("shows", shows))

    assert kept.ends("shows") == "Succeeded"
    assert kept.says("shows") == "--url=http://127.0.0.1:12345/metrics\n"
