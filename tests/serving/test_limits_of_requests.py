"""
Requests of a few bytes that ask for endless work, and history of the future: refused by name, and nothing is begun.
"""

import numpy as np
import pytest

from builders.engines import MIDDAY
from builders.snapshots import FRONTEND, snapshot
from tidecast_operator.errors import ContractMismatch

NOW = MIDDAY + 3600
"""What the clock of the server says."""


def of_steps(steps):
    return snapshot(
        services=(FRONTEND,),
        values=np.ones((steps, 1, 7), np.float32),
        calls=np.zeros((2, 0), np.int64),
        rates=np.zeros(0, np.float32),
    )


def without_services(steps):
    empty = of_steps(0)
    return snapshot(services=(), values=np.zeros((steps, 0, 7), np.float32), calls=empty.calls, rates=empty.rates)


async def test_history_without_services_is_refused(client, fakes):
    with pytest.raises(ContractMismatch, match="tensor 'services' is empty; send only steps"):
        await client.append_history([without_services(3)])
    assert not fakes.history.snapshots


@pytest.mark.parametrize("chunk", [of_steps(100_001), without_services(2**24)], ids=["of a service", "of nobody"])
async def test_a_chunk_of_history_with_too_many_steps_is_refused(client, fakes, chunk):
    with pytest.raises(ContractMismatch, match=f"tensor 'values' has {chunk.steps} steps; send 100000 at most"):
        await client.append_history([chunk])
    assert not fakes.history.snapshots


async def test_a_window_with_too_many_steps_is_refused(client, fakes):
    with pytest.raises(ContractMismatch, match="tensor 'values' has 1441 steps; send 1440 at most"):
        await client.forecast(of_steps(1441), 4)
    assert not fakes.forecaster.asked


async def test_a_horizon_of_too_many_steps_is_refused(client, fakes):
    with pytest.raises(ContractMismatch, match="parameter 'horizon_steps' is 1441; ask for 1440 at most"):
        await client.forecast(snapshot(), 1441)
    assert not fakes.forecaster.asked


async def test_the_longest_window_and_horizon_are_answered(client):
    assert (await client.forecast(of_steps(1440), 1440)).horizon_steps == 1440


@pytest.mark.parametrize("seconds", [4, 3601])
async def test_a_step_that_no_forecaster_can_have_is_refused_by_both_services(client, fakes, seconds):
    odd = snapshot(step_seconds=seconds, end_time=MIDDAY // seconds * seconds)
    refused = f"parameter 'step_seconds' is {seconds}; send steps of 5 to 3600 seconds"
    with pytest.raises(ContractMismatch, match=refused):
        await client.forecast(odd, 4)
    with pytest.raises(ContractMismatch, match=refused):
        await client.append_history([odd])
    assert not fakes.forecaster.asked
    assert not fakes.history.snapshots


@pytest.mark.parametrize("seconds", [5, 3600])
async def test_the_shortest_and_the_longest_step_are_taken(client, seconds):
    assert (await client.forecast(snapshot(step_seconds=seconds), 4)).step_seconds == seconds
    assert (await client.append_history([snapshot(step_seconds=seconds)])).step_seconds == seconds


@pytest.mark.parametrize("beyond", [{"window_steps": 1441}, {"horizon_steps": 1441}])
async def test_settings_of_a_training_beyond_the_limits_are_refused_and_do_not_stay(client, fakes, beyond):
    sound = {"window_steps": 20, "horizon_steps": 10, "minimum_history_seconds": 3600}
    [name] = beyond
    with pytest.raises(ContractMismatch, match=f"{name} is 1441; it must be 1440 at most"):
        await client.train(**(sound | beyond))
    assert not fakes.trainer.started
    await client.train(**(sound | {name: 0}))
    assert getattr(fakes.trainer.started[0], name) < 1441


@pytest.mark.parametrize(("step_seconds", "ahead_seconds"), [(60, 300), (600, 1200)])
async def test_history_from_a_clock_that_is_a_little_ahead_is_taken(client, step_seconds, ahead_seconds):
    end_time = NOW + ahead_seconds
    held = await client.append_history([snapshot(step_seconds=step_seconds, end_time=end_time)])
    assert held.end_time == end_time


@pytest.mark.parametrize(("step_seconds", "ahead_seconds"), [(60, 360), (600, 1800)])
async def test_history_of_the_future_is_refused(client, fakes, step_seconds, ahead_seconds):
    with pytest.raises(
        ContractMismatch, match=rf"'end_time' is \d+, {ahead_seconds} s after the clock .*: set the clo"
    ):
        await client.append_history([snapshot(step_seconds=step_seconds, end_time=NOW + ahead_seconds)])
    assert not fakes.history.snapshots
