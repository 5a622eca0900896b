"""
What becomes of days on disk that cannot be read, make no sense, have not begun, or were written by another release.
"""

import errno
from pathlib import Path

import numpy as np
import pytest

from builders.histories import calls_in
from builders.snapshots import FRONTEND, MIDDAY, snapshot
from tidecast_contract.services import ServiceId
from tidecast_contract.status import HistoryStatus
from tidecast_predictor.day import FORMAT
from tidecast_predictor.history import History

DAY = 86_400
MIDNIGHT = MIDDAY - DAY // 2
PAYMENT = ServiceId("shop", "Deployment", "payment")


def kept(directory, *, now=MIDDAY):
    return History(directory, limit_seconds=2 * DAY, clock=lambda: now)


def folders(directory):
    return {folder.name for folder in directory.iterdir()}


def with_a_day(directory):
    """The folder of the only day that is kept."""
    kept(directory).append(snapshot())
    return directory / str(MIDNIGHT)


def damage(day):
    day.joinpath("state.npz").write_bytes(b"no zip")


def change_state(day, **changes):
    with np.load(day / "state.npz") as state:
        held = dict(state)
    np.savez(day / "state.npz", **(held | changes))


def change_format(day):
    """Of the next release, which names nothing as this one does."""
    np.savez(day / "state.npz", numbers=np.array([FORMAT + 1, 42]))
    day.joinpath("services.json").unlink()


def make_unreadable(path):
    """A name that leads back to itself: as from a broken disk, all that comes back is an OSError. Returns the cure."""
    aside = path.with_name("aside")
    path.rename(aside)
    path.symlink_to(path.name)
    return lambda: aside.replace(path)


def test_a_newcomer_that_could_not_be_saved_is_none_until_it_is(tmp_path, monkeypatch):
    def full(path, *_, **__):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    history = kept(tmp_path)
    history.append(snapshot())
    later = snapshot(end_time=MIDDAY + 60, services=(FRONTEND, PAYMENT))
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        with pytest.raises(OSError, match="No space left"):
            history.append(later)
    history.append(later)

    again = kept(tmp_path)
    assert again.status() == HistoryStatus(60, MIDDAY - 120, MIDDAY + 60, 3)
    assert calls_in(again) == {("frontend", "checkout"): 2, ("frontend", "payment"): 2}


def test_calls_of_services_that_a_day_does_not_know_are_left_out(tmp_path):
    day = with_a_day(tmp_path)
    change_state(day, calls=np.array([[0, 0], [1, 2]]), rates=np.array([2, 3], np.float32))
    assert calls_in(kept(tmp_path)) == {("frontend", "checkout"): 2}


@pytest.mark.parametrize("name", ["state.npz", "services.json", "values.f32"])
def test_a_day_that_cannot_be_read_at_present_stops_the_start_and_stays(tmp_path, name):
    cure = make_unreadable(with_a_day(tmp_path) / name)
    with pytest.raises(OSError, match=f"history of {MIDNIGHT} cannot be read at present .* move the folder away"):
        kept(tmp_path)
    cure()
    assert kept(tmp_path).status().steps == 3


def test_a_damaged_day_is_kept_aside_and_makes_room_for_a_new_one(tmp_path):
    damage(with_a_day(tmp_path))
    history = kept(tmp_path)
    assert history.status() == HistoryStatus()
    assert folders(tmp_path) == {f"{MIDNIGHT}.damaged"}
    history.append(snapshot())
    assert kept(tmp_path).status().steps == 3
    assert folders(tmp_path) == {str(MIDNIGHT), f"{MIDNIGHT}.damaged"}


def test_an_archive_whose_table_of_contents_would_begin_before_it_is_damaged(tmp_path):
    state = with_a_day(tmp_path) / "state.npz"
    archive = bytearray(state.read_bytes())
    archive[-6:-2] = (2**31).to_bytes(4, "little")  # its place: a reader seeks to before the file, an OSError
    state.write_bytes(archive)
    assert kept(tmp_path).status() == HistoryStatus()
    assert folders(tmp_path) == {f"{MIDNIGHT}.damaged"}


def test_of_a_day_that_is_damaged_twice_one_is_kept_aside(tmp_path):
    for _ in range(2):
        damage(with_a_day(tmp_path))
        kept(tmp_path)
    assert folders(tmp_path) == {f"{MIDNIGHT}.damaged"}


def test_a_day_of_another_format_stays_as_it_is(tmp_path, caplog):
    change_format(with_a_day(tmp_path))
    assert kept(tmp_path).status() == HistoryStatus()
    assert folders(tmp_path) == {str(MIDNIGHT)}
    assert f"its format is {FORMAT + 1}, and this release reads {FORMAT}" in caplog.text


def test_a_day_of_another_format_is_not_written_over(tmp_path):
    day = with_a_day(tmp_path)
    change_format(day)
    before = day.joinpath("state.npz").read_bytes()
    kept(tmp_path).append(snapshot())
    assert folders(tmp_path) == {str(MIDNIGHT), f"{MIDNIGHT}.unread"}
    assert tmp_path.joinpath(f"{MIDNIGHT}.unread", "state.npz").read_bytes() == before


@pytest.mark.parametrize("spoil", [damage, change_format])
@pytest.mark.parametrize("restarts", [0, 1])
def test_what_is_kept_aside_is_forgotten_by_its_age(tmp_path, spoil, restarts):
    spoil(with_a_day(tmp_path))
    history = kept(tmp_path)
    for _ in range(restarts):
        history = kept(tmp_path)
    last = MIDNIGHT + 3 * DAY  # two days after the end of that day
    history.append(snapshot(end_time=last - 60))
    assert len(folders(tmp_path)) == 2
    history.append(snapshot(end_time=last + 180))
    assert folders(tmp_path) == {str(MIDNIGHT + 2 * DAY), str(MIDNIGHT + 3 * DAY)}


def test_a_folder_that_is_no_day_is_nobodys_business(tmp_path):
    tmp_path.joinpath(f"{MIDNIGHT}.backup").mkdir()
    kept(tmp_path).append(snapshot(end_time=MIDDAY + 30 * DAY))
    assert f"{MIDNIGHT}.backup" in folders(tmp_path)


def test_days_that_have_not_begun_are_left_out_and_what_is_measured_now_is_taken_in(tmp_path, caplog):
    with_a_day(tmp_path)
    ahead = snapshot(end_time=MIDDAY + 2 * DAY)
    kept(tmp_path).append(ahead)
    history = kept(tmp_path)
    assert history.status().end_time == MIDDAY
    assert "that day has not begun; check the clocks" in caplog.text
    history.append(snapshot(end_time=MIDDAY + 60))
    assert history.status() == HistoryStatus(60, MIDDAY - 120, MIDDAY + 60, 2)
    assert kept(tmp_path, now=MIDDAY + DAY).status().end_time == ahead.end_time, "it was left as it is"


def test_a_day_that_begins_within_a_day_is_taken(tmp_path):
    kept(tmp_path).append(snapshot(end_time=MIDDAY + DAY))
    assert kept(tmp_path).status().end_time == MIDDAY + DAY
