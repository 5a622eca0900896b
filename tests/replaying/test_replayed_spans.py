"""
Which time counts: said once, however long it takes to fetch.
"""

import argparse
import json

import pytest

from builders.replays import STEP, recording, waves
from tidecast_operator.published import from_time
from tidecast_operator.replaying import command
from tidecast_operator.replaying.options import add_flags
from tidecast_operator.replaying.planning import Fetch

NOW = 1_800_000_030
HOUR = 3600


@pytest.fixture
def clock(monkeypatch):
    """Unix seconds that a test sets."""
    held = {"now": NOW}
    monkeypatch.setattr("time.time", lambda: held["now"])
    return held


@pytest.fixture(params=[0, 200])
def fetch_seconds(request, clock, monkeypatch):
    """So long a Prometheus takes to answer."""

    def fetched(_collector, grid, _folder, **_):
        clock["now"] += request.param
        return recording(waves(grid.steps), start_time=grid.start_time)

    monkeypatch.setattr(command, "fetch", fetched)
    return request.param


def replayed(tmp_path, *flags):
    """From when to when is counted."""
    told = ["--prometheus", "http://127.0.0.1:9", "--forecasts", "last-value", "--per-replica", "50", *flags]
    assert command.main(["replay", *told, "--warm-up-hours", "1", "--out", str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out" / "replay.json").read_text())
    return from_time(report["beginTime"]), from_time(report["endTime"])


@pytest.mark.usefixtures("fetch_seconds")
@pytest.mark.parametrize(
    ("flags", "ends"),
    [
        (["--from", "3h", "--to", "1h"], (NOW - 3 * HOUR, NOW - HOUR)),
        (["--from", "3h", "--to", "now"], (NOW - 3 * HOUR, NOW)),
        (["--from", "3h"], (NOW - 3 * HOUR, NOW - STEP)),
    ],
    ids=["until an hour ago", "until now", "without an end"],
)
def test_what_counts_does_not_move_while_it_is_fetched(tmp_path, flags, ends):
    assert replayed(tmp_path, *flags) == tuple(end // STEP * STEP for end in ends)


@pytest.mark.usefixtures("clock")
def test_without_flags_it_is_the_last_three_days_and_what_is_needed_before_them():
    parser = argparse.ArgumentParser()
    add_flags(parser)
    flags = parser.parse_args(["--prometheus", "http://a"])
    plain = Fetch.until_now(flags, needs_day_before=False)
    naive = Fetch.until_now(flags, needs_day_before=True)

    assert (plain.span.begin, plain.span.end) == (NOW - STEP - 72 * HOUR, NOW - STEP)
    assert plain.grid.end_time == (NOW - STEP) // STEP * STEP
    assert plain.grid.start_time == (NOW - STEP - (72 + 24 + 1) * HOUR) // STEP * STEP
    assert naive.grid.start_time == plain.grid.start_time - 24 * HOUR
