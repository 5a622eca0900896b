"""
The floors of forecasting errors: that other worlds are as the laws have them, and that nobody is scored otherwise.
"""

import catalogue
import numpy as np
import pytest
from catalogue import Recording
from experiments import Evaluation
from floor import floors, squares, summary, table
from harness import Spending, evaluate
from meshes import Plan, load_of, mesh_of
from observing import STEP_SECONDS
from parting import (
    Fan,
    Guess,
    PartedLoad,
    drawn_bursts,
    knots_at,
    parted_bursts,
    parted_noise,
    rush_of,
    scales_of,
    shapes_at,
    slot_of,
)
from recordings import simulate, write
from watching import believed, possible_bursts, watchers
from worlds import FIRST_TICK, Known, World, Worlds

from tidecast_simulator.flows import Flows
from tidecast_simulator.load import Bursts, Constant, Noise
from tidecast_simulator.mesh import Call, Mesh, Role, Service
from tidecast_simulator.randomness import normals, smooth_noise, stream
from tidecast_simulator.traffic import Simulation

PLAN = Plan(3, size=8, depth=3, entries=2, entry_rps=40.0)
QUEUED = Plan(3, size=8, depth=3, entries=2, entry_rps=40.0, queue_share=0.4, sparse_share=0.3)
LOADED = Plan(3, size=8, depth=3, entries=2, entry_rps=400.0, sparse_share=0.0, hidden_share=0.25)
SCALE = 1200.0
NUMBER = stream("some noise")
ENTRY = "istio-system/gateway-0"


def fan_of(origin, *, draws=400, before=0, ahead=60):
    return Fan.of(np.full(draws, origin), 1 + np.arange(draws), before=before, ahead=ahead)


def stretches(values, *, ahead=60, before=0):
    return values.reshape(-1, before + ahead + 1)


def burst_under_way(bursts):
    """A tick at which a burst has run for a third of its time, in the first half of its slot and after an empty one."""
    slot_seconds, probability = slot_of(bursts)
    slots = np.arange(FIRST_TICK * STEP_SECONDS // slot_seconds, dtype=np.int64)[-400:]
    happens, start, _ = drawn_bursts(bursts, slots)
    alone = (happens < probability) & np.r_[False, happens[:-1] >= probability] & (start < 0.5)
    place = np.flatnonzero(alone)[0]
    return int(((slots[place] + start[place]) * slot_seconds + bursts.duration_seconds / 3) / STEP_SECONDS)


def test_up_to_the_origin_all_is_as_it_was():
    fan = fan_of(FIRST_TICK + 7, before=30)
    past = fan.moments <= fan.origins
    np.testing.assert_array_equal(fan.ticks[past], fan.moments[past])
    np.testing.assert_array_equal(parted_noise(NUMBER, fan, SCALE)[past], smooth_noise(NUMBER, fan.times[past], SCALE))
    load = PartedLoad(load_of(PLAN), fan, {})
    np.testing.assert_allclose(
        load.factor(fan.times, ENTRY)[past], load_of(PLAN).factor(fan.times[past], ENTRY), rtol=1e-12
    )


def test_after_the_origin_no_two_worlds_share_a_tick():
    fan = fan_of(FIRST_TICK, draws=50)
    later = fan.ticks[fan.moments > fan.origins]
    assert len(set(later.tolist())) == len(later)
    assert not set(later.tolist()) & set(fan.moments.tolist())


def test_the_mean_of_noise_goes_on_to_its_next_knot_and_fades_from_there_to_the_one_after():
    # 5 of 20 minutes on the way from one knot to the next.
    origin = int(SCALE // STEP_SECONDS) * 1000 + 5
    fan = fan_of(origin, draws=2000)
    worlds = stretches(parted_noise(NUMBER, fan, SCALE))
    was = smooth_noise(NUMBER, fan.times[:61], SCALE)
    np.testing.assert_allclose(worlds[:, :15], np.broadcast_to(was[:15], (2000, 15)), rtol=1e-9)
    knot = normals(NUMBER, np.array([1001]))[0]
    assert abs(knot) > 0.2
    fraction = (np.arange(20) + 0.5) / 20
    fading = knot * (1 - fraction) / np.sqrt((1 - fraction) ** 2 + fraction**2)
    np.testing.assert_allclose(worlds[:, 15:35].mean(axis=0), fading, atol=0.1)
    np.testing.assert_allclose(worlds[:, 35:].mean(axis=0), 0, atol=0.1)


def test_noise_long_after_the_origin_is_spread_as_ever():
    worlds = stretches(parted_noise(NUMBER, fan_of(FIRST_TICK, draws=2000), SCALE))
    np.testing.assert_allclose(worlds[:, 45:].std(axis=0), 1, atol=0.06)


def test_a_burst_that_has_begun_goes_on_in_every_world():
    bursts = Bursts(per_day=4, height=2.0, duration_seconds=3600.0, seed=5)
    origin = burst_under_way(bursts)
    fan = fan_of(origin, ahead=20)
    was = bursts.factor(fan.times[:21], "")
    assert was[0] > 1.1
    assert (stretches(parted_bursts(bursts, fan), ahead=20) >= was - 1e-9).all()
    assert np.median(stretches(parted_bursts(bursts, fan), ahead=20), axis=0) == pytest.approx(was)


def test_a_burst_that_has_not_begun_late_in_its_slot_is_as_likely_as_the_law_has_it():
    bursts = Bursts(per_day=4, height=2.0, duration_seconds=1200.0, seed=5)
    slot_seconds, probability = slot_of(bursts)
    slots = np.arange(FIRST_TICK * STEP_SECONDS // slot_seconds, dtype=np.int64)[-4000:]
    happens, start, _ = drawn_bursts(bursts, slots)
    late, none = 0.7, (happens >= probability) | (start > 0.7)
    rest = int((1 - late) * slot_seconds / STEP_SECONDS) - 1
    origins = ((slots[none] + late) * slot_seconds / STEP_SECONDS).astype(np.int64)
    worlds = stretches(parted_bursts(bursts, Fan.of(origins, 1 + slots[none], before=0, ahead=rest)), ahead=rest)
    begun = (worlds[:, -1:] != worlds).any(axis=1)
    assert begun.mean() == pytest.approx(probability * (1 - late) / (1 - probability * late), abs=0.03)


def test_no_second_burst_begins_in_the_slot_of_one_that_has_begun():
    bursts = Bursts(per_day=4, height=2.0, duration_seconds=1200.0, seed=5)
    slot_seconds, _ = slot_of(bursts)
    origin = burst_under_way(bursts)
    rest = int((origin * STEP_SECONDS // slot_seconds + 1) * slot_seconds / STEP_SECONDS) - origin - 1
    over = int(bursts.duration_seconds // STEP_SECONDS) + 1
    assert rest > over
    worlds = stretches(parted_bursts(bursts, fan_of(origin, ahead=rest)), ahead=rest)
    assert (worlds[:, over:] == 1).all()


def test_a_burst_that_is_guessed_stands_for_the_one_under_way():
    bursts = Bursts(per_day=4, height=2.0, duration_seconds=3600.0, seed=5)
    slot_seconds, _ = slot_of(bursts)
    origin = burst_under_way(bursts)
    fan = fan_of(origin, ahead=20, draws=50)
    nothing = (np.zeros(len(fan.ticks)), np.zeros(len(fan.ticks)))
    hidden = np.full(len(fan.ticks), int(origin * STEP_SECONDS // slot_seconds))

    def guessed(start, strength):
        guess = Guess(nothing, nothing, hidden, np.full(len(fan.ticks), start), np.full(len(fan.ticks), strength))
        return np.median(stretches(parted_bursts(bursts, fan, guess), ahead=20), axis=0)[1:]

    assert guessed(np.nan, np.nan) == pytest.approx(np.ones(20))
    began = (origin - 15) * STEP_SECONDS
    times = fan.times[1:21]
    assert guessed(began, 0.8) == pytest.approx(1 + rush_of(bursts, times, np.full(20, began), np.full(20, 0.8)))


@pytest.mark.parametrize("guessed", [None, {}])
def test_the_traffic_up_to_the_origin_is_that_of_the_recording(guessed):
    mesh, load, origin = mesh_of(QUEUED), load_of(QUEUED), FIRST_TICK + 500
    simulation = Simulation(mesh, load, seed=QUEUED.seed)
    before = Flows(mesh, load, seed=QUEUED.seed).queue_ticks(STEP_SECONDS)
    assert before > 0
    # The stretch before ends in what others leave in the queues.
    fan = Fan.of(np.array([origin, origin]), np.array([1, 2]), before=before + 10, ahead=5)
    found = World(mesh, load, seed=QUEUED.seed, fan=fan, guessed=guessed).traffic()
    true = simulation.between(origin - 10, origin + 1)
    for at in (before, 2 * before + 16):
        for name in ("requests", "log_latency_mean", "utilisation", "cpu_cores"):
            np.testing.assert_allclose(getattr(found, name)[:, at : at + 11], getattr(true, name), rtol=1e-9)


def test_who_knows_all_but_the_counting_has_the_true_loads_and_another_count():
    origins = np.array([100, 200, 300])
    drawn = Worlds(QUEUED, 60).measured(origins, (1, 4), Known.CLAIRVOYANT)
    true = simulate(Recording("tiny", "", QUEUED, steps=310, missing=0.0))
    rps, step = drawn[..., 0, 1], true["data"][origins + 4, :, 0]
    keys = [service.key for service in mesh_of(QUEUED).services]
    seen = [keys.index(key) for key in true["nodes"]]
    counted = np.isfinite(step)
    deviation = np.sqrt(np.maximum(step[counted], 0.05) / (2 * STEP_SECONDS))
    assert (np.abs(rps.mean(axis=1)[:, seen][counted] - step[counted]) < 5 * deviation).all()
    assert (rps.std(axis=1)[:, seen][counted] > 0).any()


@pytest.fixture
def idle():
    """A gateway and a service that never has to wait."""
    gate = Service("gate", "edge", role=Role.GATEWAY, entry_rps=50.0, capacity_rps=1e6)
    return Mesh("pair", (gate, Service("front", "shop", capacity_rps=1e6)), (Call("edge/gate", "shop/front"),))


def test_latencies_long_after_the_origin_are_spread_as_those_of_the_simulation(idle):
    fan = fan_of(FIRST_TICK, draws=2000, ahead=30)
    worlds = World(idle, Constant(), seed=1, fan=fan, guessed={}).traffic()
    last = stretches(worlds.log_latency_mean[1], ahead=30)[:, -1]
    true = Simulation(idle, Constant(), seed=1).between(FIRST_TICK, FIRST_TICK + 20_000).log_latency_mean[1]
    assert last.std() == pytest.approx(true.std(), rel=0.1)
    assert last.mean() == pytest.approx(true.mean(), abs=0.1 * true.std())


def test_who_knows_all_but_the_counting_knows_the_law_of_every_latency_to_come(idle):
    fan = fan_of(FIRST_TICK, draws=3, ahead=30)
    worlds = World(idle, Constant(), seed=1, fan=fan, guessed=None).traffic()
    true = Simulation(idle, Constant(), seed=1).between(FIRST_TICK, FIRST_TICK + 31).log_latency_mean[1]
    np.testing.assert_allclose(stretches(worlds.log_latency_mean[1], ahead=30), np.tile(true, (3, 1)), atol=1e-6)
    assert len(set(stretches(worlds.requests[0], ahead=30)[:, -1].tolist())) > 1


@pytest.fixture(scope="module")
def watched():
    """The noise of an entry, 300 origins as ticks, and what may be there as its counts tell it."""
    mesh, load, origins = mesh_of(PLAN), load_of(PLAN), FIRST_TICK + 400 + 23 * np.arange(300)
    noise = next(shape for shape in shapes_at(load, ENTRY) if isinstance(shape, Noise))
    bursts = next(shape for shape in shapes_at(load, ENTRY) if isinstance(shape, Bursts))
    return noise, bursts, origins, watchers(mesh, load, origins, seed=PLAN.seed, draws=50)[ENTRY]


def test_knots_lie_about_counts_as_wide_as_they_are_believed_to(watched):
    noise, _, origins, watcher = watched
    times = (origins + 0.5) * STEP_SECONDS
    for part, (number, scale) in enumerate(scales_of(noise, ENTRY)):
        reached, _ = knots_at(times, scale)
        for after in (0, 1):
            true, drawn = normals(number, reached + after), watcher.knots[2 * part + after]
            off = (true - drawn.mean(axis=1)) / drawn.std(axis=1)
            assert np.square(off).mean() == pytest.approx(1, abs=0.35)


def test_counts_tell_much_of_the_knot_behind_and_less_of_the_one_ahead(watched):
    _, _, _, watcher = watched
    behind, ahead = (np.square(watcher.knots[place].std(axis=1)).mean() for place in (0, 1))
    assert behind < ahead < 0.9


def test_counts_tell_whether_a_burst_is_under_way_and_when_it_began(watched):
    _, bursts, origins, watcher = watched
    slot_seconds, _ = slot_of(bursts)
    now = (origins + 0.5) * STEP_SECONDS
    some = watcher.hidden[:, 0]
    _, start, _ = drawn_bursts(bursts, some)
    ago = np.where(some >= 0, now - (some + start) * slot_seconds, np.nan)
    high = (ago > 0.25 * bursts.duration_seconds) & (ago < 0.6 * bursts.duration_seconds)
    assert high.sum() >= 5
    believed_in = np.isfinite(watcher.start).mean(axis=1)
    assert np.median(believed_in[high]) > 0.9
    assert np.median(believed_in[some < 0]) < 0.1
    off = np.abs(np.nanmedian(watcher.start[high], axis=1) - (now - ago)[high])
    assert np.median(off) < 0.2 * bursts.duration_seconds


def test_bursts_are_as_likely_to_be_under_way_as_they_are_found_to_be():
    bursts = Bursts(per_day=4, height=2.0, duration_seconds=3600.0, seed=5)
    may = [possible_bursts(bursts, STEP_SECONDS * np.array([31.0 * tick])) for tick in range(4000)]
    likely = [each.weights[np.isfinite(each.start)].sum() / each.weights.sum() for each in may]
    assert np.mean(likely) == pytest.approx(np.mean([each.hidden >= 0 for each in may]), abs=0.015)


def test_of_no_count_and_no_burst_nothing_is_believed_but_the_law():
    noise, bursts = Noise(sigma=0.1, seed=2), Bursts(per_day=2, seed=2)
    times = (FIRST_TICK + np.arange(300) + 0.5) * STEP_SECONDS
    may = possible_bursts(bursts, times)
    beliefs = believed(np.zeros(300), np.ones((len(may.weights), 300)), may.weights, times, noise)
    np.testing.assert_allclose(np.diag(beliefs.covariance), 1, atol=0.25)
    np.testing.assert_allclose(beliefs.weights, may.weights / may.weights.sum())


def test_squares_are_as_if_the_mean_of_all_worlds_were_known():
    chance = np.random.default_rng(0)
    truth, nothing = chance.normal(size=(4000, 1)), np.zeros((4000, 1))
    for draws in (1, 4):
        square, filled = squares(truth, chance.normal(size=(4000, draws, 1)), nothing, np.ones((4000, 1), bool))
        assert square[0] / 4000 == pytest.approx(1, abs=0.1)
        assert filled[0] == 0


def test_what_no_world_measures_is_the_last_value_and_what_does_not_count_is_left_out():
    truth, fallback = np.array([[3.0], [5.0], [9.0]]), np.array([[1.0], [1.0], [1.0]])
    drawn = np.array([[[np.nan], [np.nan]], [[4.0], [np.nan]], [[0.0], [0.0]]])
    square, filled = squares(truth, drawn, fallback, np.array([[True], [True], [False]]))
    assert square[0] == pytest.approx((3 - 1) ** 2 + (5 - 4) ** 2 / 2)
    assert filled.tolist() == [1]


def test_the_more_is_known_the_lower_the_error_and_the_last_value_is_the_worst(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "RECORDINGS", {"tiny": Recording("tiny", "", LOADED, steps=1000)})
    write(catalogue.RECORDINGS["tiny"], tmp_path)
    point = Evaluation("tiny", ("tiny",), window=6, horizon=15)
    (outcome,) = evaluate(
        point, (), (1, 15), Spending(origins=100), recordings=tmp_path, kept=tmp_path, tell=lambda _what, _done: None
    )
    rows = {(row["target"], row["step"]): row for row in floors(outcome, LOADED, 6)}
    for target in ("rps", "cpu"):
        assert rows[target, 15]["clairvoyant"] < rows[target, 15]["informed"] < 0.95
        assert rows[target, 15]["informed"] - 0.03 < rows[target, 15]["watching"] < 1
    for target in ("rps", "p95_ms", "cpu"):
        for step in (1, 15):
            assert rows[target, step]["clairvoyant"] < 0.95


ROW = {"target": "rps", "step": 15, "ridge": 0.96, "clairvoyant": 0.3, "informed": 0.6, "watching": 0.72}


def measured(method, value):
    return {
        "recording": "mesh-1",
        "kind": "all",
        "method": method,
        "target": "rps",
        "step": 15,
        "relative_rmse": [value, value, value],
    }


def test_the_summary_sets_the_means_beside_ridge_and_ours():
    rows = [ROW, ROW | {"clairvoyant": 0.5, "ridge": 0.92}]
    (row,) = summary(rows, [measured("ridge", 0.94), measured("gcn-gru", 0.88)])
    assert (row["ridge"], row["ours"], row["clairvoyant"]) == (0.94, 0.88, 0.4)
    assert row["watching_percent_under_ridge"] == pytest.approx(100 * (1 - 0.72 / 0.94), abs=0.01)
    assert table([row]).splitlines()[-1] == "| rps | 15 | 1 | 0.940 | 0.880 | 0.400 / 57 | 0.600 / 36 | 0.720 / 23 |"


def test_results_of_other_moments_are_refused():
    with pytest.raises(ValueError, match=r"results: ridge has 0\.93 at rps, step 15, and 0\.96 here: run"):
        summary([ROW], [measured("ridge", 0.93), measured("gcn-gru", 0.88)])
