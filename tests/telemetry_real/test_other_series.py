"""What a real Prometheus makes of a collector's and of Kubernetes' series."""

from dataclasses import replace

import numpy as np
import pytest

from builders.recorded_series import START, counter, gauge, histogram, scrapes
from builders.snapshots import MIDDAY
from tidecast_contract.features import CPU, LATENCY_P50, MEMORY, READY_REPLICAS
from tidecast_operator.telemetry.observations import Peer

pytestmark = pytest.mark.real("prometheus", "promtool")

SPAN = {"span_kind": "SPAN_KIND_SERVER", "service_name": "cart", "k8s_namespace_name": "shop"}
CART = Peer(namespace="shop", application="cart")
EDGE = {"client": "web", "server": "cart", "server_k8s_namespace_name": "shop"}


def spans(per_second, name="traces_span_metrics_calls_total", **changes):
    return counter(name, per_second, **(SPAN | {"status_code": "STATUS_CODE_UNSET"} | changes))


def edge(per_second, **changes):
    return counter("traces_service_graph_request_total", per_second, **(EDGE | changes))


def of(series, peer):
    return series.values[:, series.peers.index(peer)].tolist()


def same(actual, expected):
    return np.allclose(actual, expected, rtol=1e-6, equal_nan=True)


@pytest.fixture
def traffic(recorded, collect):
    """What the OpenTelemetry source says about the given series."""
    return lambda *series: collect(recorded(*series), MIDDAY).traffic[0]


@pytest.fixture
def resources(recorded, collect):
    """What the given series say about resources, beside a little traffic."""
    return lambda *series: collect(recorded(edge(1), *series), MIDDAY).resources


def test_an_edge_that_is_split_by_failure_is_one_call(traffic):
    found = traffic(edge(3, failed="false"), edge(1, failed="true"))
    assert found.calls.rates.tolist() == pytest.approx([4])


@pytest.mark.parametrize(
    "name", ["traces_span_metrics_calls_total", "calls_total"], ids=["with a namespace", "without"]
)
def test_requests_and_errors_are_those_of_the_server_spans(traffic, name):
    failed = spans(1, name, status_code="STATUS_CODE_ERROR")
    found = traffic(edge(4), spans(4, name), failed, spans(9, name, span_kind="SPAN_KIND_CLIENT"))
    assert same(of(found.requests, CART), [5] * 5)
    assert same(of(found.errors, CART), [1] * 5)


def test_a_consumer_of_messages_receives_requests(traffic):
    found = traffic(edge(4), spans(4, span_kind="SPAN_KIND_CONSUMER"))
    assert same(of(found.requests, CART), [4] * 5)


def test_a_service_without_spans_is_measured_by_the_service_graph(traffic):
    failed = counter("traces_service_graph_request_failed_total", 1, **EDGE)
    found = traffic(edge(4), failed, spans(3, service_name="web"))
    assert same(of(found.requests, CART), [4] * 5)
    assert same(of(found.errors, CART), [1] * 5)


def test_failures_of_the_graph_do_not_mix_with_requests_of_spans(traffic):
    found = traffic(edge(4), counter("traces_service_graph_request_failed_total", 1, **EDGE), spans(4))
    assert found.errors.peers == ()


def test_tempo_names_services_differently(traffic):
    tempo = {"service": "cart", "span_kind": "SPAN_KIND_SERVER", "status_code": "STATUS_CODE_UNSET"}
    found = traffic(edge(4), counter("traces_spanmetrics_calls_total", 3, **tempo))
    assert same(of(found.requests, Peer(application="cart")), [3] * 5)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("traces_span_metrics_duration_milliseconds", 1000),
        ("traces_span_metrics_duration_seconds", 1),
        ("duration_milliseconds", 1000),
        ("duration_seconds", 1),
    ],
)
def test_latencies_come_in_seconds_whatever_the_unit(traffic, name, unit):
    buckets = {f"{0.1 * unit:g}": 5.0, f"{0.2 * unit:g}": 5.0, "+Inf": 0.0}
    found = traffic(edge(4), spans(10), *histogram(name, buckets, **SPAN))
    assert same(of(found.latencies[LATENCY_P50], CART), [0.1] * 5)


def test_latencies_of_the_service_graph_fill_in(traffic):
    buckets = {"0.1": 5.0, "0.2": 5.0, "+Inf": 0.0}
    found = traffic(edge(10), *histogram("traces_service_graph_request_server_seconds", buckets, **EDGE))
    assert same(of(found.latencies[LATENCY_P50], CART), [0.1] * 5)


def test_a_browser_is_a_virtual_caller(traffic):
    found = traffic(edge(4, client="user", connection_type="virtual_node"))
    assert found.calls.callers == (Peer(application="user", is_virtual=True),)


POD = {"namespace": "shop", "pod": "cart-7d4b9c7f6b-x2x4z"}
REPLICA_SET = {"namespace": "shop", "replicaset": "cart-7d4b9c7f6b"}
DEPLOYMENT = Peer(namespace="shop", workload="cart", kind="Deployment")


def owners():
    controlled = {"owner_is_controller": "true"}
    return [
        gauge("kube_pod_owner", 1, **POD, owner_kind="ReplicaSet", owner_name="cart-7d4b9c7f6b", **controlled),
        gauge("kube_replicaset_owner", 1, **REPLICA_SET, owner_kind="Deployment", owner_name="cart", **controlled),
        gauge(
            "kube_pod_owner", 1, namespace="shop", pod="db-0", owner_kind="StatefulSet", owner_name="db", **controlled
        ),
    ]


def containers(metric, make, value):
    """A pod's containers, its sum, and its sandbox."""
    return [
        make(metric, value, **POD, container="app", image="cart:1", id="/a"),
        make(metric, value, **POD, container="proxy", id="/b"),
        make(metric, 2 * value, **POD, container="", id="/c"),
        make(metric, value, **POD, container="POD", image="pause", id="/d"),
        make(metric, 5 * value, namespace="shop", pod="db-0", container="db", id="/e"),
    ]


@pytest.mark.parametrize(
    ("feature", "metric", "make", "value"),
    [
        (CPU, "container_cpu_usage_seconds_total", counter, 0.25),
        (MEMORY, "container_memory_working_set_bytes", gauge, 1000),
    ],
)
def test_containers_add_up_to_their_workload(resources, feature, metric, make, value):
    found = resources(*owners(), *containers(metric, make, value))[feature]
    assert same(of(found, DEPLOYMENT), [2 * value] * 5)
    assert same(of(found, Peer(namespace="shop", workload="db", kind="StatefulSet")), [5 * value] * 5)


def scattered(seed, shortest, longest):
    """Times that cAdvisor writes itself, whenever it has looked, of which scrapes see some; half an hour of them."""
    chance = np.random.default_rng(seed)
    looks = START + np.cumsum(chance.integers(shortest, longest + 1, 1800 // shortest))
    seen = {int(looks[looks <= scrape][-1]) for scrape in scrapes(START + longest) if (looks <= scrape).any()}
    return sorted(seen)


@pytest.mark.parametrize(("shortest", "longest"), [(10, 20), (15, 30), (30, 30)])
def test_a_container_with_few_samples_of_its_own_times_is_not_left_out_of_the_sum(resources, shortest, longest):
    pods = [{"namespace": "shop", "pod": f"cart-7d4b9c7f6b-x2x{letter}z"} for letter in "bcdfghjklm"]
    of_cart = {"owner_kind": "ReplicaSet", "owner_name": "cart-7d4b9c7f6b", "owner_is_controller": "true"}
    owned = [gauge("kube_pod_owner", 1, **pod, **of_cart) for pod in pods]
    used = [
        counter("container_cpu_usage_seconds_total", 1.0, scattered(seed, shortest, longest), **pod, container="app")
        for seed, pod in enumerate(pods)
    ]
    found = resources(*owners(), *owned, *used)[CPU]
    assert np.allclose(of(found, DEPLOYMENT), 10, rtol=0.12)


def exported(series):
    """The series as Prometheus stores it when the target's own labels win."""
    renamed = {f"exported_{name}" if name in ("namespace", "pod") else name: v for name, v in series.labels.items()}
    return replace(series, labels=renamed | {"namespace": "monitoring", "pod": "kube-state-metrics-0"})


def test_labels_that_prometheus_renamed_are_found(resources):
    ready = gauge("kube_deployment_status_replicas_ready", 3, namespace="shop", deployment="cart")
    memory = gauge("container_memory_working_set_bytes", 1000, **POD, container="app")
    found = resources(*(exported(each) for each in (*owners(), ready)), memory)
    assert same(of(found[MEMORY], DEPLOYMENT), [1000] * 5)
    assert same(of(found[READY_REPLICAS], DEPLOYMENT), [3] * 5)


def test_a_restarted_container_and_a_second_prometheus_count_once(resources):
    memory = "container_memory_working_set_bytes"
    twice = [
        gauge(memory, 1000, **POD, container="app", id=which, prometheus=server) for which in "ab" for server in "12"
    ]
    again = [gauge("kube_pod_owner", 1, **dict(each.labels), prometheus="2") for each in owners()[:1]]
    assert same(of(resources(*owners(), *again, *twice)[MEMORY], DEPLOYMENT), [1000] * 5)


def test_a_pod_with_two_owners_does_not_fail_the_query(resources):
    second = gauge("kube_pod_owner", 1, **POD, owner_kind="Rollout", owner_name="other", owner_is_controller="true")
    memory = gauge("container_memory_working_set_bytes", 1000, **POD, container="app")
    assert resources(*owners(), second, memory)[MEMORY].values.shape == (5, 1)


def test_without_kube_state_metrics_the_names_of_pods_tell(resources):
    memory = "container_memory_working_set_bytes"
    pods = {"cart-7d4b9c7f6b-x2x4z": "cart", "db-0": "db", "agent-x2x4z": "agent"}
    cpu = counter("container_cpu_usage_seconds_total", 1, **POD, container="app")
    found = resources(cpu, *(gauge(memory, 7, namespace="shop", pod=pod, container="app") for pod in pods))[MEMORY]
    assert {peer.workload for peer in found.peers} == set(pods.values())
    assert {peer.kind for peer in found.peers} == {""}


@pytest.mark.parametrize(
    ("metric", "kind"),
    [
        ("kube_deployment_status_replicas_ready", "Deployment"),
        ("kube_statefulset_status_replicas_ready", "StatefulSet"),
        ("kube_daemonset_status_number_ready", "DaemonSet"),
    ],
)
def test_ready_replicas_belong_to_their_workload(resources, metric, kind):
    ready = gauge(metric, 3, namespace="shop", **{kind.lower(): "cart"})
    found = resources(*owners(), ready)[READY_REPLICAS]
    assert of(found, Peer(namespace="shop", workload="cart", kind=kind)) == [3] * 5


@pytest.mark.parametrize("late", [0, 20])
def test_cpu_is_right_where_the_kubelet_is_scraped_more_seldom_than_kube_state_metrics(resources, late):
    times = [time + late * (number % 3) // 2 for number, time in enumerate(scrapes(every=60))]
    cpu = counter("container_cpu_usage_seconds_total", 0.25, times, **POD, container="app")
    assert np.allclose(resources(*owners(), cpu)[CPU].values, 0.25)


def test_memory_of_a_node_that_is_not_scraped_is_missing(resources):
    stopped = scrapes(end=MIDDAY - 150)
    memory = gauge("container_memory_working_set_bytes", 1000, stopped, **POD, container="app")
    found = resources(*owners(), memory)[MEMORY]
    assert same(of(found, DEPLOYMENT), [1000, 1000, 1000, 1000, np.nan])
