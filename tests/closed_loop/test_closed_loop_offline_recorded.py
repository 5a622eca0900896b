"""
The study without a cluster under recorded loads.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from foresight import DAY_STEPS, HORIZON_STEPS, kinds
from recorded_load import Recording
from scene import GATEWAY, Pace, factors
from stretches import PAST_STEPS, SETTLE_STEPS, recorded

CLOSED_LOOP = Path(__file__).parents[2] / "benchmarks" / "closed_loop"
STEP = Pace().step


def waves(days):
    """Days that are no two alike, with a silent quarter of an hour in each."""
    minutes = np.arange(days * DAY_STEPS)
    values = 2 + np.sin(minutes / DAY_STEPS * 2 * np.pi) + minutes / DAY_STEPS
    values[minutes % DAY_STEPS < 15] = 0
    return values


def test_a_stretch_ends_within_the_last_whole_day_and_is_what_was_recorded_then(load_file):
    values = waves(4)
    recording = Recording.read(load_file(values), step_seconds=60)
    stretch = recorded(recording, 0, hours=24)

    steps = PAST_STEPS + SETTLE_STEPS + DAY_STEPS + HORIZON_STEPS + 1
    times = stretch.start_time + STEP * np.arange(steps)
    found = stretch.truth.factor(times, GATEWAY) * values.mean()
    first = 22 * 60
    assert np.allclose(found, values[first : first + steps])
    assert first + steps <= len(values)


def test_another_seed_is_a_day_earlier(load_file):
    recording = Recording.read(load_file(waves(5)), step_seconds=60)
    last, before = (recorded(recording, seed, hours=24) for seed in (0, 1))

    times = last.start_time + STEP * np.arange(DAY_STEPS, dtype=np.float64)
    assert before.start_time == last.start_time
    assert np.allclose(before.truth.factor(times, GATEWAY), last.truth.factor(times - 86_400, GATEWAY))


def test_what_is_usual_knows_nothing_of_the_days_by_which_forecasts_are_judged(load_file):
    """The fourth day is scored, and bands are of the errors from late on the second: only the first says what is usual."""
    values = waves(4)
    recording = Recording.read(load_file(values), step_seconds=60)
    changed = values.copy()
    changed[DAY_STEPS:] = changed[DAY_STEPS:][::-1]
    other = Recording.read(load_file(changed, name="other"), step_seconds=60)

    usual = [
        factors(recorded(one, 0, hours=24).usual, 20_000 * 86_400, 20_001 * 86_400, STEP) for one in (recording, other)
    ]
    assert np.allclose(*usual)


def test_a_recording_of_three_days_is_too_short_to_learn_what_is_usual(load_file):
    recording = Recording.read(load_file(waves(3)), step_seconds=60)

    with pytest.raises(ValueError, match="no day of which to learn what is usual"):
        recorded(recording, 0, hours=24)


def test_more_hours_than_the_recording_has_are_refused(load_file):
    recording = Recording.read(load_file(waves(4)), step_seconds=60)

    with pytest.raises(ValueError, match="hours before the scored time"):
        recorded(recording, 0, hours=26)


def test_forecasts_of_a_load_that_is_silent_at_times_are_numbers():
    truth = waves(4)
    usual = np.roll(truth, 5)

    for says in kinds(truth, usual).values():
        assert np.isfinite([says(origin) for origin in range(2 * DAY_STEPS - 60, 2 * DAY_STEPS + 60)]).all()


def test_the_table_of_recorded_loads_is_a_file_of_its_own(load_file, tmp_path):
    out = tmp_path / "results"
    files = [str(load_file(waves(4), name=name)) for name in ("shop", "bank")]
    command = [sys.executable, CLOSED_LOOP / "offline.py", f"--out={out}", "--seeds=1", "--hours=0.5"]

    subprocess.run([*command, "--load-file", *files], check=True, capture_output=True)

    rows = json.loads((out / "offline-recorded.json").read_text())["rows"]
    assert {row["load"] for row in rows} == {"recorded-shop", "recorded-bank"}
    assert "recorded-shop: violation" in (out / "offline-recorded.md").read_text()
    assert not (out / "offline.md").exists()
