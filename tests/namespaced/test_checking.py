from dataclasses import replace
from datetime import UTC, datetime

import pytest

from builders.access import FakeAccess
from builders.operating import FakeCollector, FakePredictor, forecaster_spec
from builders.snapshots import MIDDAY
from tidecast_operator.checking import Check
from tidecast_operator.clean_up import HOLDER
from tidecast_operator.doors import Collectors
from tidecast_operator.errors import (
    ApiServerUnavailable,
    ContractMismatch,
    PredictorUnavailable,
    PrometheusUnavailable,
)
from tidecast_operator.leadership import Candidate
from tidecast_operator.leases import Lease
from tidecast_operator.published import Condition, to_time
from tidecast_operator.scope import NEEDED

CANDIDATE = Candidate("", "tidecast-system")


class Clock:
    """Time passes only while somebody waits; what comes true at a certain moment does so then."""

    def __init__(self, timeout=60):
        self.now, self.at = MIDDAY, {}
        self.check = Check(timeout_seconds=timeout, clock=lambda: self.now, pause=self.pause)

    async def pause(self, seconds):
        self.now += seconds
        self.at.pop(self.now - MIDDAY, lambda: None)()


@pytest.fixture
def clock():
    return Clock()


async def test_an_api_server_that_answers_tells_its_version(clock):
    finding = await clock.check.api_server(FakeAccess())

    assert (finding.is_good, str(finding)) == (True, "ok    API server: Kubernetes v1.30.0")


async def test_an_api_server_that_does_not_answer_fails(clock):
    finding = await clock.check.api_server(FakeAccess(is_down=True))

    assert str(finding).startswith("FAIL  API server: the API server does not answer")


async def test_definitions_that_come_late_are_waited_for(clock):
    access = FakeAccess(served=False)
    clock.at[5] = lambda: setattr(access, "served", True)

    assert (await clock.check.definitions(access, ("forecasters",))).is_good


async def test_definitions_that_never_come_fail_with_a_remedy(clock):
    finding = await clock.check.definitions(FakeAccess(served=False), ("forecasters",))

    assert not finding.is_good
    assert "manifests/crds" in finding.text
    assert clock.now == MIDDAY + 60


class FakeLeases:
    """A Lease that is renewed every time it is looked at, or not."""

    def __init__(self, holder="pod-1", *, renews=True, is_there=True):
        self.lease = Lease("tidecast-system", "tidecast-operator", holder, 15, datetime.now(UTC), version="0")
        self.renews, self.is_there = renews, is_there

    def read_lease(self, *_):
        if not self.is_there:
            return None
        if self.renews:
            self.lease = replace(self.lease, version=str(int(self.lease.version) + 1))
        return self.lease


async def test_an_operator_that_renews_its_lease_leads(clock):
    finding = await clock.check.operator(FakeLeases(), CANDIDATE)

    assert (finding.is_good, finding.text) == (True, "pod-1 leads")


@pytest.mark.parametrize(
    ("leases", "told"),
    [
        (FakeLeases(is_there=False), "no Lease tidecast-system/tidecast-operator"),
        (FakeLeases(renews=False), "pod-1 does not renew"),
        (FakeLeases(""), "does not lead"),
        (FakeLeases(HOLDER), "put to rest by clean-up"),
    ],
)
async def test_an_operator_that_does_not_lead_fails(clock, leases, told):
    finding = await clock.check.operator(leases, CANDIDATE)

    assert not finding.is_good
    assert told in finding.text


async def test_a_namespace_tells_how_many_forecasts_can_be_read(clock):
    access = FakeAccess(names={("ServicePerformanceForecast", "shop"): {("shop", "a"): 1, ("shop", "b"): 1}})
    finding = await clock.check.namespace("shop", access, access, NEEDED)

    assert finding.is_good
    assert "2 ServicePerformanceForecasts" in finding.text


async def test_a_namespace_without_a_permission_fails_with_it(clock):
    access = FakeAccess(forbidden={"shop": {"create events"}})
    finding = await clock.check.namespace("shop", access, access, NEEDED)

    assert not finding.is_good
    assert "create events" in finding.text


EXTERNAL = "v1beta1.external.metrics.k8s.io"
REACHED = Condition("Available", "True", "Passed", "all checks passed")
NOT_REACHED = Condition("Available", "False", "FailedDiscoveryCheck", "no response from https://10.0.0.1:443")


async def test_an_api_service_that_the_api_server_reaches_is_good(clock):
    finding = await clock.check.api_service(EXTERNAL, FakeAccess(available={EXTERNAL: REACHED}))

    assert str(finding) == f"ok    APIService {EXTERNAL}: Passed: all checks passed"


async def test_an_api_service_that_becomes_available_is_waited_for(clock):
    access = FakeAccess()
    clock.at[3] = lambda: access.available.update({EXTERNAL: NOT_REACHED})
    clock.at[9] = lambda: access.available.update({EXTERNAL: REACHED})

    assert (await clock.check.api_service(EXTERNAL, access)).is_good
    assert clock.now == MIDDAY + 9


@pytest.mark.parametrize(
    ("available", "told"),
    [
        ({}, "it is not there; apply it"),
        ({EXTERNAL: NOT_REACHED}, "FailedDiscoveryCheck: no response from https://10.0.0.1:443; see docs/"),
        ({EXTERNAL: replace(REACHED, status="Unknown", reason="NotLookedAt")}, "NotLookedAt"),
        ({"v1beta2.custom.metrics.k8s.io": REACHED}, "it is not there"),
    ],
)
async def test_an_api_service_that_the_api_server_does_not_reach_fails_with_what_it_says(clock, available, told):
    finding = await clock.check.api_service(EXTERNAL, FakeAccess(available=available))

    assert not finding.is_good
    assert told in finding.text


class FakeForecasters:
    """A Forecaster as the operator left it."""

    def __init__(self, ready=("True", "Forecasting"), *, observed=2, cycle=MIDDAY, **spec):
        condition = {
            "type": "Ready",
            "status": ready[0],
            "reason": ready[1],
            "message": "so",
            "observedGeneration": observed,
        }
        self.body = {
            "metadata": {"generation": 2},
            "spec": forecaster_spec(**spec),
            "status": {"conditions": [condition], "cycle": {"startTime": to_time(cycle)}},
        }

    def find(self):
        if self.body == "down":
            raise ApiServerUnavailable("the API server does not answer")
        return self.body


async def test_a_forecaster_that_is_ready_is_good(clock):
    finding, body = await clock.check.forecaster(FakeForecasters())

    assert finding.is_good
    assert body["spec"] == forecaster_spec()


@pytest.mark.parametrize(
    ("forecasters", "told"),
    [
        (FakeForecasters(("False", "PrometheusUnavailable")), "PrometheusUnavailable: so"),
        (FakeForecasters(observed=1), "not looked at its present spec"),
        (FakeForecasters(cycle=MIDDAY - 200), "its last cycle is long ago"),
        (FakeForecasters(cycle=MIDDAY - 3 * 600 - 1, stepSeconds=600), "its last cycle is long ago"),
    ],
)
async def test_a_forecaster_that_is_not_ready_fails_with_the_reason(forecasters, told):
    clock = Clock(timeout=0)
    finding, _ = await clock.check.forecaster(forecasters)

    assert not finding.is_good
    assert told in finding.text


async def test_long_steps_make_no_old_cycle():
    forecasters = FakeForecasters(cycle=MIDDAY - 3 * 600 + 1, stepSeconds=600)

    assert (await Clock(timeout=0).check.forecaster(forecasters))[0].is_good


async def test_the_first_cycle_is_waited_for(clock):
    forecasters, ready = FakeForecasters(), FakeForecasters().body
    forecasters.body = None
    clock.at[3] = lambda: setattr(forecasters, "body", "down")
    clock.at[6] = lambda: setattr(forecasters, "body", {**ready, "status": {}})
    clock.at[9] = lambda: setattr(forecasters, "body", ready)

    assert (await clock.check.forecaster(forecasters))[0].is_good
    assert clock.now == MIDDAY + 9


async def test_a_forecaster_that_is_missing_fails_with_a_remedy(clock):
    forecasters = FakeForecasters()
    forecasters.body = None
    finding, body = await clock.check.forecaster(forecasters)

    assert (finding.is_good, body) == (False, None)
    assert "--forecaster-file" in finding.text


@pytest.mark.parametrize(("status", "is_good"), [("True", True), ("False", False), ("Unknown", False)])
def test_a_condition_is_told_as_it_stands(clock, status, is_good):
    body = FakeForecasters((status, "Why")).body
    finding = clock.check.condition(body, "Ready", "Prometheus")

    assert (finding.is_good, finding.text) == (is_good, "Why: so")


def test_a_condition_that_is_not_there_yet_is_not_good(clock):
    assert not clock.check.condition(FakeForecasters().body, "PrometheusReachable", "Prometheus").is_good
    assert not clock.check.condition(None, "PrometheusReachable", "Prometheus").is_good


class FakeDoors:
    """Opens the doors to doubles."""

    def __init__(self, *, collector=None, predictor=None):
        self.collector, self.fake = FakeCollector(error=collector), FakePredictor(error=predictor)

    async def collectors(self, _):
        return Collectors(self.collector, self.collector, self.collector)

    async def predictor(self, _):
        return self.fake


async def test_doors_that_open_are_good(clock):
    doors = FakeDoors()

    prometheus = await clock.check.prometheus(doors, forecaster_spec())
    assert prometheus.is_good
    assert "http://prometheus:9090 answers" in prometheus.text
    assert doors.collector.asked == [(MIDDAY - 60, MIDDAY - 60)]
    predictor = await clock.check.predictor(doors, forecaster_spec())
    assert (predictor.is_good, predictor.text) == (True, "predictor:8500 answers, its model is GCN-GRU")


@pytest.mark.parametrize("error", [PredictorUnavailable("no answer"), ContractMismatch("1 here, 2 there")])
async def test_a_predictor_that_cannot_be_used_fails(clock, error):
    finding = await clock.check.predictor(FakeDoors(predictor=error), forecaster_spec())

    assert (finding.is_good, finding.text) == (False, str(error))


async def test_a_prometheus_that_does_not_answer_fails(clock):
    finding = await clock.check.prometheus(FakeDoors(collector=PrometheusUnavailable("no answer")), forecaster_spec())

    assert (finding.is_good, finding.text) == (False, "no answer")


async def test_a_spec_that_is_not_valid_fails_with_the_field(clock):
    finding = await clock.check.prometheus(FakeDoors(), forecaster_spec(stepSeconds=1))

    assert not finding.is_good
    assert "spec.stepSeconds" in finding.text
