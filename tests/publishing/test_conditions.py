import pytest

from builders.statuses import status
from tidecast_contract.features import REQUESTS
from tidecast_contract.forecast import ModelInfo, ModelKind
from tidecast_contract.status import TrainingState, TrainingStatus
from tidecast_operator.errors import Misconfigured, NotEnoughData, PredictorUnavailable, PrometheusUnavailable
from tidecast_operator.published import Published
from tidecast_operator.publishing.forecast_conditions import ForecastFacts, of_forecast
from tidecast_operator.publishing.forecaster_conditions import ForecasterFacts, of_forecaster
from tidecast_operator.trust.skills import Skill

NEW = Published.parse({})


def forecast_conditions(previous=NEW, **changes):
    valid = {"now": 1000, "target": "Deployment/checkout", "model": ModelKind.GCN_GRU, "expire_time": 1600}
    found = of_forecast(ForecastFacts(**(valid | changes)), previous)
    return {condition.type: (condition.status, condition.reason) for condition in found}


def forecaster_conditions(**changes):
    valid = {"predictor": status(), "sources": ("Istio",), "services": 2}
    found = of_forecaster(ForecasterFacts(**(valid | changes)))
    return {condition.type: (condition.status, condition.reason) for condition in found}


def test_a_fresh_forecast_of_a_trained_model_fulfils_all_but_trust():
    conditions = forecast_conditions()

    assert conditions.pop("Trusted") == ("Unknown", "NotAssessed")
    assert {found[0] for found in conditions.values()} == {"True"}


def test_a_service_that_is_not_measured_any_more_is_not_trusted():
    skill = Skill(REQUESTS, 300, 200.0, error=0.5, naive_error=1.0, bias=0.0, coverage=0.8, drifts=False)

    measured, silent = (
        forecast_conditions(is_judged=True, skill=skill, is_measured=measured)["Trusted"] for measured in (True, False)
    )

    assert measured == ("True", "Skilled")
    assert silent == ("False", "InputStale")


def test_a_hint_whose_signal_is_not_measured_any_more_is_not_trusted():
    skill = Skill(REQUESTS, 300, 200.0, error=0.5, naive_error=1.0, bias=0.0, coverage=0.8, drifts=False)

    conditions = forecast_conditions(is_judged=True, skill=skill, is_signal_measured=False)

    assert conditions["Trusted"] == ("False", "InputStale")
    assert conditions["MetricsAvailable"][0] == "True"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"target": ""}, "InvalidSpec", id="no target"),
        pytest.param({"duplicate_of": "other"}, "DuplicateTarget", id="duplicate"),
        pytest.param({"target_exists": False}, "TargetNotFound", id="no such workload"),
        pytest.param({"suspend": True}, "Suspended", id="suspended"),
        pytest.param({"expire_time": 1000}, "ForecastExpired", id="expired"),
        pytest.param({"expire_time": None}, "NoForecastYet", id="never forecast"),
    ],
)
def test_what_keeps_a_resource_from_being_ready(changes, reason):
    assert forecast_conditions(**changes)["Ready"] == ("False", reason)


def test_a_service_that_is_not_in_the_graph_says_so():
    assert forecast_conditions(in_graph=False)["GraphDiscovered"] == ("False", "NoCallsSeen")


def test_without_telemetry_the_old_word_stands_as_long_as_the_forecast():
    old = Published.parse({"conditions": [{"type": "GraphDiscovered", "status": "True", "reason": "CallsSeen"}]})

    before = forecast_conditions(old, is_observed=False)
    after = forecast_conditions(old, is_observed=False, now=1600)

    assert before["GraphDiscovered"] == ("True", "CallsSeen")
    assert after["GraphDiscovered"] == ("Unknown", "TelemetryUnavailable")


def test_a_forecaster_that_forecasts_is_ready():
    assert {found[0] for found in forecaster_conditions().values()} == {"True"}


@pytest.mark.parametrize(
    ("changes", "kind", "reason"),
    [
        pytest.param(
            {"telemetry_problem": PrometheusUnavailable("down")},
            "PrometheusReachable",
            "PrometheusUnavailable",
            id="Prometheus",
        ),
        pytest.param({"telemetry_problem": NotEnoughData("none")}, "TelemetryFound", "NoTelemetry", id="telemetry"),
        pytest.param(
            {"predictor_problem": PredictorUnavailable("down")},
            "PredictorReachable",
            "PredictorUnavailable",
            id="predictor",
        ),
    ],
)
def test_what_fails_is_named_and_makes_the_forecaster_not_ready(changes, kind, reason):
    conditions = forecaster_conditions(**changes)

    assert conditions[kind] == ("False", reason)
    assert conditions["Ready"] == ("False", reason)


def test_a_forecaster_is_ready_while_the_model_still_learns():
    model = ModelInfo(ModelKind.LAST_VALUE, reason="too little history")
    conditions = forecaster_conditions(predictor=status(model=model))

    assert conditions["ModelReady"] == ("False", "Training")
    assert conditions["Ready"][0] == "True"


def test_a_training_that_failed_is_named():
    predictor = status(
        model=ModelInfo(ModelKind.LAST_VALUE), training=TrainingStatus(TrainingState.FAILED, message="out of memory")
    )

    assert forecaster_conditions(predictor=predictor)["ModelReady"] == ("False", "TrainingFailed")


def test_an_invalid_spec_names_the_field_and_the_remedy():
    invalid = Misconfigured("spec.stepSeconds", "3 is out of range", "write an integer from 5 to 3600")

    ready = of_forecaster(ForecasterFacts(invalid=invalid))[0]

    assert ready.reason == "InvalidSpec"
    assert "spec.stepSeconds: 3 is out of range; write an integer from 5 to 3600" in ready.message
    assert "Nothing is forecast until then" in ready.message


def test_answers_that_may_be_incomplete_are_told_with_the_warning():
    facts = ForecasterFacts(sources=("Istio",), warnings=("store-2 did not answer",))

    telemetry = next(one for one in of_forecaster(facts) if one.type == "TelemetryFound")

    assert (telemetry.status, telemetry.reason) == ("True", "PartialAnswers")
    assert "store-2 did not answer" in telemetry.message
