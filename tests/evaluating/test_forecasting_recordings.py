import json
from dataclasses import replace

import numpy as np
import pytest
from catalogue import RECORDINGS, START, Recording, Release
from meshes import Plan, hidden, load_of, mesh_of
from observing import STEP_SECONDS, Stage, histogram_quantile, observe
from recordings import holes, rounded, simulate, write

from tidecast_predictor.evaluation.datasets import read
from tidecast_simulator.load import Constant, Steps
from tidecast_simulator.mesh import Call, Mesh, Role, Service
from tidecast_simulator.traffic import Simulation

TINY = Recording("tiny", "for tests", Plan(3, size=8, depth=3, entries=2, entry_rps=40.0), steps=600, missing=0.0)


def pair(*, entry_rps=50.0, **call):
    """A gateway that calls `front`, which calls `back`; `call` says how."""
    gate = Service("gate", "edge", role=Role.GATEWAY, entry_rps=entry_rps, capacity_rps=10_000)
    front, back = (Service(name, "shop", capacity_rps=10_000.0) for name in ("front", "back"))
    calls = (Call("edge/gate", "shop/front"), Call("shop/front", "shop/back", **call))
    return Mesh("pair", (gate, front, back), calls)


def seen(mesh, *, steps=400, shape=None, **stages):
    simulation = Simulation(mesh, shape or Constant())
    return observe([Stage(simulation)], start=START, steps=steps, seed=1, **stages)


def meta_of(arrays):
    return json.loads(str(arrays["meta"]))


def test_the_same_recording_comes_out_twice():
    first, second = simulate(TINY), simulate(TINY)
    assert first.keys() == second.keys()
    for key, array in first.items():
        np.testing.assert_array_equal(array, second[key])


def test_another_seed_gives_another_mesh_and_another_load():
    plan = replace(TINY.plan, seed=4)
    assert mesh_of(plan) != mesh_of(TINY.plan)
    times = START + 60.0 * np.arange(1440)
    entry = "istio-system/gateway-0"
    assert not np.allclose(load_of(plan).factor(times, entry), load_of(TINY.plan).factor(times, entry))


def test_each_entry_has_a_load_of_its_own():
    times = START + 60.0 * np.arange(3 * 1440)
    loads = [load_of(TINY.plan).factor(times, f"istio-system/gateway-{place}") for place in range(2)]
    assert np.corrcoef(loads)[0, 1] < 0.95


def test_a_recording_says_that_it_is_simulated_and_can_be_evaluated(tmp_path):
    path, seconds = write(TINY, tmp_path)
    dataset = read(path)
    assert seconds > 0
    assert dataset.about["load"] == "simulated"
    assert "SIMULATED" in dataset.about["real"]
    assert dataset.series.values.shape == (600, 10, 7)
    assert dataset.series.step_seconds == STEP_SECONDS
    assert dataset.series.calls.shape[1] == len(mesh_of(TINY.plan).calls)


def test_a_file_made_by_the_same_code_is_kept_and_any_other_is_made_anew(tmp_path):
    path, _ = write(TINY, tmp_path)
    made = path.stat().st_mtime_ns
    assert write(TINY, tmp_path) == (path, 0.0)
    assert path.stat().st_mtime_ns == made
    write(replace(TINY, steps=500), tmp_path)
    assert len(read(path).series.times) == 500


def test_a_load_from_a_file_drives_a_recording(tmp_path):
    load = tmp_path / "requests.csv"
    load.write_text("requests\n" + "100\n" * 300 + "300\n" * 300)
    path, _ = write(TINY, tmp_path, load=load)
    with np.load(path, allow_pickle=False) as file:
        assert meta_of(file)["load_file"] == "requests.csv"
        driven, entered = file["data"][..., 0], file["edges"][file["edges"][:, 0] < 2, 1]
    ratio = driven[:, entered].sum(axis=1) / simulate(TINY)["data"][:, entered, 0].sum(axis=1)
    assert np.median(ratio[310:]) / np.median(ratio[:290]) == pytest.approx(3, rel=0.1)


def test_requests_of_a_sparse_service_scatter_as_counts_of_two_steps_do():
    rps = seen(pair(share=0.002), steps=4000)[:, 2, 0].astype(float)
    # 0.1 requests/s, 12 in two steps: a variance of 12 counts.
    assert rps.mean() == pytest.approx(0.1, rel=0.05)
    assert rps.var() * 120**2 == pytest.approx(rps.mean() * 120, rel=0.15)
    # Each step is counted in two measurements and in no third.
    around = rps - rps.mean()
    assert (around[1:] * around[:-1]).mean() / around.var() == pytest.approx(0.5, abs=0.06)
    assert (around[2:] * around[:-2]).mean() / around.var() == pytest.approx(0.0, abs=0.06)


def test_a_queue_moves_its_consumer_later_and_a_plain_call_at_once():
    surge = Steps(((START + 200.0 * 60, 2.0), (START + 230.0 * 60, 1.0), (START + 300.0 * 60, 1.8)))

    def lag(mesh):
        rps = seen(mesh, shape=surge)[:, :, 0]
        front, back = (rps[:, place] - rps[:, place].mean() for place in (1, 2))
        return max(range(20), key=lambda late: float((front[: len(front) - late] * back[late:]).mean()))

    assert lag(pair()) == 0
    assert 3 <= lag(pair(asynchronous=True, delay_seconds=360.0)) <= 8


def test_latency_rises_near_saturation_and_so_does_the_callers():
    rising = Steps(((START + 200.0 * 60, 3.0),))
    mesh = pair(entry_rps=30.0)
    strained = replace(mesh.service("shop/back"), capacity_rps=55.0)
    mesh = Mesh("strained", (*mesh.services[:2], strained), mesh.calls)
    p95 = seen(mesh, shape=rising)[:, :, 2]
    for service in (1, 2):
        assert np.median(p95[210:, service]) > 1.5 * np.median(p95[:190, service])


def test_latency_of_few_requests_scatters_more_than_of_many():
    few, many = (seen(pair(share=share), steps=800)[:, 2, 2] for share in (0.005, 1.0))
    assert np.nanstd(np.log(few)) > 3 * np.nanstd(np.log(many))


def test_no_requests_have_no_latency_and_no_errors():
    values = seen(pair(share=0.0001), steps=300)[:, 2]
    silent = values[:, 0] == 0
    assert silent.any()
    assert not silent.all()
    np.testing.assert_array_equal(np.isnan(values[:, [1, 2, 3]]), np.stack([silent] * 3, axis=1))


def test_a_quantile_lies_on_a_straight_line_within_its_bucket():
    buckets = np.zeros((3, 14), dtype=np.int64)
    buckets[0, 3] = 10  # from 5 to 10 ms
    buckets[1, -1] = 10  # above 10 s
    np.testing.assert_allclose(histogram_quantile(0.5, buckets), [7.5, 10_000.0, np.nan])


def test_a_measurement_does_not_know_what_comes_later():
    early, late = (seen(mesh_of(TINY.plan), steps=steps, shape=load_of(TINY.plan)) for steps in (200, 300))
    np.testing.assert_array_equal(early, late[:200])


def test_stages_must_rise_from_the_first_step():
    simulation = Simulation(pair(), Constant())
    with pytest.raises(ValueError, match="rise from 0"):
        observe([Stage(simulation, 5)], start=START, steps=10, seed=0)


def test_a_release_changes_its_service_from_the_known_moment_on_and_nothing_before():
    plain, released = simulate(TINY), simulate(replace(TINY, release=Release()))
    release = meta_of(released)["release"]
    step = release["step"]
    assert 480 < step < 600
    assert released["time"][step] == release["time"]
    np.testing.assert_array_equal(plain["data"][:step], released["data"][:step])
    service = list(released["nodes"]).index(release["service"])
    # The measurement at the moment itself still holds half of the old version.
    before, after = (arrays["data"][step + 2 :, service] for arrays in (plain, released))
    assert np.nanmedian(after[:, 2] / before[:, 2]) > 1.2
    assert np.nanmedian(after[:, 4] / before[:, 4]) > 1.4


def test_services_without_history_are_first_measured_when_the_test_begins():
    recording = replace(TINY, late_share=0.25)
    arrays, plain = simulate(recording), simulate(TINY)
    late = meta_of(arrays)["late"]
    assert len(late["positions"]) == 2
    assert late["step"] == recording.test_step == 480
    assert np.isnan(arrays["data"][:480, late["positions"]]).all()
    np.testing.assert_array_equal(arrays["data"][480:], plain["data"][480:])
    others = np.setdiff1d(np.arange(10), late["positions"])
    np.testing.assert_array_equal(arrays["data"][:, others], plain["data"][:, others])


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6])
def test_as_much_is_missing_as_was_asked_for_and_in_runs(share):
    missing = holes(8000, 20, share, seed=1)
    assert missing.mean() == pytest.approx(share, rel=0.12)
    ends = (missing[:-1] & ~missing[1:]).sum()
    assert missing.sum() / ends == pytest.approx(5, rel=0.12)


def test_a_shorter_recording_misses_the_same_measurements():
    np.testing.assert_array_equal(holes(500, 4, 0.3, seed=1)[:200], holes(200, 4, 0.3, seed=1))


def test_so_large_a_share_cannot_be_missing():
    with pytest.raises(ValueError, match="missing"):
        holes(10, 2, 0.9, seed=0)


def test_hidden_services_and_their_calls_are_not_recorded():
    recording = replace(TINY, plan=replace(TINY.plan, hidden_share=0.25))
    arrays = simulate(recording)
    unmeasured = hidden(recording.plan)
    assert len(unmeasured) == 2
    assert not set(arrays["nodes"]) & set(unmeasured)
    assert arrays["edges"].max() < arrays["data"].shape[1] == 8


def test_the_known_part_is_the_same_under_every_load_level_of_the_test():
    low, high = (RECORDINGS[f"level-{level}-1"] for level in ("low", "high"))
    assert low.plan == high.plan
    assert [change for change in low.levels if change[0] < low.test_step] == list(high.levels[:-1])
    assert low.levels[-1][0] == high.levels[-1][0] == low.test_step
    assert max(factor for _, factor in high.levels[:-1]) < high.levels[-1][1]


def test_numbers_are_shortened_and_stay_what_they_were():
    values = np.array([0.1, 1234.567, np.nan, 0.0], dtype=np.float32)
    np.testing.assert_allclose(rounded(values), values, rtol=1 / 4096)
    assert (rounded(values)[[0, 1]].view(np.uint32) % (1 << 11) == 0).all()


def test_every_recording_is_named_as_its_key_and_has_at_least_three_days():
    assert all(name == recording.name for name, recording in RECORDINGS.items())
    assert min(recording.steps for recording in RECORDINGS.values()) >= 3 * 1440
    assert {recording.plan.size for name, recording in RECORDINGS.items() if name.startswith("size-")} == {
        10,
        30,
        100,
        300,
        1000,
    }
