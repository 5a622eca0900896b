from dataclasses import replace

from builders.operating import STEP, forecast_body, forecaster_body, namespace_body, operator
from builders.snapshots import CHECKOUT, MIDDAY
from builders.telemetry import workload_body
from tidecast_contract.errors import ContractMismatch
from tidecast_contract.forecast import ModelInfo, ModelKind
from tidecast_operator.errors import (
    ApiServerUnavailable,
    Misconfigured,
    NotEnoughData,
    PredictorUnavailable,
    PrometheusUnavailable,
)
from tidecast_operator.published import to_time

SPF = "ServicePerformanceForecast"


async def test_a_called_workload_of_a_chosen_namespace_gets_a_forecast_in_the_first_cycle():
    shop = operator()

    assert await shop.run() == "Forecast"

    status = shop.cluster.status(SPF, "checkout", "shop")
    assert status["outlook"]["requestsPerSecond"] == "2"
    assert shop.conditions(SPF, "checkout", "shop")["Ready"] == ("True", "ForecastIssued")


async def test_a_workload_that_nobody_calls_gets_no_resource():
    shop = operator()

    await shop.run()

    assert (SPF, "shop", "frontend") not in shop.cluster.objects


async def test_a_workload_that_gets_requests_of_callers_nobody_sees_gets_a_forecast():
    shop = operator()
    shop.collector.is_caller_seen = False

    await shop.run()

    told = shop.conditions(SPF, "checkout", "shop")
    assert (told["Ready"][0], told["GraphDiscovered"]) == ("True", ("False", "NoCallsSeen"))


async def test_the_forecaster_says_what_it_sees():
    shop = operator()

    await shop.run()

    status = shop.cluster.status("Forecaster", "default")
    assert status["graph"]["services"] == 2
    assert status["graph"]["calls"] == 1
    assert status["cycle"]["prometheusQueries"] == 4
    assert status["model"]["validation"]["skill"] == "250m"
    assert {one[0] for one in shop.conditions("Forecaster", "default").values()} == {"True"}


async def test_a_cycle_in_which_nothing_moves_writes_no_forecast():
    shop = operator()
    await shop.run()
    shop.cluster.patches.clear()

    await shop.run(cycles=2)

    assert shop.cluster.patches == [("Forecaster", "default")] * 2


async def test_a_forecast_is_written_again_before_it_expires():
    shop = operator()

    await shop.run(cycles=12)

    assert shop.conditions(SPF, "checkout", "shop")["Ready"][0] == "True"
    assert len([kind for kind, _ in shop.cluster.patches if kind == SPF]) == 2


async def test_after_the_first_fill_only_new_steps_are_asked_for():
    shop = operator()

    await shop.run(cycles=3)

    assert shop.collector.asked == [
        (MIDDAY - 2 * STEP, MIDDAY),
        (MIDDAY + STEP, MIDDAY + STEP),
        (MIDDAY + 2 * STEP, MIDDAY + 2 * STEP),
    ]


async def test_without_prometheus_the_forecast_stands_until_it_expires():
    shop = operator()
    await shop.run()
    before = shop.cluster.status(SPF, "checkout", "shop")
    shop.collector.error = PrometheusUnavailable("nobody listens")

    assert await shop.run(cycles=9) == "NoTelemetry"
    assert shop.cluster.status(SPF, "checkout", "shop") == before
    assert shop.conditions("Forecaster", "default")["PrometheusReachable"] == ("False", "PrometheusUnavailable")

    await shop.run(cycles=3)
    after = shop.cluster.status(SPF, "checkout", "shop")
    assert shop.conditions(SPF, "checkout", "shop")["ForecastFresh"] == ("False", "ForecastExpired")
    assert after["forecasts"] == before["forecasts"]


async def test_a_prometheus_that_comes_back_needs_no_restart():
    shop = operator()
    await shop.run()
    shop.collector.error = PrometheusUnavailable("nobody listens")
    await shop.run(cycles=15)
    shop.collector.error = None

    assert await shop.run() == "Forecast"

    assert shop.conditions(SPF, "checkout", "shop")["Ready"][0] == "True"
    assert shop.conditions("Forecaster", "default")["Ready"][0] == "True"


async def test_an_empty_prometheus_is_reachable_but_has_no_telemetry():
    shop = operator()
    shop.collector.error = NotEnoughData("no telemetry source found")

    await shop.run()

    conditions = shop.conditions("Forecaster", "default")
    assert conditions["PrometheusReachable"][0] == "True"
    assert conditions["TelemetryFound"] == ("False", "NoTelemetry")


async def test_a_prometheus_whose_series_all_vanish_has_no_telemetry_and_is_asked_for_them_again():
    shop = operator()
    await shop.run()
    shop.collector.requests_per_second = float("nan")
    shop.collector.asked.clear()

    assert await shop.run(cycles=3) == "NoTelemetry"

    assert shop.conditions("Forecaster", "default")["TelemetryFound"] == ("False", "NoTelemetry")
    assert shop.collector.asked[0][0] == shop.collector.asked[1][0]


async def test_without_the_predictor_nothing_is_overwritten():
    shop = operator()
    await shop.run()
    before = shop.cluster.status(SPF, "checkout", "shop")
    shop.predictor.error = PredictorUnavailable("it restarts")

    assert await shop.run(cycles=3) == "NoPrediction"

    assert shop.cluster.status(SPF, "checkout", "shop") == before
    assert shop.conditions("Forecaster", "default")["PredictorReachable"] == ("False", "PredictorUnavailable")


async def test_a_predictor_of_another_version_is_named():
    shop = operator()
    shop.predictor.error = ContractMismatch("the operator speaks contract 1, the predictor 2")

    await shop.run()

    assert shop.conditions("Forecaster", "default")["PredictorReachable"] == ("False", "ContractMismatch")
    ready = shop.cluster.status("Forecaster", "default")["conditions"][0]
    assert "contract 1, the predictor 2" in ready["message"]


async def test_an_api_server_that_is_away_ends_no_cycle():
    shop = operator()
    await shop.run()
    shop.cluster.error = ApiServerUnavailable("it restarts")

    assert await shop.run() == "ApiServerUnavailable"

    shop.cluster.error = None
    shop.now += STEP
    assert await shop.run() == "Forecast"


async def test_a_secret_that_is_missing_is_told_on_the_forecaster():
    shop = operator()
    shop.doors_error = Misconfigured("spec.prometheus.authSecretRef", "there is no Secret a/b", "create it")

    await shop.run()

    assert shop.conditions("Forecaster", "default")["Ready"] == ("False", "Misconfigured")


async def test_an_invalid_spec_leaves_the_last_valid_one_in_use():
    shop = operator()
    await shop.run()
    shop.cluster.put(forecaster_body(generation=2, prometheus={"url": "prometheus"}), "MODIFIED")
    shop.now += STEP

    assert await shop.run() == "Forecast"

    ready = shop.cluster.status("Forecaster", "default")["conditions"][0]
    assert ready["reason"] == "InvalidSpec"
    assert "spec.prometheus.url" in ready["message"]
    assert "last valid spec stays in use" in ready["message"]


async def test_an_invalid_first_spec_forecasts_nothing():
    shop = operator(namespace_body(), forecaster_body(prometheus={"url": "prometheus"}))

    assert await shop.run() == "InvalidSpec"
    assert shop.collector.asked == []


async def test_without_a_forecaster_resources_say_so():
    shop = operator(namespace_body(), workload_body("checkout"), forecast_body())

    assert await shop.run() == "NoForecaster"

    message = shop.cluster.status(SPF, "checkout", "shop")["conditions"][0]["message"]
    assert "no Forecaster named default" in message


async def test_only_the_forecaster_named_default_is_used():
    shop = operator()
    shop.cluster.put(forecaster_body("second"))

    await shop.run(cycles=2)

    assert shop.conditions("Forecaster", "second") == {"Ready": ("False", "NotInUse")}
    assert shop.cluster.patches.count(("Forecaster", "second")) == 1


async def test_a_replica_that_does_not_lead_asks_and_writes_nothing():
    shop = operator(is_leader=False)

    assert await shop.run() == "Standby"

    assert shop.collector.asked == []
    assert shop.cluster.patches == []


async def test_losing_the_lease_in_the_middle_of_a_cycle_stops_writing():
    shop = operator()
    forecast = shop.predictor.forecast

    async def lose_the_lease(*arguments):
        shop.is_leader = False
        return await forecast(*arguments)

    shop.predictor.forecast = lose_the_lease
    await shop.run()

    assert shop.cluster.patches == []


async def test_a_service_that_is_not_measured_keeps_its_old_forecast():
    shop = operator()
    await shop.run()
    before = shop.cluster.status(SPF, "checkout", "shop")["forecasts"]
    shop.predictor.silent = (CHECKOUT,)

    await shop.run(cycles=12)

    assert shop.cluster.status(SPF, "checkout", "shop")["forecasts"] == before
    assert shop.conditions(SPF, "checkout", "shop")["ForecastFresh"] == ("False", "ForecastExpired")


async def test_a_simpler_method_speaks_and_says_why():
    shop = operator()
    shop.predictor.kind = ModelKind.LAST_VALUE

    await shop.run()

    assert shop.cluster.status(SPF, "checkout", "shop")["model"] == {"kind": "LastValue"}
    assert shop.conditions(SPF, "checkout", "shop")["HistorySufficient"] == ("False", "LastValueSpeaks")
    assert shop.conditions(SPF, "checkout", "shop")["Ready"][0] == "True"


async def test_a_trained_model_that_is_served_but_cannot_answer_is_not_told_to_be_ready():
    shop = operator()
    forecast = shop.predictor.forecast

    async def without_model(*arguments):
        refusal = ModelInfo(ModelKind.LAST_VALUE, reason="the model was trained for 4 steps ahead, not for 7")
        return replace(await forecast(*arguments), model=refusal)

    shop.predictor.forecast = without_model
    await shop.run()

    status = shop.cluster.status("Forecaster", "default")
    assert status["model"]["kind"] == "LastValue"
    assert shop.conditions("Forecaster", "default")["ModelReady"] == ("False", "NoModelYet")
    assert "for 4 steps ahead, not for 7. Until then LastValue speaks." in status["conditions"][-1]["message"]


async def test_without_a_forecast_the_model_is_the_one_that_is_served():
    shop = operator()
    shop.collector.error = PrometheusUnavailable("nobody listens")

    await shop.run()

    assert shop.conditions("Forecaster", "default")["ModelReady"] == ("True", "ModelTrained")


async def test_suspended_resources_get_no_new_forecast():
    shop = operator()
    shop.cluster.put(forecast_body(suspend=True))

    await shop.run()

    assert "forecasts" not in shop.cluster.status(SPF, "checkout", "shop")
    assert shop.conditions(SPF, "checkout", "shop")["Ready"] == ("False", "Suspended")


async def test_a_target_that_is_not_there_is_named():
    shop = operator()
    shop.cluster.put(
        forecast_body("typo", targetRef={"apiVersion": "apps/v1", "kind": "Deployment", "name": "chekout"})
    )

    await shop.run()

    assert shop.conditions(SPF, "typo", "shop")["Ready"] == ("False", "TargetNotFound")
    assert "Deployment/chekout" in shop.cluster.status(SPF, "typo", "shop")["conditions"][0]["message"]


async def test_hints_are_not_pretended_and_trust_has_to_be_earned():
    shop = operator()
    shop.cluster.put(forecast_body(scaling={"mode": "Preview"}))

    await shop.run()

    assert shop.conditions(SPF, "checkout", "shop")["Trusted"] == ("False", "TooFewSamples")
    assert "hint" not in shop.cluster.status(SPF, "checkout", "shop")


async def test_a_condition_that_stays_keeps_the_time_of_its_transition():
    shop = operator()
    shop.predictor.slope = 1.0
    await shop.run()
    shop.collector.requests_per_second = 7.0

    await shop.run(cycles=3)

    status = shop.cluster.status(SPF, "checkout", "shop")
    assert status["issuedTime"] == "2027-01-15T12:02:00Z"
    assert {one["lastTransitionTime"] for one in status["conditions"]} == {"2027-01-15T12:00:10Z"}


async def test_steps_that_come_late_are_asked_for_again_and_date_no_forecast():
    shop = operator()
    shop.collector.until = MIDDAY - STEP

    await shop.run()
    shop.collector.until = MIDDAY + STEP
    assert shop.cluster.status(SPF, "checkout", "shop")["issuedTime"] == to_time(MIDDAY - STEP)

    await shop.run(cycles=2)
    assert shop.collector.asked[1][0] == MIDDAY
    assert shop.predictor.history.end_time == MIDDAY + STEP


async def test_a_clock_that_is_set_back_does_not_hold_on_to_a_window_of_the_future():
    shop = operator()
    shop.now += 3600
    await shop.run()
    shop.now -= 3600

    await shop.run()

    assert shop.collector.asked[-1] == (MIDDAY - 2 * STEP, MIDDAY)


async def test_a_history_that_cannot_be_written_keeps_no_forecast_back():
    shop = operator()

    async def full(_):
        raise PredictorUnavailable("no space left")

    shop.predictor.append_history = full
    await shop.run()

    assert shop.conditions(SPF, "checkout", "shop")["Ready"][0] == "True"
    assert shop.conditions("Forecaster", "default")["PredictorReachable"] == ("False", "PredictorUnavailable")


async def test_an_answer_that_prometheus_warns_of_is_told_as_long_as_it_does():
    shop = operator()
    shop.collector.warnings = ("store-2 did not answer",)
    await shop.run()
    assert shop.conditions("Forecaster", "default")["TelemetryFound"] == ("True", "PartialAnswers")
    shop.collector.warnings = ()

    await shop.run(cycles=2)

    assert shop.conditions("Forecaster", "default")["TelemetryFound"] == ("True", "Found")
