"""
Honest forecasts keep trust: on noisy loads, in bursts, and where nearly nothing comes.
"""

import numpy as np
import pytest

from builders.forecasts_past import HORIZON, SERVICES, Past, banded, knows
from tidecast_operator.trust.verdict import judge

EARNED_STEPS = 100


def losses(past, steps, says=knows, **changes):
    """How often trust is lost once it was earned, and whether it was."""
    trusted, lost = [False] * 3, 0
    for step in range(steps):
        past.go(1, says, **changes)
        before = trusted
        trusted = [
            judge(past.skill(service), was_trusted=was, is_expired=False, is_stale=False).is_trusted
            for service, was in zip(SERVICES, before, strict=True)
        ]
        if step == EARNED_STEPS:
            assert all(trusted)
        elif step > EARNED_STEPS:
            lost += sum(was and not now for was, now in zip(before, trusted, strict=True))
    return lost


@pytest.mark.parametrize("noise", [0.02, 0.1, 0.3, 1.0])
def test_a_forecast_that_knows_all_but_the_noise_keeps_trust(noise):
    assert losses(Past(noise), 1500) == 0


@pytest.mark.parametrize("noise", [0.1, 0.3])
def test_a_forecast_that_is_a_fifth_better_than_last_value_keeps_trust(noise):
    def says(step):
        errs = np.exp(0.5 * noise * np.random.default_rng(step).standard_normal((3, HORIZON)))
        return banded(knows(step) * errs, noise * np.hypot(1, 0.5))

    past = Past(noise)
    assert losses(past, 1500, says) == 0
    assert 0.1 < past.skill().skill < 0.3


def test_who_gets_a_request_now_and_then_keeps_trust():
    often, sizes = np.array([0.05, 0.15, 0.3]), np.sort(np.random.default_rng(1).gamma(2, 50, 10_000))

    def measure(step, _):
        chance = np.random.default_rng(step)
        return np.where(chance.random(3) < often, chance.choice(sizes, 3), 0)

    def quantile(level):
        rest = np.maximum(0, 1 - (1 - level) / often)
        return np.where(level <= 1 - often, 0, np.quantile(sizes, rest))

    quantiles = np.stack([quantile(level) for level in (0.1, 0.5, 0.9)], axis=-1)
    says = np.repeat(quantiles[:, None], HORIZON, axis=1)
    assert losses(Past(), 1500, lambda _: says, measure=measure) == 0
