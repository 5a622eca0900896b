import numpy as np
import pytest

from builders.meshes import MONDAY
from tidecast_simulator.load import (
    Accelerated,
    Bursts,
    Campaigns,
    Constant,
    Diurnal,
    Noise,
    Recorded,
    Steps,
    Weekly,
    read_series,
    usual_load,
)

DAY = 86_400
WEEK = np.arange(MONDAY, MONDAY + 7 * DAY, 60.0)


def at(shape, times=WEEK, entry="shop/front"):
    return shape.factor(np.asarray(times, dtype=float), entry)


@pytest.mark.parametrize("shape", [Diurnal(), Noise(), Bursts(), usual_load(3), Recorded((1.0, 2.0, 4.0))])
def test_a_load_is_a_function_of_absolute_time(shape):
    np.testing.assert_array_equal(at(shape)[500:700], at(shape, WEEK[500:700]))


def test_days_are_busier_than_nights_and_average_to_one():
    day = at(Diurnal(amplitude=0.5, peak_hour=14))[:1440]
    assert day.mean() == pytest.approx(1, abs=1e-6)
    assert abs(np.argmax(day) / 60 - 14) < 3
    assert day.max() / day.min() > 2


def test_weekends_are_quieter():
    week = at(Weekly(weekend=0.5)).reshape(7, 1440)
    assert week[:4].mean() == pytest.approx(1)
    assert week[5:, 600:800] == pytest.approx(0.5)


def test_campaigns_come_at_the_same_hours_every_day():
    week = at(Campaigns(hours=(6.0, 23.5), height=0.5, duration_seconds=3600)).reshape(7, 1440)
    np.testing.assert_allclose(week[0], week[5], atol=1e-9)
    assert week[0, 6 * 60 + 12] == pytest.approx(1.5)
    assert week[0, 7 * 60 + 1] == 1
    # Half an hour into the next day, the late one is not over.
    assert week[0, 10] > 1


def test_bursts_come_as_often_as_asked():
    times = np.arange(MONDAY, MONDAY + 60 * DAY, 60.0)
    factor = at(Bursts(per_day=2, height=2, duration_seconds=1800), times)
    starts = np.flatnonzero((factor[1:] > 1) & (factor[:-1] == 1))
    assert 90 < len(starts) < 150
    assert 1.9 < factor.max() < 4


def test_noise_is_autocorrelated_and_its_own_at_each_entry():
    noise = np.log(at(Noise(sigma=0.2)))
    assert noise.std() == pytest.approx(0.2, rel=0.2)
    assert np.corrcoef(noise[:-1], noise[1:])[0, 1] > 0.9
    assert abs(np.corrcoef(noise, np.log(at(Noise(sigma=0.2), entry="shop/other")))[0, 1]) < 0.2


def test_steps_last_until_the_next():
    shape = Steps(((100.0, 3.0), (200.0, 0.5)))
    assert at(shape, [99, 100, 199, 200, 1e9]).tolist() == [1, 3, 3, 0.5, 0.5]


def test_a_recorded_series_repeats_with_mean_one():
    shape = Recorded((1.0, 3.0), step_seconds=60)
    assert at(shape, [0, 60, 90, 120, 180]).tolist() == [0.5, 1.5, 1.0, 0.5, 1.5]


def test_shapes_multiply():
    both = Constant(2.0) * Steps(((0.0, 3.0),)) * Constant(0.5)
    assert at(both, [10.0]).tolist() == [3.0]


def test_an_accelerated_day_passes_in_less_than_a_day():
    quick = Accelerated(Diurnal(), speed=24, since=MONDAY)
    assert at(quick, [MONDAY + 1800]) == pytest.approx(at(Diurnal(), [MONDAY + 12 * 3600]))
    assert at(quick, [MONDAY - 1800]) == pytest.approx(at(Diurnal(), [MONDAY - 1800]))


@pytest.mark.parametrize(("name", "text"), [("a.csv", "time,rps\n1,5\n2,15\n"), ("b.csv", "5\n15\n")])
def test_a_series_is_read_from_csv(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert read_series(tmp_path / name).values == (5, 15)


def test_a_series_is_read_from_npz(tmp_path):
    np.savez(tmp_path / "a.npz", other=np.zeros(3), rps=np.array([1.0, 2.0]))
    assert read_series(tmp_path / "a.npz", column="rps").values == (1, 2)


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        pytest.param("time,rps\n1,2\n", "load", "column load is not there; it holds time, rps", id="no such column"),
        pytest.param("rps\n1\nmany\n", "", "every row must hold a number", id="no number"),
        pytest.param("rps\n1\n-1\n", "", "values: must be", id="negative"),
    ],
)
def test_a_file_that_holds_no_load_is_refused(tmp_path, text, column, message):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_series(tmp_path / "a.csv", column=column)
