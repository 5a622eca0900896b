import logging

import pytest

from builders.kubeconfigs import unreachable
from builders.operating import FakeCluster, Operator, forecast_body, forecaster_spec, namespace_body
from builders.telemetry import workload_body
from tidecast_operator.api_answers import Outcome
from tidecast_operator.cli import _parser
from tidecast_operator.condition_gauges import ConditionGauges, StatusShown
from tidecast_operator.forecaster_file import Manifest
from tidecast_operator.forecaster_here import ForecasterHere, StatusHere
from tidecast_operator.picture import Picture
from tidecast_operator.settings import parse
from tidecast_operator.watching import Watching

SELECTS_NOTHING = {"matchLabels": {"never": "there"}}


class NamespacedOperator(Operator):
    """The operator core, whose Forecaster comes from a file."""

    def __post_init__(self):
        super().__post_init__()
        self.here = ForecasterHere(self.picture, on_loop=lambda call: call())
        self.shown = ConditionGauges(leads=lambda: self.is_leader)
        self.writes = StatusShown(StatusHere(self.cluster, self.here), self.shown)
        self.restart()

    def conditions_here(self):
        [forecaster] = self.picture.forecasters()
        return {one.type: (one.status, one.reason) for one in forecaster.published.conditions}


@pytest.fixture
def operator():
    made = NamespacedOperator()
    for body in (namespace_body(opted="out"), workload_body("frontend"), workload_body("checkout")):
        made.cluster.put(body, None)
    return made


def manifest(**changes):
    return Manifest({}, {}, forecaster_spec(namespaceSelector=SELECTS_NOTHING, **changes))


async def test_a_listed_namespace_is_chosen_whatever_the_file_selects(operator):
    await operator.here.take(manifest())

    assert await operator.run(2) == "Forecast"
    assert operator.conditions("ServicePerformanceForecast", "checkout", "shop")["Ready"] == ("True", "ForecastIssued")


async def test_a_file_that_cannot_be_followed_at_the_start_takes_no_hint_back(operator):
    operator.collector.requests_per_second, operator.collector.rise, operator.predictor.slope = 1000.0, 2.0, 2.0
    operator.cluster.put(forecast_body(scaling={"perReplica": "250", "mode": "Active"}))
    await operator.here.take(manifest())
    await operator.run(40)
    before = operator.noticeboard.board.offered("shop", "checkout", operator.now)[1]

    operator.cluster.picture.forget("Forecaster", [("", "default")])
    operator.here = ForecasterHere(operator.picture, on_loop=lambda call: call())
    operator.restart()
    operator.here.stand_in()

    assert await operator.run() == "InvalidSpec"
    assert operator.noticeboard.board.offered("shop", "checkout", operator.now)[1].replicas == before.replicas


async def test_what_the_file_says_is_not_hidden_by_what_stands_in_for_it(operator):
    await operator.here.take(manifest())

    operator.here.stand_in()

    assert await operator.run(2) == "Forecast"


async def test_nothing_of_the_forecaster_is_written_to_the_cluster(operator):
    await operator.here.take(manifest())
    await operator.run(3)

    assert {kind for kind, _ in operator.cluster.patches} == {"ServicePerformanceForecast"}
    assert {event["involvedObject"]["kind"] for event in operator.cluster.events} == {"ServicePerformanceForecast"}


async def test_its_conditions_are_kept_and_told_when_they_turn(operator, caplog):
    caplog.set_level(logging.INFO)
    await operator.here.take(manifest())
    await operator.run(3)
    assert operator.conditions_here()["Ready"] == ("True", "Forecasting")
    assert caplog.text.count("Forecaster: PrometheusReachable is True, Answers") == 1

    operator.predictor.error = None
    await operator.here.take(manifest(stepSeconds=-1))
    await operator.run()

    assert operator.conditions_here()["Ready"] == ("False", "InvalidSpec")
    [warned] = [one.getMessage() for one in caplog.records if "Ready is False, InvalidSpec" in one.getMessage()]
    assert "spec.stepSeconds" in warned


async def test_a_spec_that_turns_invalid_leaves_the_last_valid_one_in_use(operator):
    await operator.here.take(manifest())
    await operator.run(2)
    await operator.here.take(manifest(stepSeconds=-1))

    assert await operator.run() == "Forecast"


async def test_a_changed_file_takes_effect_at_once(operator):
    woken = []
    await operator.here.take(manifest())
    await operator.run()
    operator.picture.on_forecaster_change = lambda: woken.append(1)

    await operator.here.take(manifest(stepSeconds=30))

    [forecaster] = operator.picture.forecasters()
    assert parse(forecaster.spec).step_seconds == 30
    assert woken == [1]


async def test_its_conditions_are_a_gauge_while_this_replica_leads(operator):
    await operator.here.take(manifest())
    await operator.run(2)

    shown = operator.shown.exposition().decode()
    assert 'tidecast_forecaster_condition{reason="Forecasting",status="True",type="Ready"} 1.0' in shown
    assert shown.count('type="Ready"') == 1
    operator.is_leader = False
    assert operator.shown.exposition() == b""


def test_a_gauge_shows_the_present_reason_alone():
    gauges = ConditionGauges(leads=lambda: True)
    shown = StatusShown(FakeCluster(Picture()), gauges)
    for reason in ("First", "Second"):
        shown.patch_forecaster_status(
            "default", {"conditions": [{"type": "Ready", "status": "False", "reason": reason}]}
        )
    shown.patch_forecaster_status("other", {"conditions": [{"type": "Ready", "status": "False", "reason": "NotInUse"}]})

    text = gauges.exposition().decode()
    assert text.count("tidecast_forecaster_condition{") == 1
    assert 'reason="Second"' in text


def test_a_forecaster_that_is_deleted_takes_its_conditions_from_the_gauge(tmp_path):
    picture = Picture()
    options = _parser().parse_args(["run", unreachable(tmp_path)])
    watching = Watching(options, FakeCluster(picture), picture, leads=lambda: True)
    body = {"kind": "Forecaster", "metadata": {"name": "default", "uid": "1"}, "spec": forecaster_spec()}

    picture.observe("ADDED", body)
    watching.writes.patch_forecaster_status(
        "default", {"conditions": [{"type": "Ready", "status": "True", "reason": "Forecasting"}]}
    )
    assert b"tidecast_forecaster_condition{" in watching.conditions.exposition()
    picture.observe("DELETED", body)
    assert watching.conditions.exposition() == b""
    picture.observe("ADDED", body)  # another one, of which nothing is known yet

    assert b"tidecast_forecaster_condition{" not in watching.conditions.exposition()
    watching.close()


def test_all_else_is_written_to_the_cluster():
    cluster = FakeCluster(Picture())
    for writes in (StatusHere(cluster, None), StatusShown(cluster, ConditionGauges(leads=lambda: True))):
        body = forecast_body()
        assert writes.create_forecast(body) is Outcome.DONE
        assert writes.patch_forecast_status("shop", "checkout", {"a": 1}) is Outcome.DONE
        event = {"involvedObject": {"kind": "ServicePerformanceForecast"}}
        assert writes.create_event("shop", event) is Outcome.DONE
        uid = "uid-of-spf-checkout"
        assert writes.delete_forecast("shop", "checkout", uid=uid) is Outcome.DONE
    assert len(cluster.events) == 2
