"""
Splits: in time order, with gaps, and nothing across a segment's border.
"""

import numpy as np
import pytest

from builders.tasks import series
from tidecast_predictor.evaluation.splits import RecordingTooShort, Splitting, split

HORIZON = 5


def parted(steps=500, *, segments=None, **changes):
    values = np.arange(steps, dtype=float)[:, None, None] * np.ones((1, 2, 1))
    return split(series(values, segments=segments), Splitting(8, HORIZON, **changes))


def test_no_target_of_one_part_lies_within_a_horizon_of_the_next():
    found = parted()
    task = found.task

    assert task.training.max() + HORIZON == task.training_steps - 1
    assert task.validation.min() + 1 == task.training_steps + HORIZON
    assert task.validation.max() + HORIZON == task.known_steps - 1
    assert found.test.min() + 1 == found.test_begin == task.known_steps + HORIZON
    assert found.test.max() + HORIZON == 499


def test_the_parts_have_three_fifths_one_fifth_and_one_fifth_of_what_the_gaps_leave():
    found = parted()

    assert found.task.training_steps == 294
    assert found.task.known_steps - found.task.training_steps - HORIZON == 98
    assert 500 - found.test_begin == 98


def test_with_a_share_the_last_fifth_is_the_test():
    found = parted(known=0.8)

    assert found.task.known_steps == 400
    assert found.test.min() == 400 + HORIZON - 1
    assert found.task.validation.min() + 1 == 350


def test_what_is_learnt_from_ends_where_the_known_part_ends():
    task = parted().task

    assert len(task.series.values) == len(task.series.times) == len(task.series.segments) == task.known_steps


def test_no_target_crosses_into_another_segment():
    segments = np.repeat(np.arange(25), 20)
    found = parted(segments=segments)

    for origins in (found.task.training, found.task.validation, found.test):
        assert len(origins)
        assert np.array_equal(segments[origins], segments[origins + HORIZON])


def test_origins_are_thinned_evenly_and_keep_their_ends():
    whole, few = parted(), parted(test_origins=10, validation_origins=7)

    assert (len(few.test), few.test_candidates) == (10, len(whole.test))
    assert few.test[[0, -1]].tolist() == whole.test[[0, -1]].tolist()
    assert np.ptp(np.diff(few.test)) <= 1
    assert len(few.validation) == 7
    assert np.array_equal(few.task.validation, whole.task.validation)


def test_where_segments_or_the_share_are_why_a_recording_is_too_short_the_remedy_names_them():
    with pytest.raises(RecordingTooShort, match="another --split; segments also begin where steps are missing"):
        parted(60, segments=np.arange(60) // 5, known=0.8)


@pytest.mark.parametrize("steps", [12, 40])
def test_a_recording_that_is_too_short_is_refused(steps):
    with pytest.raises(RecordingTooShort, match="record longer or take a smaller --horizon"):
        parted(steps, segments=np.arange(steps) // 5)
