"""One collection: what is asked, how often, and what comes of the answers."""

import threading
import time

import numpy as np
import pytest

from builders.snapshots import MIDDAY
from tidecast_contract.features import CPU, LATENCY_P50
from tidecast_operator.errors import NotEnoughData, PrometheusUnavailable, QueryTooLarge
from tidecast_operator.telemetry.collector import Collector
from tidecast_operator.telemetry.observations import Peer
from tidecast_operator.telemetry.prometheus import Answer
from tidecast_operator.telemetry.series import parse
from tidecast_operator.telemetry.sources import RESOURCES, TRAFFIC

CART = {"destination_workload_namespace": "shop", "destination_workload": "cart"}
EDGE = CART | {"source_workload_namespace": "shop", "source_workload": "web"}


PROBES = {schema.name: schema.probe for schema in (*TRAFFIC, *RESOURCES)}


class FakePrometheus:
    """Answers every question about Istio with the same number of series, and remembers what it was asked."""

    address = "http://prometheus"

    def __init__(self, *found, series=1, value="2", warnings=()):
        self.found = found or ("Istio", "KubeStateMetrics")
        self.labels = [CART | {"version": str(n)} for n in range(series)]
        self.value = value
        self.warnings = warnings
        self.instants, self.ranges, self.threads = [], [], set()

    def query(self, promql, *, at=None):
        if "count_over_time" in promql:
            probes = [PROBES[name] for name in self.found]
            return self._answer([{"metric": {"metric_asked_for": probe}, "value": [0, "20"]} for probe in probes])
        if promql.endswith("[5m]"):
            return self._answer([{"metric": {}, "values": [[0, "1"], [15, "2"]]}])
        self.instants.append((promql, at))
        return self._answer([{"metric": EDGE, "value": [at, self.value]}])

    def query_range(self, promql, grid):
        self.threads.add(threading.current_thread().name)
        self.ranges.append((promql, grid))
        times = range(grid.start_time, grid.end_time + 1, grid.step_seconds)
        points = [[time, self.value] for time in times]
        return self._answer([{"metric": labels, "values": points} for labels in self.labels])

    def _answer(self, result):
        return Answer(parse(result), self.warnings, ())


def collected(prometheus, *, steps=3, **arguments):
    collector = Collector(prometheus, **arguments)
    return collector.collect(MIDDAY - (steps - 1) * 60, MIDDAY, 60)


def test_a_source_that_was_silent_at_one_look_is_asked_on():
    prometheus = FakePrometheus("Istio", "OpenTelemetry", "KubeStateMetrics")
    collector = Collector(prometheus)
    collector.detect()
    prometheus.found = ("OpenTelemetry", "PodNames")
    assert collector.detect() == ("Istio", "OpenTelemetry")
    assert collector.collect(MIDDAY, MIDDAY, 60).resources
    assert any("kube_pod_owner" in promql for promql, _ in prometheus.ranges)


def test_a_source_that_was_silent_at_two_looks_is_gone():
    prometheus = FakePrometheus("Istio", "OpenTelemetry")
    collector = Collector(prometheus)
    collector.detect()
    prometheus.found = ("OpenTelemetry",)
    collector.detect()
    assert collector.detect() == ("OpenTelemetry",)


def test_a_source_that_came_back_may_be_silent_at_a_look_again():
    prometheus = FakePrometheus("Istio", "OpenTelemetry")
    collector = Collector(prometheus)
    for found in (("Istio", "OpenTelemetry"), ("OpenTelemetry",), ("Istio", "OpenTelemetry"), ("OpenTelemetry",)):
        prometheus.found = found
        assert collector.detect() == ("Istio", "OpenTelemetry")


def test_a_better_source_of_resources_is_taken_at_the_first_look():
    prometheus = FakePrometheus("Istio", "PodNames")
    collector = Collector(prometheus)
    collector.detect()
    prometheus.found = ("Istio", "KubeStateMetrics")
    collector.detect()
    collector.collect(MIDDAY, MIDDAY, 60)
    assert any("kube_pod_owner" in promql for promql, _ in prometheus.ranges)


@pytest.mark.parametrize("series", [1, 5000])
def test_the_number_of_queries_does_not_depend_on_the_number_of_services(series):
    prometheus = FakePrometheus(series=series)
    assert collected(prometheus).queries == 8
    assert len(prometheus.instants) + len(prometheus.ranges) == 8


def test_calls_are_asked_for_once_over_the_whole_time():
    prometheus = FakePrometheus()
    found = collected(prometheus, steps=60).traffic[0].calls
    (promql, at) = prometheus.instants[0]
    assert ("[3600s]" in promql, at) == (True, MIDDAY)
    assert (found.callers, found.rates.tolist()) == ((Peer(namespace="shop", workload="web"),), [2.0])


class Small(FakePrometheus):
    """Refuses what would load more than so many steps."""

    def __init__(self, *, most, **options):
        super().__init__(**options)
        self.most, self.refused = most, 0

    def query_range(self, promql, grid):
        if grid.steps > self.most:
            self.refused += 1
            raise QueryTooLarge("422")
        return super().query_range(promql, grid)


def test_what_is_too_large_for_prometheus_is_asked_for_in_smaller_parts():
    prometheus = Small(most=10)
    collector = Collector(prometheus)
    for _ in range(2):
        requests = collector.collect(MIDDAY - 119 * 60, MIDDAY, 60).traffic[0].requests.values
        assert requests.shape == (120, 1)
        assert np.isfinite(requests).all()
    # 60, 30 and 15 steps, once for each of the seven questions: the second collection knows.
    assert prometheus.refused == 3 * 7


def test_one_step_that_is_too_large_is_an_error():
    with pytest.raises(QueryTooLarge):
        collected(Small(most=0))


@pytest.mark.parametrize("value", ["NaN", "0", "+Inf"])
def test_a_call_without_a_rate_was_not_seen(value):
    assert collected(FakePrometheus(value=value)).traffic[0].calls.callers == ()


def test_latencies_come_in_seconds():
    assert collected(FakePrometheus(value="250")).traffic[0].latencies[LATENCY_P50].values.tolist() == [[0.25]] * 3


@pytest.mark.parametrize(
    ("metric", "over"),
    [
        pytest.param("istio", "[60s]", id="of requests over a step"),
        pytest.param("container_cpu", "[120s]", id="of what containers use over two minutes, by cAdvisor's own times"),
    ],
)
def test_a_rate_is_taken(metric, over):
    prometheus = FakePrometheus()
    collected(prometheus)
    asked = [promql for promql, _ in prometheus.ranges if metric in promql]
    assert asked
    assert all(over in promql for promql in asked)


def test_a_service_graph_needs_a_longer_range():
    prometheus = FakePrometheus("OpenTelemetry")
    collected(prometheus)
    assert "[240s]" in prometheus.instants[0][0]


def test_a_long_time_is_asked_for_in_parts_that_bound_each_answer():
    prometheus = FakePrometheus(series=100)
    found = collected(prometheus, steps=200, max_samples=5000)
    steps = [grid.steps for promql, grid in prometheus.ranges if promql == prometheus.ranges[0][0]]
    assert steps == [60, 50, 50, 40]
    assert np.array_equal(found.traffic[0].requests.values, np.full((200, 100), 2.0))


def test_no_part_exceeds_the_points_that_prometheus_allows():
    prometheus = FakePrometheus("Istio")
    collected(prometheus, steps=25_000)
    assert max(grid.steps for _, grid in prometheus.ranges) == 11_000


def test_resources_are_left_out_when_nobody_measures_them():
    assert collected(FakePrometheus("Istio")).resources == {}
    assert CPU in collected(FakePrometheus("Istio", "PodNames")).resources


def test_several_sources_come_in_their_order():
    found = collected(FakePrometheus("OpenTelemetry", "Istio"))
    assert [traffic.source for traffic in found.traffic] == ["Istio", "OpenTelemetry"]


def test_a_source_that_was_not_asked_for_is_not_collected():
    found = collected(FakePrometheus("OpenTelemetry", "Istio"), sources=("OpenTelemetry",))
    assert [traffic.source for traffic in found.traffic] == ["OpenTelemetry"]


def test_without_a_source_it_says_what_it_looked_for():
    with pytest.raises(NotEnoughData, match="no istio_requests_total nor traces_service_graph_request_total"):
        collected(FakePrometheus("KubeStateMetrics"))


def test_a_source_that_appears_later_is_found_then():
    prometheus = FakePrometheus("KubeStateMetrics")
    collector = Collector(prometheus)
    assert collector.detect() == ()
    prometheus.found = ("Istio",)
    assert collector.collect(MIDDAY, MIDDAY, 60).traffic[0].source == "Istio"


def test_what_was_found_is_looked_for_again_after_a_while(monkeypatch):
    prometheus = FakePrometheus("OpenTelemetry")
    collector = Collector(prometheus)
    collector.detect()
    prometheus.found = ("Istio", "OpenTelemetry")
    assert collector.collect(MIDDAY, MIDDAY, 60).traffic[0].source == "OpenTelemetry"
    later = time.monotonic() + 700
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert collector.collect(MIDDAY, MIDDAY, 60).traffic[0].source == "Istio"


HOUR = 3600
CHANGED = MIDDAY - 3 * HOUR


class Faster(FakePrometheus):
    """Scrapes every minute until some moment, and every 15 seconds from then on; has nothing older than its beginning."""

    def __init__(self, *found, begin=0):
        super().__init__(*found)
        self.begin, self.looks = begin, []

    def query(self, promql, *, at=None):
        if "count_over_time" in promql and not promql.startswith("("):
            self.looks.append(at)
        if at < self.begin:
            return self._answer([])
        if promql.endswith("[5m]"):
            every = 60 if at <= CHANGED else 15
            return self._answer([{"metric": {}, "values": [[0, "1"], [every, "2"]]}])
        return super().query(promql, at=at)


def ranges_of(prometheus, start, end):
    """What requests are asked for over, from *start* to *end*, by one who looked around at midday."""
    collector = Collector(prometheus)
    collector.detect(at=MIDDAY)
    prometheus.looks.clear()
    collector.collect(start, end, 60)
    asked = {promql for promql, _ in prometheus.ranges if "istio_requests_total" in promql}
    return {range_ for range_ in ("[60s]", "[180s]") if any(range_ in promql for promql in asked)}


@pytest.mark.parametrize(
    ("hours_before", "expected"),
    [
        pytest.param((12, 6), "[180s]", id="before the change, by the interval of then"),
        pytest.param((6, 1), "[180s]", id="around the change, by the slower one"),
        pytest.param((2, 1), "[60s]", id="after the change, by that of now"),
    ],
)
def test_history_is_asked_for_by_its_own_scrape_interval(hours_before, expected):
    start, end = (MIDDAY - hours * HOUR for hours in hours_before)
    assert ranges_of(Faster(), start, end) == {expected}


def test_where_nothing_is_found_then_the_scrape_interval_of_now_counts():
    assert ranges_of(Faster(begin=CHANGED), MIDDAY - 12 * HOUR, MIDDAY - 6 * HOUR) == {"[60s]"}


def test_the_present_takes_no_more_looks_and_history_takes_two_however_long():
    for ago, steps, looks in ((0, 1, 0), (5, 60, 0), (120, 1, 2), (120, 600, 2)):
        prometheus, end = Faster(), MIDDAY - ago * 60
        ranges_of(prometheus, end - (steps - 1) * 60, end)
        assert len(prometheus.looks) == looks


def test_a_step_of_an_hour_that_ended_half_an_hour_ago_is_of_the_present():
    prometheus = Faster()
    collector = Collector(prometheus)
    collector.detect(at=MIDDAY + HOUR / 2)
    collector.collect(MIDDAY, MIDDAY, HOUR)
    assert prometheus.looks == [MIDDAY + HOUR / 2]


def test_warnings_are_told_once_and_make_the_observations_partial():
    found = collected(FakePrometheus(warnings=("store-2 did not answer",)))
    assert (found.warnings, found.is_partial) == (("store-2 did not answer",), True)


def test_not_more_than_four_questions_are_asked_at_once():
    prometheus = FakePrometheus("Istio", "OpenTelemetry", "KubeStateMetrics")
    collected(prometheus)
    assert 1 <= len(prometheus.threads) <= 4
    assert threading.current_thread().name not in prometheus.threads


def test_a_question_that_fails_fails_the_collection():
    prometheus = FakePrometheus()
    collector = Collector(prometheus)
    collector.detect()

    def unavailable(*_, **__):
        raise PrometheusUnavailable("gone")

    prometheus.query_range = unavailable
    with pytest.raises(PrometheusUnavailable):
        collector.collect(MIDDAY, MIDDAY, 60)
