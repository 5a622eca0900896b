import threading

import pytest

from builders.operating import forecast_body, namespace_body, operator
from builders.snapshots import MIDDAY, forecast, snapshot
from builders.telemetry import cluster, workload_body
from tidecast_operator.api_answers import Outcome, WriteRefused
from tidecast_operator.errors import ApiServerUnavailable, Misconfigured
from tidecast_operator.published import Condition, settled, to_time
from tidecast_operator.publishing import preparing
from tidecast_operator.publishing.preparing import prepare
from tidecast_operator.publishing.writer import StatusWrite, Writer, needed
from tidecast_operator.resources import ForecastResource
from tidecast_operator.settings import METRICS

WRITES = [StatusWrite(ForecastResource.parse(forecast_body(f"spf-{number}")), {}) for number in range(20)]
STATUS = {"issuedTime": "2026-11-22T10:00:00Z", "expireTime": "2026-11-22T10:10:00Z", "forecasts": [], "current": {}}
READY = (Condition("Ready", "True", "ForecastIssued", "fine"),)


class Answering:
    """A cluster that answers status patches one after the other as told, then well."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.calls = 0
        self._lock = threading.Lock()

    def patch_forecast_status(self, *_):
        with self._lock:
            self.calls += 1
            answer = self.answers.pop(0) if self.answers else Outcome.DONE
        if isinstance(answer, Exception):
            raise answer
        return answer

    def delete_forecast(self, *_, **__):
        return self.patch_forecast_status()


def writer(cluster, *, may_write=lambda: True):
    return Writer(cluster, may_write=may_write, threads=1, pause=lambda _: None)


def published(status, conditions=READY, **changes):
    """A resource whose status was written before."""
    bare = ForecastResource.parse(forecast_body())
    found = settled(conditions, bare.published, generation=bare.generation, now=5)
    body = forecast_body(**changes)
    body["status"] = status | {"observedGeneration": 1, "conditions": [condition.to_dict() for condition in found]}
    return ForecastResource.parse(body), found


def test_a_server_that_asks_to_wait_is_asked_again():
    cluster = Answering(ApiServerUnavailable("429"), ApiServerUnavailable("429"))

    assert writer(cluster).statuses(WRITES[:1], budget_seconds=10).done == 1


def test_a_server_that_stays_away_is_left_alone():
    cluster = Answering(*[ApiServerUnavailable("refused")] * 3)

    written = writer(cluster).statuses(WRITES, budget_seconds=10)

    assert cluster.calls == 3
    assert (written.done, written.skipped) == (0, 20)
    assert isinstance(written.problem, ApiServerUnavailable)


def test_a_missing_permission_is_not_tried_twenty_times():
    cluster = Answering(Misconfigured("permissions", "403", "grant them"))

    assert writer(cluster).statuses(WRITES, budget_seconds=10).skipped == 20
    assert cluster.calls == 1


def test_one_refused_write_does_not_stop_the_others():
    written = writer(Answering(WriteRefused("422"), Outcome.GONE)).statuses(WRITES, budget_seconds=10)

    assert (written.refused, written.gone, written.done) == (1, 1, 18)
    assert written.problem is None


def test_without_the_lease_nothing_is_written():
    cluster = Answering()

    assert writer(cluster, may_write=lambda: False).statuses(WRITES, budget_seconds=10).skipped == 20
    assert cluster.calls == 0


def test_what_there_is_no_time_for_is_put_off():
    seconds = iter(range(100))
    cluster = Answering()
    slow = Writer(cluster, may_write=lambda: True, threads=1, clock=lambda: next(seconds))

    written = slow.statuses(WRITES, budget_seconds=5)

    assert (cluster.calls, written.done, written.deferred) == (4, 4, 16)
    assert written.rounds == 5


def test_events_of_what_was_not_written_are_kept_back():
    event = {"reason": "ForecastIssued"}
    writes = [StatusWrite(write.resource, {}, (event,)) for write in WRITES[:3]]

    written = writer(Answering(Outcome.GONE, WriteRefused("422"))).statuses(writes, budget_seconds=10)

    assert written.events == [event]


def test_changes_of_state_come_first_and_then_the_oldest_forecasts():
    shop = cluster(namespace_body(), workload_body("checkout"), workload_body("frontend"))
    bodies = [forecast_body(name, targetRef={"kind": "Deployment", "name": name}) for name in ("checkout", "frontend")]
    for body, age in zip(bodies, (60, 120), strict=True):
        body["status"] = {"issuedTime": to_time(MIDDAY - age), "expireTime": to_time(MIDDAY + 600)}
    bodies.append(forecast_body("gone", targetRef={"kind": "Deployment", "name": "gone"}))
    resources = [ForecastResource.parse(body) for body in bodies]
    outcome = preparing.Outcome(now=MIDDAY, step_seconds=60, metrics=METRICS, window=snapshot(), forecast=forecast())

    names = [write.resource.name for write in prepare(outcome, resources, shop).writes]

    assert names == ["gone", "frontend", "checkout"]


def test_the_same_status_needs_no_write():
    resource, conditions = published(STATUS)

    assert needed(resource, STATUS | {"issuedTime": "2026-11-22T10:01:00Z"}, conditions, renew_before=0) is None


def test_a_status_about_to_expire_is_written_again():
    resource, conditions = published(STATUS)

    assert needed(resource, STATUS, conditions, renew_before=resource.published.expire_time) is not None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"current": {"requestsPerSecond": "413"}}, id="a number"),
        pytest.param({"model": {"kind": "LastValue"}}, id="the model"),
    ],
)
def test_another_status_is_written(change):
    resource, conditions = published(STATUS)

    assert needed(resource, STATUS | change, conditions, renew_before=0) is not None


def rows(start, *values):
    quantiles = [{"quantile": "0.5", "values": list(values)}]
    return {"forecasts": [{"metric": "CPU", "startTime": start, "stepSeconds": 60, "quantiles": quantiles}]}


def test_a_constant_forecast_that_moves_on_is_no_news():
    resource, conditions = published(STATUS | rows("2026-11-22T10:01:00Z", "1", "1"))

    assert needed(resource, STATUS | rows("2026-11-22T10:02:00Z", "1", "1"), conditions, renew_before=0) is None


def test_a_rising_forecast_that_moves_on_is_news():
    resource, conditions = published(STATUS | rows("2026-11-22T10:01:00Z", "1", "2"))

    assert needed(resource, STATUS | rows("2026-11-22T10:02:00Z", "1", "2"), conditions, renew_before=0) is not None


def test_without_a_new_forecast_only_conditions_are_written():
    resource, _ = published(STATUS)
    expired = (Condition("Ready", "False", "ForecastExpired", "late"),)

    patch = needed(resource, None, expired, renew_before=0)

    assert set(patch) == {"observedGeneration", "conditions", "outlook"}


def test_other_words_alone_are_no_reason_to_write():
    resource, _ = published(STATUS)
    same = settled((Condition("Ready", "True", "ForecastIssued", "other"),), resource.published, generation=1, now=9)

    assert needed(resource, None, same, renew_before=0) is None


async def test_events_are_posted_when_a_state_changes_and_only_then():
    shop = operator()
    await shop.run(cycles=4)

    about_checkout = [event["reason"] for event in shop.cluster.events if event["involvedObject"]["name"] == "checkout"]

    assert about_checkout == ["ForecastIssued"]


async def test_an_expired_forecast_is_a_warning():
    shop = operator()
    await shop.run()
    shop.collector.error = ApiServerUnavailable("any problem")
    await shop.run(cycles=12)

    last = [event for event in shop.cluster.events if event["involvedObject"]["name"] == "checkout"][-1]

    assert (last["type"], last["reason"], last["namespace"]) == ("Warning", "ForecastExpired", "shop")


def test_a_write_is_not_tried_again_once_the_lease_is_lost():
    cluster = Answering(ApiServerUnavailable("429"))
    leads = iter([True, False])

    written = writer(cluster, may_write=lambda: next(leads)).statuses(WRITES[:1], budget_seconds=10)

    assert (cluster.calls, written.skipped) == (1, 1)


def test_resources_that_there_is_no_time_to_delete_are_put_off():
    seconds = iter(range(100))
    slow = Writer(Answering(), may_write=lambda: True, threads=1, clock=lambda: next(seconds))

    assert slow.delete([write.resource for write in WRITES], budget_seconds=0).deferred == 20
