from builders.operating import forecast_body, forecaster_body, namespace_body
from builders.telemetry import workload_body
from tidecast_operator.picture import Picture


def test_events_of_all_kinds_make_one_picture():
    picture = Picture()
    for body in (namespace_body(), workload_body("checkout"), forecast_body(), forecaster_body()):
        picture.observe(None, body)

    assert set(picture.workloads().namespace_labels) == {"shop"}
    assert len(picture.workloads().workloads) == 1
    assert [one.name for one in picture.forecasts()] == ["checkout"]
    assert [one.name for one in picture.forecasters()] == ["default"]


def test_what_is_deleted_is_gone():
    picture = Picture()
    picture.observe(None, forecast_body())
    picture.observe("DELETED", forecast_body())

    assert picture.forecasts() == ()


def test_a_new_spec_of_a_forecaster_is_told_and_a_new_status_is_not():
    told = []
    picture = Picture()
    picture.on_forecaster_change = lambda: told.append(1)

    picture.observe("ADDED", forecaster_body())
    picture.observe("MODIFIED", forecaster_body() | {"status": {"observedGeneration": 1}})
    assert len(told) == 1

    picture.observe("MODIFIED", forecaster_body(generation=2))
    picture.observe("DELETED", forecaster_body(generation=2))
    assert len(told) == 3
