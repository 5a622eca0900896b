import numpy as np
import pytest
from scene import GATEWAY, announced, load

DAY, MINUTE = 86_400, 60
BEGIN = 20_000 * DAY


def rushes(name, seed, day):
    """By minute of a day, how far the load is above what recurs of days and noise."""
    times = np.arange(BEGIN + day * DAY, BEGIN + (day + 1) * DAY, MINUTE, dtype=np.float64)
    quiet = announced("spikes").factor(times, GATEWAY)
    return load(name, seed).factor(times, GATEWAY) / quiet > 1.5


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_rhythm_has_its_rushes_at_the_same_minutes_every_day(seed):
    today, tomorrow = rushes("rhythm", seed, 0), rushes("rhythm", seed, 1)

    assert today.any()
    assert np.mean(today & tomorrow) > 0.8 * np.mean(today)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_was_yesterday_says_nothing_of_when_spikes_are(seed):
    """Over ten days: those in a minute that had one the day before are as many as chance makes them."""
    days = np.array([rushes("spikes", seed, day) for day in range(11)])
    share = days.mean()

    after_one = days[1:][days[:-1]].mean()

    assert 0.02 < share < 0.3
    assert after_one < 2 * share


def test_another_seed_has_spikes_at_other_moments():
    first, second = rushes("spikes", 0, 0), rushes("spikes", 1, 0)

    assert np.mean(first & second) < 0.5 * np.mean(first)
