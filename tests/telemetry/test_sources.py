"""The sources users may name, and the labels that make their peers."""

import pytest

from tidecast_operator.errors import Misconfigured
from tidecast_operator.telemetry.infrastructure import KUBE_STATE_METRICS
from tidecast_operator.telemetry.istio import ISTIO
from tidecast_operator.telemetry.observations import Peer
from tidecast_operator.telemetry.opentelemetry import OPENTELEMETRY
from tidecast_operator.telemetry.schema import Query
from tidecast_operator.telemetry.sources import named


def test_auto_is_every_source_the_most_trusted_first():
    assert named(("Auto",)) == (ISTIO, OPENTELEMETRY)


def test_named_sources_keep_their_order():
    assert named(("OpenTelemetry", "Istio")) == (OPENTELEMETRY, ISTIO)


def test_auto_adds_what_was_not_named_before():
    assert named(("OpenTelemetry", "Auto")) == (OPENTELEMETRY, ISTIO)


def test_an_unknown_source_is_refused_with_those_there_are():
    with pytest.raises(Misconfigured, match=r"spec.telemetry.sources: 'Linkerd' .* Auto, Istio, OpenTelemetry"):
        named(("Istio", "Linkerd"))


def test_no_source_is_refused():
    with pytest.raises(Misconfigured, match="is empty"):
        named(())


def test_a_query_is_taken_over_its_range():
    assert Query("rate(x[$range])").over(90, scrape_seconds=30) == "rate(x[90s])"


def test_a_query_may_ask_for_three_quarters_of_the_scrapes():
    assert Query("count_over_time(x[$range]) > $enough").over(60, scrape_seconds=15).endswith("[60s]) > 3")


def test_istio_names_a_workload():
    labels = {"destination_workload_namespace": "shop", "destination_workload": "cart"}
    assert ISTIO.callee.peer(labels) == Peer(namespace="shop", workload="cart")


def test_what_istio_does_not_know_is_empty():
    labels = {"source_workload_namespace": "unknown", "source_workload": "unknown"}
    assert ISTIO.caller.peer(labels) == Peer()


def test_istio_names_the_service_where_it_does_not_know_the_workload():
    labels = {
        "destination_canonical_service": "unknown",
        "destination_service_namespace": "shop",
        "destination_service_name": "cart",
    }
    assert ISTIO.callee.peer(labels) == Peer(service="cart", service_namespace="shop")


def test_a_service_graph_names_applications():
    labels = {"client": "web", "server": "cart", "client_k8s_namespace_name": "shop"}
    assert OPENTELEMETRY.caller.peer(labels) == Peer(application="web", namespace="shop")
    assert OPENTELEMETRY.callee.peer(labels) == Peer(application="cart")


@pytest.mark.parametrize(
    ("labels", "caller", "callee"),
    [
        pytest.param({"connection_type": "virtual_node", "client": "user"}, True, True, id="a browser"),
        pytest.param({"connection_type": "virtual_node", "client": "cart"}, False, True, id="an uninstrumented callee"),
        pytest.param({"connection_type": "database", "client": "cart"}, False, True, id="a database"),
        pytest.param({"connection_type": "messaging_system", "client": "cart"}, False, False, id="a queue"),
        pytest.param({"virtual_node": "client", "client": "web"}, True, False, id="a labelled caller"),
        pytest.param({"client": "user", "server": "cart"}, False, False, id="a service named user"),
    ],
)
def test_a_service_graph_tells_who_sent_no_spans(labels, caller, callee):
    assert OPENTELEMETRY.caller.peer(labels).is_virtual is caller
    assert OPENTELEMETRY.callee.peer(labels).is_virtual is callee


def test_kube_state_metrics_names_the_kind():
    labels = {"namespace": "shop", "owner_kind": "StatefulSet", "owner_name": "db"}
    assert KUBE_STATE_METRICS.owner.peer(labels) == Peer(namespace="shop", kind="StatefulSet", workload="db")
