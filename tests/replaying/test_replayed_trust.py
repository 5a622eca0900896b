"""
Trust in a replay is that of the operator: who is not judged, and what has to be measured for it.
"""

import numpy as np
import pytest

from builders.replays import CART, DAY, WEB, recording, replayed, waves, write_npz
from tidecast_contract.features import CPU, ERRORS, REQUESTS, index_of
from tidecast_operator import cycle
from tidecast_operator.judging import Judge
from tidecast_operator.replaying import command, hinting
from tidecast_operator.replaying.candidates import Asked, Subject, choose
from tidecast_operator.replaying.recording import Recording

FAILS, LASTS = DAY + 600, 40


def failing_web() -> Recording:
    """The web fails for a while and calls the cart no more; the day before everything was as it is now."""
    hour = np.sin(2 * np.pi * np.arange(2 * DAY) / DAY)
    noise = np.exp(0.02 * np.random.default_rng(1).standard_normal((2 * DAY, 2)))
    loads = (200 + 150 * hour)[:, None] * noise * [1.0, 2.0]
    loads[FAILS : FAILS + LASTS, 1] *= 0.1
    made = recording(loads, calls=np.array([[0], [1]]), rates=np.array([100.0], np.float32))
    made.values[:, :, index_of(ERRORS)] = 0.001
    made.values[FAILS : FAILS + LASTS, 0, index_of(ERRORS)] = 0.6
    return made


async def trusted_after_the_failure(made: Recording, name: str) -> float:
    what = Subject.of(made, choose(made, Asked(name=name, scaling={"perReplica": "50"})).each)
    assert {candidate.service for candidate in what.candidates} <= {WEB, CART}
    outcome = await replayed(what, "seasonal-naive", begin=FAILS - 200, first=FAILS, last=FAILS + 180)
    return float(outcome.trusted_ratio[-1])


@pytest.mark.parametrize("name", ["", "cart"], ids=["with its caller", "alone"])
async def test_a_service_that_a_failing_one_calls_is_not_judged_whether_or_not_that_one_is_replayed(name):
    assert await trusted_after_the_failure(failing_web(), name) > 0.95


async def test_the_same_fall_without_a_failing_caller_takes_trust_away():
    made = failing_web()
    made.values[:, :, index_of(ERRORS)] = 0.001

    assert await trusted_after_the_failure(made, "cart") < 0.8


def test_the_operator_and_the_replay_judge_by_one_object():
    assert cycle.Judge is hinting.Judge is Judge


def of_cpu(loads: np.ndarray, *, requests: bool) -> Recording:
    """CPU of the web and the cart, in cores, and requests or not."""
    made = recording(loads)
    made.values[:, :, index_of(CPU)] = loads
    if not requests:
        made.values[:, :, index_of(REQUESTS)] = np.nan
    return made


def scaled_by_cpu(made: Recording) -> Subject:
    return Subject.of(made, choose(made, Asked(scaling={"perReplica": "50", "signal": "CPU"})).each)


async def test_where_only_cpu_was_recorded_forecasts_of_it_are_trusted():
    loads = waves(300)
    alone = await replayed(scaled_by_cpu(of_cpu(loads, requests=False)))
    both = await replayed(scaled_by_cpu(of_cpu(loads, requests=True)))

    assert alone.trusted_ratio.min() > 0.99
    np.testing.assert_array_equal(alone.trusted_ratio, both.trusted_ratio)


async def test_steps_without_cpu_are_not_measured_where_only_cpu_was_recorded():
    loads = waves(300)
    loads[200:210] = np.nan
    made = of_cpu(loads, requests=False)

    assert np.flatnonzero(~made.is_measured()).tolist() == list(range(200, 210))


@pytest.mark.parametrize("silent", [REQUESTS, CPU], ids=["requests", "the signal"])
async def test_trust_goes_once_requests_or_the_signal_are_measured_no_more(silent):
    made = of_cpu(waves(300), requests=True)
    made.values[250:, 0, index_of(silent)] = np.nan
    outcome = await replayed(scaled_by_cpu(made), first=200)

    # The last five steps count as now.
    assert outcome.trusted_ratio == pytest.approx([(50 + 4 + 1) / 100, 1.0])


def test_a_file_of_cpu_alone_is_replayed_and_the_report_says_what_that_means(tmp_path, capsys):
    cpu = {"features": np.array(["cpu", "replicas"])}
    path = write_npz(tmp_path / "cpu.npz", 1000 * waves(240), **cpu)
    flags = ["--forecasts", "perfect", "--signal", "CPU", "--per-replica", "50"]

    assert command.main(["replay", "--recording", str(path), *flags]) == 0
    told = capsys.readouterr().out
    assert "| all |  | 100% |" in told
    assert "- No requests were recorded: what has CPU counts as measured here." in told


def test_a_workload_without_requests_beside_others_is_never_trusted_and_the_report_says_why(tmp_path, capsys):
    loads = waves(240)
    data = np.stack([loads, 1000 * loads], axis=2).astype(np.float32)
    data[:, 1, 0] = np.nan
    path = write_npz(tmp_path / "a.npz", loads, data=data, features=np.array(["rps", "cpu"]))
    flags = ["--forecasts", "perfect", "--signal", "CPU", "--per-replica", "50"]

    assert command.main(["replay", "--recording", str(path), *flags]) == 0
    told = capsys.readouterr().out
    assert "- Of 1 of 2 workloads no requests were measured" in told
    assert next(line for line in told.splitlines() if "/cart " in line).split("|")[3].strip() == "0%"
    assert next(line for line in told.splitlines() if "/web " in line).split("|")[3].strip() == "100%"


def test_a_recording_with_requests_says_nothing_of_cpu(tmp_path, capsys):
    path = write_npz(tmp_path / "a.npz", waves(240))

    assert command.main(["replay", "--recording", str(path), "--per-replica", "50"]) == 0
    assert "requests were" not in capsys.readouterr().out
