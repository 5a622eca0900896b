"""
What a line is told of the ordinary day: nothing that has not come yet, and the truth where it is to be the truth.
"""

import numpy as np
import pytest
from known_day import _DAY, _courses, _days_before, _errors, _filled, known_day
from meshes import ByEntry

from tidecast_simulator.load import Bursts, Constant, Diurnal, Noise, Product

ENTRY = "istio-system/gateway-0"
SHAPE = Product((Diurnal(amplitude=0.5, peak_hour=15), Bursts(per_day=3, height=2, duration_seconds=2400), Noise(0.1)))
TIMES = 60.0 * np.arange(6 * _DAY)


def load(seed=0):
    chance = np.random.default_rng(seed)
    return 10 * SHAPE.factor(TIMES - 30, ENTRY) * np.exp(chance.normal(0, 0.02, len(TIMES)))


def test_the_days_before_are_those_at_the_same_minute_and_none_that_is_to_come():
    seen = np.repeat(np.arange(4.0), _DAY)
    before = _days_before(seen)
    noon = _DAY // 2
    assert before[[noon, noon + _DAY, noon + 2 * _DAY, noon + 3 * _DAY]] == pytest.approx([0, 0, 0.5, 1])
    later = seen.copy()
    later[2 * _DAY + noon :] = 99
    assert np.array_equal(_days_before(later)[: 2 * _DAY + noon], before[: 2 * _DAY + noon])


def test_the_true_day_has_no_burst_and_no_noise_and_the_foreseen_one_has_the_bursts():
    courses = _courses(np.log(load()), SHAPE, TIMES, ENTRY)
    day, bursts, _ = SHAPE.shapes
    assert courses["true day"] == pytest.approx(np.log(day.factor(TIMES - 30, ENTRY)))
    foreseen = courses["true day, bursts foreseen"] - courses["true day"]
    assert foreseen == pytest.approx(np.log(bursts.factor(TIMES - 30, ENTRY)))
    assert foreseen.max() > 0.2


def test_a_line_gains_by_what_it_is_told():
    seen = load()
    errors = _errors(seen, _courses(np.log(seen), SHAPE, TIMES, ENTRY))
    half_an_hour = {name: by_horizon[30] for name, by_horizon in errors.items()}
    assert half_an_hour["true day, bursts foreseen"] < half_an_hour["true day"] < half_an_hour["none"] < 1


def test_what_was_not_measured_lies_between_what_was():
    assert _filled(np.array([1, np.nan, 3, np.nan])) == pytest.approx([1, 2, 3, 3])


def test_entries_that_are_no_product_of_shapes_or_not_recorded_are_left_out(tmp_path):
    path = tmp_path / "some.npz"
    np.savez(
        path,
        data=load()[:, None, None],
        time=TIMES.astype(np.int64),
        features=np.array(["cpu"]),
        nodes=np.array([ENTRY]),
    )
    rows = known_day(path, ByEntry({ENTRY: SHAPE, "other": SHAPE}))
    assert {row["entry"] for row in rows} == {ENTRY}
    assert known_day(path, ByEntry({ENTRY: Constant()})) == []
