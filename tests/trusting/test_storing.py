import math
from dataclasses import replace

import numpy as np
import pytest

from builders.forecasts_past import BEGIN, SERVICES, STEP, Past, banded, forecast, knows
from builders.operating import forecast_body
from tidecast_contract.features import REQUESTS
from tidecast_contract.forecast import ModelKind
from tidecast_operator.published import PublishedSkill, to_time
from tidecast_operator.resources import ForecastResource
from tidecast_operator.trust.comparing import aged
from tidecast_operator.trust.keeper import Keeper, pasts_of
from tidecast_operator.trust.storing import Store
from tidecast_operator.trust.verdict import judge


@pytest.fixture
def past():
    return Past().go(60)


def after(keeper, past):
    return keeper.after(past.window(), forecast(past.window(), banded(knows(past.step))), dict)


def test_what_is_saved_is_loaded_but_for_forecasts_that_wait(past, tmp_path):
    store = Store(tmp_path / "new")

    store.save(past.record)
    loaded = store.load()

    assert (loaded.services, loaded.offsets, loaded.time) == (SERVICES, past.record.offsets, past.record.time)
    assert loaded.issued == ()
    for name, values in past.record.long.items():
        np.testing.assert_array_equal(getattr(loaded.long, name), values)


def test_skills_of_all_offsets_outlive_a_restart(tmp_path):
    keeper, past = Keeper(Store(tmp_path)), Past()
    for _ in range(60):
        past.go(1)
        before = after(keeper, past)

    past.go(1)
    restarted = after(Keeper(Store(tmp_path)), past)

    for seconds in (60, 300, 900):
        old, new = (skills.of(SERVICES[0], REQUESTS, seconds) for skills in (before, restarted))
        assert new.samples == pytest.approx(old.samples, rel=0.3)
        assert new.error == pytest.approx(old.error, rel=0.3)


def test_a_time_without_measurements_makes_it_older(past):
    later = aged(past.record, until=past.record.time + 12 * 3600)

    np.testing.assert_allclose(later.long.moments, past.record.long.moments * math.exp(-1), rtol=1e-5)
    assert later.time == past.record.time + 12 * 3600


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04broken"])
def test_a_file_that_cannot_be_read_is_begun_anew(content, tmp_path, past):
    (tmp_path / "trust.npz").write_bytes(content)
    store = Store(tmp_path)

    assert store.load() is None
    store.save(past.record)
    assert store.load() is not None


def test_a_folder_that_cannot_be_written_is_no_reason_to_stop(past, tmp_path):
    (tmp_path / "taken").write_text("a file")

    Store(tmp_path / "taken").save(past.record)

    assert Store(tmp_path / "elsewhere").load() is None


def test_a_record_of_the_future_is_not_believed(tmp_path):
    keeper, past = Keeper(Store(tmp_path)), Past()
    for _ in range(20):
        past.go(1)
        after(keeper, past)

    early = Past().go(5)
    skills = after(Keeper(Store(tmp_path)), early)

    assert skills.of(SERVICES[0], REQUESTS, 60) is None
    assert early.window().end_time == BEGIN + 5 * STEP


def test_a_file_of_other_features_is_begun_anew(past, tmp_path):
    store = Store(tmp_path)
    store.save(replace(past.record, drifts=past.record.drifts[:, :-1]))

    assert store.load() is None


def test_after_a_long_time_without_measurements_little_is_left(past):
    before = past.skill().samples
    past.measured.clear()
    past.step += 2 * 1440

    past.go(2)

    assert past.skill() is None or past.skill().samples < 0.05 * before


def test_a_keeper_that_forgot_goes_on_from_what_the_resources_tell():
    keeper, past = Keeper(), Past()
    for _ in range(60):
        past.go(1)
        after(keeper, past)
    keeper.forget()
    told = PublishedSkill("RequestsPerSecond", 300, 200.0, 1.0, 2.0, 0.0, 0.8, drifts=True)

    past.go(1)
    window = past.window()
    skills = keeper.after(window, forecast(window, banded(knows(past.step))), lambda: {(SERVICES[0], REQUESTS): told})

    assert skills.of(SERVICES[0], REQUESTS, 300).samples == pytest.approx(200)
    assert skills.of(SERVICES[0], REQUESTS, 300).drifts
    assert skills.of(SERVICES[1], REQUESTS, 300) is None


def test_after_a_restart_another_method_than_the_one_that_was_judged_begins_anew(tmp_path):
    keeper, past = Keeper(Store(tmp_path)), Past()
    for _ in range(60):
        past.go(1)
        after(keeper, past)

    past.go(1)
    window = past.window()
    said = forecast(window, banded(knows(past.step)), kind=ModelKind.LAST_VALUE)
    skills = Keeper(Store(tmp_path)).after(window, said, dict)

    assert skills.of(SERVICES[0], REQUESTS, 300) is None


@pytest.mark.parametrize(("kind", "samples"), [(ModelKind.GCN_GRU, 200), (ModelKind.SEASONAL_NAIVE, None)])
def test_what_a_status_tells_holds_for_the_method_that_it_names(kind, samples):
    past = Past().go(1)
    told = PublishedSkill("RequestsPerSecond", 300, 200.0, 1.0, 2.0, 0.0, 0.8, kind=kind)

    window = past.window()
    skills = Keeper().after(window, forecast(window, banded(knows(past.step))), lambda: {(SERVICES[0], REQUESTS): told})

    known = skills.of(SERVICES[0], REQUESTS, 300)
    assert (known and known.samples) == (samples and pytest.approx(samples))


def test_what_a_status_tells_of_the_method_that_speaks_now_beats_a_file_of_the_one_before(tmp_path):
    past = Past().go(60, kind=ModelKind.LAST_VALUE)
    Store(tmp_path).save(past.record)
    told = PublishedSkill("RequestsPerSecond", 300, 40.0, 1.0, 2.0, 0.0, 0.8, kind=ModelKind.GCN_GRU)

    past.go(1)
    window = past.window()
    said = forecast(window, banded(knows(past.step)))
    skills = Keeper(Store(tmp_path)).after(window, said, lambda: {(SERVICES[0], REQUESTS): told})

    assert skills.of(SERVICES[0], REQUESTS, 300).samples == pytest.approx(40)
    assert skills.of(SERVICES[0], REQUESTS, 60) is None


@pytest.mark.parametrize(("days", "samples"), [(0, 200), (0.5, 200 / math.e), (30, 0)])
def test_what_a_status_tells_is_worth_the_less_the_older_it_is(days, samples):
    pasts = pasts_of([told_at(BEGIN)], time=BEGIN + round(days * 86_400))

    assert pasts[SERVICES[0], REQUESTS].samples == pytest.approx(samples, abs=0.1)


def test_a_status_of_the_future_is_not_believed():
    assert pasts_of([told_at(BEGIN + 30 * 86_400)], time=BEGIN)[SERVICES[0], REQUESTS].samples < 1


def test_a_status_that_does_not_say_when_it_was_written_is_not_believed():
    assert pasts_of([told_at(None)], time=BEGIN) == {}


def test_an_old_status_does_not_make_an_old_file_younger(tmp_path):
    past = Past().go(60)
    Store(tmp_path).save(past.record)
    written = past.step
    past.step += 2 * 1440
    past.measured.clear()
    past.go(1)

    window = past.window()
    skills = Keeper(Store(tmp_path)).after(
        window,
        forecast(window, banded(knows(past.step))),
        lambda: pasts_of([told_at(BEGIN + written * STEP)], time=window.end_time),
    )

    assert skills.of(SERVICES[0], REQUESTS, 300).samples < 10


def test_a_band_that_no_status_tells_of_is_judged_anew_within_thirty_moments():
    past, keeper, trusted = Past(), Keeper(), []
    for _ in range(36):
        past.go(1)
        window, wide = past.window(), banded(knows(past.step)) * [1, 1, 10]
        skills = keeper.after(
            window, forecast(window, wide), lambda: pasts_of([told_at(BEGIN + past.step * STEP)], time=BEGIN)
        )
        known = skills.of(SERVICES[0], REQUESTS, 300)
        trusted.append(judge(known, was_trusted=True, is_expired=False, is_stale=False).is_trusted)

    assert trusted[0]
    assert not trusted[-1]


def told_at(time):
    """The resource of a service whose status, written at *time*, tells of two hundred moments."""
    figures = {"metric": "RequestsPerSecond", "offsetSeconds": 300, "samples": 200}
    means = {"error": "1", "naiveError": "2", "bias": "0", "coverage": "800m"}
    issued = {} if time is None else {"issuedTime": to_time(time)}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": SERVICES[0].name}
    body = forecast_body(targetRef=target)
    return ForecastResource.parse(body | {"status": {"skill": figures | means, **issued}})
