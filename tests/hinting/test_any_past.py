"""
Whatever is forecast and measured, and whenever a process ends: from forecasts to trust, hints and floors, nothing leaves
its bounds, nothing is done in Preview, and all is given back in the end.
"""

import math
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.autoscalers import FakeAutoscalers, autoscaler
from builders.operating import STEP, FakeCluster, forecast_body, namespace_body
from builders.snapshots import CHECKOUT, FRONTEND, MIDDAY
from builders.telemetry import workload_body
from tidecast_contract.features import ERRORS, FEATURES, FORECAST_FEATURES, READY_REPLICAS, REQUESTS, index_of
from tidecast_contract.forecast import QUANTILES, Forecast, ModelInfo, ModelKind
from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot
from tidecast_operator.hints.board import NotOffered
from tidecast_operator.hints.keeper import HintKeeper, Seen
from tidecast_operator.judging import Judge
from tidecast_operator.outlets.floors.floors import Floors
from tidecast_operator.outlets.keda import amounts
from tidecast_operator.outlets.metrics_api.offering import Metric, offered
from tidecast_operator.ownership import asking
from tidecast_operator.picture import Picture
from tidecast_operator.published import to_time
from tidecast_operator.publishing.preparing import Outcome, prepare
from tidecast_operator.publishing.status import VALID_STEPS
from tidecast_operator.settings import METRICS
from tidecast_operator.trust.keeper import pasts_of

WINDOW, HORIZON = 20, 30
NAN, INF = math.nan, math.inf
STRANGER = ServiceId("elsewhere", "Deployment", "stranger")
OFFSETS = {0: 60, 180: 300, 3600: 1800}
"""Where trust looks for each lead time, as the record has it with this horizon."""


@dataclass(frozen=True)
class Step:
    """
    What a cycle meets.

    Attributes:
        gap: Steps since the one before.
        requests: What was measured of the checkout; None if Prometheus is away.
        ready: Its ready replicas.
        errors: The share of errors of its caller.
        said: p10, p50 and p90 of what is to come; None if the predictor is away.
        every: Only every so many steps of a forecast are there.
        services: Of whom the forecast speaks.
        mode: What the spec says from now on.
        is_new: Whether a process begins with it, which knows what statuses tell.
    """

    gap: int = 1
    requests: float | None = 100.0
    ready: float = 2.0
    errors: float = 0.0
    said: tuple[float, float, float] | None = (90.0, 100.0, 500.0)
    every: int = 1
    services: tuple[ServiceId, ...] = (FRONTEND, CHECKOUT)
    mode: str = "Active"
    is_new: bool = False


def in_order(values):
    """No forecast is made whose quantiles cross; what is not known has no order."""
    known = iter(sorted(value for value in values if not math.isnan(value)))
    return tuple(value if math.isnan(value) else next(known) for value in values)


any_value = st.sampled_from([NAN, INF, -INF, 1e30, 3e38, -1e30, -5.0, 0.0, 1e-30, 40.0, 100.0, 100.0, 500.0, 9e3])
any_step = st.builds(
    Step,
    gap=st.sampled_from([0, 1, 1, 1, 1, 2, 6, 11, 40, 3000]),
    requests=st.sampled_from([None, NAN, 0.0, 1e-9, 80.0, 100.0, 100.0, 120.0, 1e6, 1e30]),
    ready=st.sampled_from([NAN, 0.0, 1.0, 2.0, 5.0, 3000.0]),
    errors=st.sampled_from([NAN, 0.0, 0.0, 0.01, 0.5, 1.0]),
    said=st.one_of(
        st.none(),
        st.just(Step().said),
        st.sampled_from([(10.0, 100.0, 800.0), (NAN, 100.0, NAN), (0.0, 0.0, 0.0)]),
        st.tuples(any_value, any_value, any_value).map(in_order),
    ),
    every=st.sampled_from([1, 1, 1, 2, 7, HORIZON + 1]),
    services=st.sampled_from([(FRONTEND, CHECKOUT), (FRONTEND, CHECKOUT), (CHECKOUT, STRANGER), (FRONTEND,), ()]),
    mode=st.sampled_from(["Active", "Active", "Active", "Preview"]),
    is_new=st.sampled_from([False, False, False, True]),
)
any_past = st.lists(any_step, min_size=1, max_size=14)


@st.composite
def any_scaling(draw):
    """A `spec.scaling`, and the floor and the ceiling of the autoscaler that it names."""
    floor, least = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    scaling = {
        "perReplica": draw(st.sampled_from(["1m", "500m", "50", "1k"])),
        "quantile": draw(st.sampled_from(["0.5", "0.9", "0.99"])),
        "leadTimeSeconds": draw(st.sampled_from(sorted(OFFSETS))),
        "minReplicas": least,
    }
    if draw(st.booleans()):
        scaling["maxReplicas"] = draw(st.integers(least, 40))
    return scaling, floor, draw(st.integers(floor, 40))


PLAIN = ({"perReplica": "50", "quantile": "0.9", "leadTimeSeconds": 180, "minReplicas": 2, "maxReplicas": 9}, 2, 20)


class World:
    """A shop whose checkout is trusted already, as its status tells, and the processes that look after it."""

    def __init__(self, scaling, floor, ceiling):
        self.scaling, self.generation, self.time = scaling, 0, MIDDAY
        self.picture = Picture()
        self.cluster = FakeCluster(self.picture)
        for body in (namespace_body(), workload_body("frontend"), workload_body("checkout")):
            self.cluster.put(body)
        self.original = autoscaler(floor=floor, ceiling=ceiling)
        self.fake = FakeAutoscalers().put(self.original)
        self.values = np.full((WINDOW, 2, len(FEATURES)), np.nan, np.float32)
        self.mode = ""
        self.write_spec("Active", status=self.trusted())
        self.start()

    def trusted(self):
        skill = {"metric": "RequestsPerSecond", "offsetSeconds": OFFSETS[self.scaling["leadTimeSeconds"]]}
        skill |= {"samples": 700, "error": "5", "naiveError": "20", "bias": "0", "coverage": "800m"}
        times = {"issuedTime": to_time(self.time), "expireTime": to_time(self.time + VALID_STEPS * STEP)}
        return {"model": {"kind": "GCN-GRU"}, "skill": skill} | times

    def start(self):
        """A process that knows nothing but what stands in the cluster."""
        self.judge, self.hints, self.last_trust = Judge(), HintKeeper(valid_steps=VALID_STEPS), {}
        self.floors = Floors(self.fake, may_write=lambda: True, clock=lambda: self.time, threads=1)

    def write_spec(self, mode, status):
        if mode != self.mode:
            self.mode, self.generation = mode, self.generation + 1
            scaling = self.scaling | {"mode": mode, "horizontalPodAutoscalerName": "checkout"}
            metadata = {"generation": self.generation}
            self.cluster.put(forecast_body(metadata=metadata, scaling=scaling) | {"status": status}, "MODIFIED")

    def run(self, step):
        if step.is_new:
            self.start()
        self.time += step.gap * STEP
        self.write_spec(step.mode, self.cluster.status("ServicePerformanceForecast", "checkout", "shop"))
        # Of what is infinite numpy warns; what is made of it is looked at here.
        with np.errstate(invalid="ignore", over="ignore"):
            return self.cycle(self.measured(step), self.forecast(step))

    def measured(self, step):
        fresh = np.full((min(step.gap, WINDOW), 2, len(FEATURES)), np.nan, np.float32)
        self.values = np.concatenate([self.values, fresh])[-WINDOW:].copy()
        if step.requests is None:
            return None
        now = {REQUESTS: (step.requests, step.requests), READY_REPLICAS: (2.0, step.ready), ERRORS: (step.errors, 0.0)}
        for feature, values in now.items():
            self.values[-1, :, index_of(feature)] = values
        calls = np.array([[0], [1]], np.int64)
        return Snapshot(self.time, STEP, (FRONTEND, CHECKOUT), self.values.copy(), calls, np.ones(1, np.float32))

    def forecast(self, step):
        if step.said is None or step.requests is None:
            return None
        shape = (len(step.services), len(FORECAST_FEATURES), HORIZON, len(QUANTILES))
        values = np.full(shape, np.nan, np.float32)
        values[:, :, step.every - 1 :: step.every] = step.said
        kinds = (ModelKind.GCN_GRU,) * len(step.services)
        return Forecast(self.time, STEP, step.services, QUANTILES, values, kinds, ModelInfo(ModelKind.GCN_GRU))

    def cycle(self, window=None, forecast=None):
        """As the operator's, but for its doors; returns what autoscalers are told."""
        resources, now = self.picture.forecasts(), self.time
        skills = None if window is None else self.judge.after(window, forecast, self.pasts)
        hints = self.hints.after(Seen(now, window, forecast), asking(resources))
        known = {"skills": skills, "hints": hints, "last_trust": self.last_trust}
        outcome = Outcome(now, STEP, METRICS, window=window, forecast=forecast, **known)
        prepared = prepare(outcome, resources, self.picture.workloads())
        self.last_trust = prepared.last_trust
        report = self.floors.follow(prepared.board)
        assert (report.problems, report.is_complete) == ([], True)
        for write in prepared.writes:
            self.cluster.patch_forecast_status(write.resource.namespace, write.resource.name, write.patch)
        self.check(prepared.board)
        return prepared.board

    def pasts(self):
        return pasts_of(self.picture.forecasts(), time=self.time)

    def check(self, board):
        found = self.fake["checkout"]
        assert 1 <= self.original.min_replicas <= found.min_replicas <= found.max_replicas
        for entry in board.entries.values():
            if entry.hint is not None:
                check_hint(entry)
        with suppress(NotOffered):
            for metric in Metric:
                assert offered(board, "shop", "checkout", metric, now=self.time)
            assert self.mode == "Active"
        if self.mode == "Preview":
            self.check_restored()

    def check_restored(self):
        assert replace(self.fake["checkout"], version="1") == self.original

    def delete(self):
        self.cluster.remove("ServicePerformanceForecast", "shop", "checkout")
        self.cycle()


def check_hint(entry):
    """Within its bounds, and the same number for whoever divides."""
    hint, scaling = entry.hint, entry.scaling
    assert 1 <= scaling.min_replicas <= hint.replicas <= (scaling.max_replicas or math.inf)
    assert math.isfinite(hint.load)
    assert hint.load >= 0
    target = amounts.load_target(entry)
    told = amounts.load(hint, target)
    assert math.ceil(told.thousandths / target.thousandths) == hint.replicas


def lived(world, past):
    for step in past:
        world.run(step)
    return world


thorough = settings(max_examples=60, deadline=None, database=None, derandomize=True)


@given(any_scaling(), any_past)
@thorough
def test_in_any_past_all_bounds_hold_and_once_the_resource_is_deleted_all_is_as_it_was(scaling, past):
    world = lived(World(*scaling), past)

    world.delete()

    world.check_restored()


@given(any_scaling(), any_past)
@thorough
def test_after_any_past_a_process_that_knows_only_the_cluster_gives_all_back_once_nothing_is_asked(scaling, past):
    world = lived(World(*scaling), past)
    world.start()

    world.delete()

    world.check_restored()


@given(any_scaling(), any_past)
@thorough
def test_in_any_past_that_is_all_preview_nothing_is_ever_written(scaling, past):
    world = lived(World(*scaling), [replace(step, mode="Preview") for step in past])

    assert world.fake.writes == 0


@given(any_scaling(), any_past)
@thorough
def test_after_any_past_what_nobody_forecasts_any_more_is_given_back_when_it_has_expired(scaling, past):
    world = lived(World(*scaling), [*past, Step(gap=1)])

    world.time += HORIZON * STEP + 1
    world.cycle()

    world.check_restored()


@pytest.mark.parametrize("is_new", [False, True])
def test_a_past_without_trouble_raises_the_floor_to_the_hint_and_holds_it_over_a_restart(is_new):
    world = lived(World(*PLAIN), [Step(ready=5.0)] * 4)
    assert world.fake["checkout"].min_replicas == 9

    world.run(Step(ready=5.0, said=None, is_new=is_new))

    assert world.fake["checkout"].min_replicas == 9
    assert world.cluster.status("ServicePerformanceForecast", "checkout", "shop")["hint"]["replicas"] == 9
