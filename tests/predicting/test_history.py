"""
The history that the predictor keeps: what it holds, forgets, and finds again after a restart.
"""

import errno
import os

import numpy as np
import pytest

from builders.histories import calls_in, calls_of, everything_in
from builders.snapshots import CHECKOUT, FRONTEND, MIDDAY, snapshot
from tidecast_contract import features
from tidecast_contract.features import FEATURES
from tidecast_contract.services import ServiceId
from tidecast_contract.status import HistoryStatus
from tidecast_predictor.history import History

DAY = 86_400
REQUESTS = features.index_of(features.REQUESTS)
PAYMENT = ServiceId("shop", "Deployment", "payment")


@pytest.fixture(params=["memory", "disk"])
def directory(request, tmp_path):
    return tmp_path / "history" if request.param == "disk" else None


def kept(directory):
    """For a day, by a clock that stands a week after the snapshots."""
    return History(directory, limit_seconds=DAY, clock=lambda: MIDDAY + 7 * DAY)


def filled(value, steps=3, services=(FRONTEND, CHECKOUT)):
    return np.full((steps, len(services), len(FEATURES)), value, dtype=np.float32)


def test_an_empty_history_says_so(directory):
    history = kept(directory)
    assert history.status() == HistoryStatus()
    assert history.latest(seen_seconds=DAY) is None
    assert np.isnan(history.values_at([FRONTEND], np.array([MIDDAY]))).all()


def test_what_was_appended_is_read_back(directory):
    history = kept(directory)
    history.append(snapshot(values=np.arange(42, dtype=np.float32).reshape(3, 2, 7)))
    read = everything_in(history)
    assert history.status() == HistoryStatus(60, MIDDAY - 120, MIDDAY, 2)
    assert np.array_equal(read.values, np.arange(42, dtype=np.float32).reshape(3, 2, 7))
    assert (read.services, read.calls.tolist(), read.rates.tolist()) == ((FRONTEND, CHECKOUT), [[0], [1]], [2.0])


def test_steps_held_already_are_overwritten(directory):
    history = kept(directory)
    history.append(snapshot(values=filled(1)))
    history.append(snapshot(values=filled(2), end_time=MIDDAY + 60))
    values = everything_in(history).values
    assert values[:, 0, 0].tolist() == [1, 2, 2, 2]


def test_a_gap_stays_missing(directory):
    history = kept(directory)
    history.append(snapshot())
    history.append(snapshot(end_time=MIDDAY + 360))
    measured = np.isfinite(everything_in(history).values[:, 0, 0])
    assert measured.tolist() == [True] * 3 + [False] * 3 + [True] * 3


@pytest.mark.parametrize("held", [False, True], ids=["nothing held", "the next steps held"])
def test_a_history_begins_with_what_was_measured(directory, held):
    history = kept(directory)
    if held:
        history.append(snapshot(values=filled(2), end_time=MIDDAY + 180))
    history.append(snapshot(values=np.concatenate([filled(np.nan, 5), filled(1, 1), filled(np.nan, 2), filled(1, 1)])))

    assert history.status().start_time == MIDDAY - 180
    known = everything_in(history).values[:4, 0, 0]
    assert np.array_equal(known, [1, np.nan, np.nan, 1], equal_nan=True)


@pytest.mark.parametrize("earlier", [180, 3 * 3600, 20 * 3600], ids=["adjacent", "apart", "the day before"])
def test_nothing_measured_before_what_is_held_changes_nothing(directory, earlier):
    history = kept(directory)
    history.append(snapshot(values=filled(1)))
    before = history.status()
    history.append(snapshot(values=filled(np.nan), end_time=MIDDAY - earlier))

    assert history.status() == before


def test_processors_that_are_busy_without_requests_begin_no_history(directory):
    history = kept(directory)
    values = filled(1, 4)
    values[:2, :, REQUESTS] = np.nan
    history.append(snapshot(values=values))

    assert history.status().start_time == MIDDAY - 60


def test_measured_are_the_steps_in_which_somebodys_requests_were(directory):
    history = kept(directory)
    values = filled(1, 4)
    values[1] = np.nan
    values[2, 0] = np.nan
    history.append(snapshot(values=values))
    history.append(snapshot(values=filled(1), end_time=MIDDAY + 10 * 60))

    assert history.measured_seconds() == (3 + 3) * 60


def test_what_is_forgotten_is_not_measured_any_more(directory):
    history = kept(directory)
    history.append(snapshot(values=filled(1, 2)))
    history.append(snapshot(values=filled(1, 1), end_time=MIDDAY + DAY))

    assert history.measured_seconds() == 2 * 60


@pytest.mark.parametrize("release", ["this one", "the one before"])
def test_what_was_measured_is_known_after_a_restart(tmp_path, release):
    history = kept(tmp_path / "history")
    history.append(snapshot(values=np.concatenate([filled(1, 1), filled(np.nan, 2), filled(1, 1)])))
    if release == "the one before":
        [state] = (tmp_path / "history").glob("*/state.npz")
        with np.load(state) as held:
            told = {name: held[name] for name in held.files if name != "measured"}
        np.savez(state, **told)

    assert kept(tmp_path / "history").measured_seconds() == 2 * 60


def test_steps_after_what_is_held_are_held_whether_or_not_anything_was_measured(directory):
    history = kept(directory)
    history.append(snapshot(values=filled(np.nan)))
    history.append(snapshot(values=filled(np.nan), end_time=MIDDAY + 60))

    assert (history.status().start_time, history.status().end_time) == (MIDDAY, MIDDAY + 60)


def test_a_service_that_comes_later_is_missing_before(directory):
    history = kept(directory)
    history.append(snapshot(values=filled(1)))
    many = tuple(ServiceId("shop", "Deployment", f"s{index}") for index in range(40))
    history.append(snapshot(end_time=MIDDAY + 180, services=(*many, PAYMENT), values=filled(3, services=range(41))))
    values = history.values_at([PAYMENT, FRONTEND], np.array([MIDDAY, MIDDAY + 60]))[:, :, 0]
    assert np.array_equal(values, [[np.nan, 1], [3, np.nan]], equal_nan=True)


def test_calls_follow_their_services_into_another_order(directory):
    history = kept(directory)
    history.append(snapshot())
    turned = snapshot(services=(PAYMENT, CHECKOUT, FRONTEND), calls=np.array([[2], [1]]), end_time=MIDDAY + 60)
    history.append(turned)
    assert calls_in(history) == {("frontend", "checkout"): 2}


@pytest.mark.parametrize("is_older_first", [True, False])
def test_calls_of_a_day_are_kept_with_their_newest_rates(directory, is_older_first):
    both = np.array([[0, 1], [1, 0]])
    older = snapshot(calls=both, rates=np.array([2, 3], np.float32))
    newer = snapshot(end_time=MIDDAY + 600, rates=np.array([5], np.float32))
    history = kept(directory)
    for one in (older, newer) if is_older_first else (newer, older):
        history.append(one)

    assert calls_in(history) == {("frontend", "checkout"): 5, ("checkout", "frontend"): 3}


def test_in_the_night_the_services_and_calls_of_the_day_are_among_the_latest(directory):
    night = snapshot(end_time=MIDDAY + 14 * 3600, services=(FRONTEND, PAYMENT), rates=np.array([7], np.float32))
    history = History(directory, limit_seconds=3 * DAY, clock=lambda: MIDDAY + 7 * DAY)
    history.append(snapshot(end_time=MIDDAY - DAY, services=(FRONTEND, ServiceId("shop", "Deployment", "gone"))))
    history.append(snapshot())
    history.append(night)

    latest = history.latest(seen_seconds=DAY)
    assert {service.name for service in latest.services} == {"frontend", "checkout", "payment"}
    assert calls_of(latest) == {("frontend", "checkout"): 2, ("frontend", "payment"): 7}
    assert (latest.end_time, latest.steps) == (MIDDAY + 14 * 3600, 1)


def test_steps_across_midnight_are_one_history(directory):
    midnight = MIDDAY + DAY // 2
    history = kept(directory)
    history.append(snapshot(end_time=midnight + 60, values=np.arange(56, dtype=np.float32).reshape(4, 2, 7)))
    assert everything_in(history).values[:, 0, 0].tolist() == [0, 14, 28, 42]


def test_what_is_older_than_the_limit_is_forgotten(directory):
    history = kept(directory)
    for day in range(4):
        history.append(snapshot(end_time=MIDDAY + day * DAY))
    assert history.status().start_time >= MIDDAY + 2 * DAY
    assert np.isnan(history.values_at([FRONTEND], np.array([MIDDAY + DAY]))).all()
    assert directory is None or len(list(directory.iterdir())) == 2


def test_another_step_starts_the_history_anew(directory, caplog):
    history = kept(directory)
    history.append(snapshot())
    history.append(snapshot(step_seconds=30))
    assert history.status() == HistoryStatus(30, MIDDAY - 60, MIDDAY, 2)
    assert "starts anew" in caplog.text


def test_a_time_between_two_steps_is_not_held(directory):
    history = kept(directory)
    history.append(snapshot())
    assert np.isnan(history.values_at([FRONTEND], np.array([MIDDAY - 30]))).all()


def test_it_survives_a_restart(tmp_path):
    kept(tmp_path).append(snapshot(end_time=MIDDAY - DAY, values=filled(1)))
    kept(tmp_path).append(snapshot(values=filled(2)))
    again = kept(tmp_path)
    assert again.values_at([CHECKOUT], np.array([MIDDAY - DAY, MIDDAY]))[:, 0, 0].tolist() == [1, 2]
    assert everything_in(again).calls.tolist() == [[0], [1]]


def test_a_damaged_day_is_left_out(tmp_path, caplog):
    history = kept(tmp_path)
    history.append(snapshot(end_time=MIDDAY - DAY))
    history.append(snapshot())
    min(tmp_path.iterdir()).joinpath("state.npz").write_bytes(b"no zip")
    assert kept(tmp_path).status().start_time == MIDDAY - 120
    assert "is left out" in caplog.text


@pytest.mark.parametrize("name", ["state.npz", "services.json", "values.f32"])
def test_a_day_emptied_by_a_power_failure_is_left_out(tmp_path, caplog, name):
    kept(tmp_path).append(snapshot())
    next(tmp_path.iterdir()).joinpath(name).write_bytes(b"")
    assert kept(tmp_path).status() == HistoryStatus()
    assert "is left out" in caplog.text


def test_a_full_disk_is_an_error_and_what_is_held_stays(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    history = kept(tmp_path)
    history.append(snapshot(values=filled(1)))
    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        history.append(snapshot(end_time=MIDDAY + DAY))
    assert history.status().end_time == MIDDAY
    assert history.values_at([FRONTEND], np.array([MIDDAY]))[0, 0, 0] == 1


def test_on_a_full_disk_old_days_make_room_for_a_new_one(tmp_path, monkeypatch):
    reserve = os.posix_fallocate

    def full(*arguments):
        if len([path for path in tmp_path.iterdir() if (path / "values.f32").exists()]) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        reserve(*arguments)

    history = kept(tmp_path)
    history.append(snapshot(values=filled(1)))
    monkeypatch.setattr("os.posix_fallocate", full)

    history.append(snapshot(end_time=MIDDAY + 5 * DAY))

    assert history.status().end_time == MIDDAY + 5 * DAY
