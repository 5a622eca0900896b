"""Observations become a snapshot."""

import numpy as np
import pytest

from builders.snapshots import MIDDAY
from builders.telemetry import NOBODY, calls, cluster, observations, series, traffic, workload_body, workload_peer
from tidecast_contract.features import CPU, ERRORS, LATENCY_P50, LATENCY_P95, MEMORY, READY_REPLICAS, REQUESTS, index_of
from tidecast_contract.services import ServiceId
from tidecast_operator import snapshots
from tidecast_operator.telemetry.observations import Peer

NAN = float("nan")
FRONTEND, CHECKOUT = (ServiceId("shop", "Deployment", name) for name in ("frontend", "checkout"))
checkout = workload_peer("checkout")


def built(*sources, index=None, **changes):
    return snapshots.build(observations(*sources, **changes), index or cluster())


def values(result, service, feature):
    place = result.snapshot.services.index(service)
    return result.snapshot.values[:, place, index_of(feature)].tolist()


def same(actual, expected):
    return np.array_equal(np.float32(actual), np.float32(expected), equal_nan=True)


def test_a_snapshot_has_the_graph_and_the_times_of_what_was_observed():
    found = built().snapshot
    assert (found.end_time, found.step_seconds, found.steps) == (MIDDAY, 60, 3)
    named = [(found.services[caller], found.services[callee]) for caller, callee in found.calls.T]
    assert (named, found.rates.tolist()) == ([(FRONTEND, CHECKOUT)], [2.0])


def test_a_silent_service_and_an_unseen_one_differ():
    result = built(traffic(requests=series({checkout: [0.0, 0.0, 0.0]})))
    assert values(result, CHECKOUT, REQUESTS) == [0, 0, 0]
    assert same(values(result, FRONTEND, REQUESTS), [NAN] * 3)


def test_a_gap_stays_a_gap():
    result = built(traffic(requests=series({checkout: [2.0, NAN, 2.0]})))
    assert same(values(result, CHECKOUT, REQUESTS), [2, NAN, 2])


def test_a_service_that_received_requests_from_nobody_seen_is_a_node():
    result = built(traffic(calls=calls()))
    assert result.snapshot.services == (CHECKOUT,)


def test_memory_alone_makes_no_node():
    result = built(resources={MEMORY: series({workload_peer("frontend"): [1.0, 1.0, 1.0]})}, traffic=())
    assert result.snapshot.services == ()


def test_a_peer_outside_whom_nobody_here_calls_is_no_node():
    elsewhere = workload_peer("billing", "elsewhere")
    result = built(traffic(requests=series({elsewhere: [1.0, 1.0, 1.0]})))
    assert set(result.snapshot.services) == {FRONTEND, CHECKOUT}


def test_errors_are_a_share_of_the_requests():
    result = built(traffic(errors=series({checkout: [0.5, 2.0, 0.0]})))
    assert values(result, CHECKOUT, ERRORS) == [0.25, 1.0, 0.0]


def test_requests_without_a_series_of_errors_did_not_fail():
    assert values(built(), CHECKOUT, ERRORS) == [0, 0, 0]


def test_no_requests_have_no_error_ratio_and_no_latency():
    silent = traffic(
        requests=series({checkout: [0.0, NAN, 1.0]}),
        errors=series({checkout: [0.0, 0.0, 0.0]}),
        latencies={LATENCY_P50: series({checkout: [0.2, NAN, 0.2]})},
    )
    assert same(values(built(silent), CHECKOUT, ERRORS), [NAN, NAN, 0])
    assert same(values(built(silent), CHECKOUT, LATENCY_P50), [NAN, NAN, 0.2])


def test_an_error_ratio_never_exceeds_one():
    result = built(traffic(errors=series({checkout: [2.1, 2.1, 2.1]})))
    assert values(result, CHECKOUT, ERRORS) == [1, 1, 1]


def test_two_series_of_one_workload_add_up():
    other = Peer(application="checkout")
    result = built(traffic(requests=series({checkout: [2.0, 2.0, NAN], other: [1.0, NAN, NAN]})))
    assert same(values(result, CHECKOUT, REQUESTS), [3, 2, NAN])


def test_two_latencies_of_one_workload_are_weighted_by_their_requests():
    other = Peer(application="checkout")
    source = traffic(
        requests=series({checkout: [3.0, 3.0, 3.0], other: [1.0, 1.0, 0.0]}),
        latencies={LATENCY_P95: series({checkout: [0.1, 0.1, 0.1], other: [0.5, NAN, 0.5]})},
    )
    assert values(built(source), CHECKOUT, LATENCY_P95) == pytest.approx([0.2, 0.1, 0.1])


def test_a_latency_whose_requests_are_not_known_counts_as_it_is():
    source = traffic(requests=series({}), latencies={LATENCY_P50: series({checkout: [0.1, 0.2, 0.3]})})
    assert values(built(source), CHECKOUT, LATENCY_P50) == pytest.approx([0.1, 0.2, 0.3])


def test_a_second_source_speaks_only_where_the_first_says_nothing():
    frontend = workload_peer("frontend")
    istio = traffic(requests=series({checkout: [2.0, NAN, 2.0]}))
    traces = traffic(source="OpenTelemetry", requests=series({checkout: [9.0] * 3, frontend: [5.0] * 3}))
    result = built(istio, traces)
    assert same(values(result, CHECKOUT, REQUESTS), [2, NAN, 2])
    assert values(result, FRONTEND, REQUESTS) == [5, 5, 5]
    assert result.sources == ("Istio", "OpenTelemetry")


def test_resources_belong_to_the_workload_of_their_kind():
    twins = cluster(workload_body("frontend"), workload_body("checkout"), workload_body("checkout", kind="StatefulSet"))
    owner, twin = (Peer("shop", "checkout", kind) for kind in ("Deployment", "StatefulSet"))
    source = traffic(requests=series({owner: [2.0] * 3}))
    result = built(source, index=twins, resources={CPU: series({owner: [0.5] * 3, twin: [7.0] * 3})})
    assert values(result, CHECKOUT, CPU) == [0.5] * 3


def test_ready_replicas_are_observed():
    result = built(resources={READY_REPLICAS: series({checkout: [1.0, 2.0, 2.0]})})
    assert values(result, CHECKOUT, READY_REPLICAS) == [1, 2, 2]


def test_calls_that_cannot_be_attributed_are_counted():
    result = built(traffic(calls=calls((NOBODY, checkout, 3.0), (workload_peer("frontend"), checkout, 2.0))))
    assert result.unattributed_requests_per_second == 3.0


def test_nothing_observed_is_an_empty_snapshot():
    result = built(traffic(calls=calls(), requests=series({})))
    assert (result.snapshot.services, result.snapshot.calls.shape, result.sources) == ((), (2, 0), ())
