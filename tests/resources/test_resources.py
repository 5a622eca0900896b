import pytest

from builders.operating import forecast_body
from tidecast_contract.services import ServiceId
from tidecast_operator.published import Condition, Published, from_time, settled, to_time
from tidecast_operator.resources import ForecastResource


def test_a_resource_is_read_from_its_object():
    resource = ForecastResource.parse(forecast_body(suspend=True))

    assert resource.target == ServiceId("shop", "Deployment", "checkout")
    assert resource.suspend
    assert not resource.is_managed


def test_a_label_tells_the_operators_own_resources():
    body = forecast_body(metadata={"labels": {"app.kubernetes.io/managed-by": "tidecast"}})

    assert ForecastResource.parse(body).is_managed


@pytest.mark.parametrize("edit", [{"suspend": True}, {"scaling": {"mode": "Active"}}], ids=["suspended", "scaling"])
def test_one_of_the_operators_own_that_somebody_wrote_into_is_theirs(edit):
    body = forecast_body(metadata={"labels": {"app.kubernetes.io/managed-by": "tidecast"}}, **edit)

    assert not ForecastResource.parse(body).is_managed


def test_a_transition_has_a_new_time_and_what_stays_keeps_its_own():
    before = Published.parse(
        {
            "conditions": [
                {"type": "Ready", "status": "True", "lastTransitionTime": to_time(100)},
                {"type": "Trusted", "status": "Unknown", "lastTransitionTime": to_time(100)},
            ]
        }
    )
    now = (Condition("Ready", "False", "Expired", ""), Condition("Trusted", "Unknown", "NotAssessed", "new words"))

    found = settled(now, before, generation=3, now=500)

    assert [condition.transition_time for condition in found] == [500, 100]
    assert [condition.observed_generation for condition in found] == [3, 3]


def test_times_are_read_as_they_are_written():
    assert from_time(to_time(1_800_014_400)) == 1_800_014_400
    assert from_time("soon") is None
    assert from_time(None) is None


def test_a_target_whose_name_no_workload_can_have_is_none():
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop/checkout"}

    assert ForecastResource.parse(forecast_body(targetRef=reference)).target is None
