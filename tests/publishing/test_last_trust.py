"""
What `Trusted` said last is known by uid, be it written or not, and of no resource that is gone.
"""

from builders.operating import forecast_body, namespace_body
from builders.snapshots import MIDDAY, forecast, snapshot
from builders.telemetry import cluster, workload_body
from tidecast_operator.published import Condition
from tidecast_operator.publishing.preparing import Outcome, prepare
from tidecast_operator.resources import ForecastResource
from tidecast_operator.settings import METRICS

SHOP = cluster(namespace_body(), workload_body("checkout"))
SAID = Condition("Trusted", "True", "Skilled", "It was said and not written.")
SAID_AGAIN = Condition("Trusted", "True", "Skilled", SAID.message, observed_generation=1, transition_time=MIDDAY)


def prepared(resources, **last_trust):
    outcome = Outcome(
        now=MIDDAY,
        step_seconds=60,
        metrics=METRICS,
        window=snapshot(),
        forecast=forecast(),
        last_trust={uid.replace("_", "-"): said for uid, said in last_trust.items()},
    )
    return prepare(outcome, resources, SHOP)


def test_what_was_said_stands_where_nothing_was_judged_though_the_status_does_not_say_it():
    resource = ForecastResource.parse(forecast_body())
    assert prepared([resource]).trusted == {}
    assert prepared([resource], uid_of_spf_checkout=SAID).trusted == {("shop", "checkout"): True}


def test_another_resource_of_the_same_name_begins_anew():
    again = ForecastResource.parse(forecast_body(metadata={"uid": "another"}))
    assert prepared([again], uid_of_spf_checkout=SAID).trusted == {}


def test_what_was_said_of_a_resource_that_is_gone_is_forgotten():
    resource = ForecastResource.parse(forecast_body())
    assert prepared([resource], uid_of_spf_checkout=SAID).last_trust == {"uid-of-spf-checkout": SAID_AGAIN}
    assert prepared([], uid_of_spf_checkout=SAID).last_trust == {}
