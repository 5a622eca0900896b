import math
from dataclasses import replace

import numpy as np
import pytest

from builders.forecasts_past import BEGIN, SERVICES, STEP, Past, forecast, knows
from tidecast_contract.features import REQUESTS
from tidecast_contract.forecast import ModelKind
from tidecast_operator.published import PublishedSkill
from tidecast_operator.trust.comparing import aged
from tidecast_operator.trust.keeper import Keeper
from tidecast_operator.trust.storing import Store


@pytest.fixture
def past():
    return Past().go(60)


def after(keeper, past):
    return keeper.after(past.window(), forecast(past.window(), knows(past.step)), dict)


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
    skills = keeper.after(window, forecast(window, knows(past.step)), lambda: {(SERVICES[0], REQUESTS): told})

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
    said = forecast(window, knows(past.step), kind=ModelKind.LAST_VALUE)
    skills = Keeper(Store(tmp_path)).after(window, said, dict)

    assert skills.of(SERVICES[0], REQUESTS, 300) is None


@pytest.mark.parametrize(("kind", "samples"), [(ModelKind.GCN_GRU, 200), (ModelKind.SEASONAL_NAIVE, None)])
def test_what_a_status_tells_holds_for_the_method_that_it_names(kind, samples):
    past = Past().go(1)
    told = PublishedSkill("RequestsPerSecond", 300, 200.0, 1.0, 2.0, 0.0, 0.8, kind=kind)

    window = past.window()
    skills = Keeper().after(window, forecast(window, knows(past.step)), lambda: {(SERVICES[0], REQUESTS): told})

    known = skills.of(SERVICES[0], REQUESTS, 300)
    assert (known and known.samples) == (samples and pytest.approx(samples))
