"""
Recordings laid out on an even grid.
"""

from dataclasses import replace

import numpy as np
import pytest

from builders.tasks import HALF_HOUR, series, sines, with_segments
from tidecast_predictor.evaluation.grid import lay_out, recorded_on, scales_for
from tidecast_predictor.scaling import to_units

DAY_STEPS = 48


def paused(hours: float) -> object:
    """Two segments of ten steps with a pause between them."""
    of = with_segments(series(np.ones((20, 1, 1))), 10)
    times = of.times.copy()
    times[10:] += int(hours * 3600)
    return replace(of, times=times)


def test_steps_within_a_segment_lie_as_far_apart_as_on_the_clock():
    of = series(np.ones((5, 1, 1)))
    times = of.times.copy()
    times[3:] += int(2 * HALF_HOUR)
    assert lay_out(replace(of, times=times), apart=10).positions.tolist() == [0, 1, 2, 5, 6]


def test_segments_lie_so_far_apart_that_no_window_sees_two():
    assert lay_out(paused(0), apart=12).positions[10] - lay_out(paused(0), apart=12).positions[9] == 12


@pytest.mark.parametrize("days", [3, 40])
def test_a_long_pause_is_shortened_by_whole_days(days):
    positions = lay_out(paused(24 * days), apart=12).positions
    assert positions[10] - positions[9] == 1 + DAY_STEPS
    assert lay_out(paused(24 * days), apart=12).steps == positions[-1] + 1


@pytest.mark.parametrize("hours", [1, 3])
def test_a_short_pause_does_not_shift_the_time_of_day_where_days_were_seen(hours):
    of = with_segments(series(np.ones((120, 1, 1))), 60)
    times = of.times.copy()
    times[60:] += hours * 3600
    positions = lay_out(replace(of, times=times), apart=12).positions
    assert positions[60] - positions[59] == 1 + 2 * hours + DAY_STEPS


def test_between_segments_nothing_was_measured():
    of = paused(0)
    recording = recorded_on(of, lay_out(of, apart=12), scales_for(of, 20))
    assert np.isfinite(recording.read(0, 31, 1)[0, :, 0].numpy()).tolist() == [True] * 10 + [False] * 11 + [True] * 10


def test_units_come_back_from_the_models_scale():
    of = sines(features=5)
    scales = scales_for(of, 100)
    recording = recorded_on(of, lay_out(of, apart=12), scales)
    back = to_units(recording.read(0, recording.steps, 5).transpose(0, 1).numpy(), scales)
    assert back[:, :, [0, 1, 3, 4]] == pytest.approx(of.values[:, :, [0, 1, 3, 4]], rel=1e-4)


def test_scales_come_from_the_training_part_alone():
    of = sines()
    later = of.values.copy()
    later[100:] *= 50
    assert scales_for(of, 100) == scales_for(replace(of, values=later), 100)


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("rps", [0, 5], "log"),
        ("error_rate", [0, 0.5], "ratio"),
        ("error_count", [0, 0.5], "log"),
        ("errors_per_second", [0, 0.5], "log"),
        ("speed_mph", [60, 70], "linear"),
        ("rps", [-1, 5], "linear"),
    ],
)
def test_a_feature_is_scaled_by_what_it_is(name, values, kind):
    of = replace(series(np.array(values, float)[:, None, None]), features=(name,))
    assert scales_for(of, 2)[0].kind == kind
