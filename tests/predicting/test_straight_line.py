"""
The straight line beside the network: that it finds what is linear, that it is believed where it is right, and no further.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from builders.recordings import HALF_HOUR, averaged, delayed, recording
from tidecast_contract import features
from tidecast_contract.features import index_of
from tidecast_predictor.batch import assemble, is_late
from tidecast_predictor.calibrating import HeldOut, calibrate, share_of_least_error
from tidecast_predictor.config import Architecture
from tidecast_predictor.learning import solve_line
from tidecast_predictor.model import GcnGru
from tidecast_predictor.recording import Recording
from tidecast_predictor.sampling import Lesson, Sampler
from tidecast_predictor.scaling import SCALES
from tidecast_predictor.scores import spread
from tidecast_predictor.straight_line import LIMIT, StraightLine

FEATURES, WINDOW, HORIZON = 6, 16, 2
ARCHITECTURE = Architecture(HALF_HOUR, WINDOW, HORIZON, hidden=8, head=8)
REQUESTS, CPU = 0, index_of(features.CPU)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


class Moments:
    """A recording, the first part to learn from, the rest to look at."""

    def __init__(self, snapshot, share=0.8):
        self.steps = int(snapshot.steps * share)
        self.recording = Recording.of(snapshot)
        self.reference = self.recording.reference(self.steps, HORIZON)
        (training,) = self.recording.in_units(self.steps, FEATURES)
        self.unit = spread(training)
        self.origins = torch.arange(self.steps, snapshot.steps - HORIZON)

    def sampler(self):
        lesson = Lesson(self.recording, self.reference, self.steps, SCALES, self.unit)
        return Sampler([lesson], ARCHITECTURE, rows=64, seed=0)

    def material(self):
        starts, ends = self.origins - WINDOW + 1, torch.full((len(self.origins), 1), WINDOW - 1)
        return self.recording.material(starts, ends, reference=self.reference, steps=WINDOW, architecture=ARCHITECTURE)

    def came(self):
        return self.recording.targets(self.origins[:, None], ARCHITECTURE)

    def held_out(self):
        return HeldOut([(self.material(), self.came())], SCALES, self.unit)


def both(steps):
    """CPU beside the requests."""
    snapshot = averaged(steps)
    snapshot.values[..., CPU] = averaged(steps + 1).values[1:, :, REQUESTS] / 100
    return snapshot


def with_gaps(snapshot, share):
    values = snapshot.values.copy()
    values[np.random.default_rng(5).random(values.shape[:2]) < share] = np.nan
    return replace(snapshot, values=values)


def error_of_line(moments):
    """Of the requests one step ahead, in that of the latest level, of the line that is solved for."""
    line, batch = solved(moments), assemble(moments.material(), ARCHITECTURE)
    changes = batch.in_changes(moments.came())[..., REQUESTS, 0].abs()
    return float(errors(line, batch, moments).nanmean() / changes.nanmean())


def solved(moments):
    model = GcnGru(ARCHITECTURE).eval()
    solve_line(model, moments.sampler())
    return model.line


def examples(draws, *, wrong_where_not_late=0.0):
    for _ in range(12):
        draw = draws()
        batch = assemble(draw.material, ARCHITECTURE)
        late = torch.stack([is_late(batch.origin_NBPO, ARCHITECTURE, feature) for feature in range(FEATURES)], dim=-1)
        came = batch.in_changes(draw.truth)
        yield batch, batch.graph(), torch.where(late[..., None], came, came + wrong_where_not_late * 10)


def without_late_weights(line):
    line.late_weights_FDH.zero_()
    return line


def errors(line, batch, moments):
    """Of the requests one step ahead, in usual changes, (N, B, P)."""
    came = batch.in_changes(moments.came())
    return (line(batch, batch.graph()) - came)[..., REQUESTS, 0].abs()


def test_a_line_finds_how_overlapping_rates_follow_each_other():
    # Of the level of the newest steps the next one lies 0.8 of its usual distance away, at best.
    assert error_of_line(Moments(averaged(2000))) < 0.85


def test_a_line_sees_what_comes_along_the_calls():
    linked = delayed(1200)
    alone = replace(linked, calls=np.zeros((2, 0), np.int64), rates=np.zeros(0, np.float32))
    assert error_of_line(Moments(linked)) < 0.75 * error_of_line(Moments(alone))


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_line_is_solved_for_where_measurements_are_missing(share):
    assert error_of_line(Moments(with_gaps(averaged(2000), share))) < 0.9


@pytest.mark.parametrize(("course", "left"), [(averaged, 0.87), (delayed, 0.8)])
def test_how_things_go_on_from_a_missing_step_is_known_though_none_was_missing_before(course, left):
    whole, gappy = Moments(course(1200)), Moments(with_gaps(course(1200), 0.3))
    line, batch = solved(whole), assemble(gappy.material(), ARCHITECTURE)
    with_it, without = errors(line, batch, gappy), errors(without_late_weights(line), batch, gappy)
    late = is_late(batch.origin_NBPO, ARCHITECTURE, REQUESTS)
    assert with_it[late].nanmean() < left * without[late].nanmean()
    torch.testing.assert_close(with_it[~late], without[~late], rtol=0, atol=0, equal_nan=True)


def test_what_is_added_at_a_missing_step_is_learnt_at_such_moments_alone():
    moments, found = Moments(both(600)), []
    for share in (0.0, 1.0):
        line, sampler = StraightLine(ARCHITECTURE), moments.sampler()
        line.solve(examples(sampler.draw_whole), examples(sampler.draw_gappy, wrong_where_not_late=share))
        found.append(line.late_weights_FDH)
    torch.testing.assert_close(*found)
    assert (found[0][[REQUESTS, CPU]] != 0).any(dim=1).all()


def test_one_metric_is_late_by_itself():
    snapshot = both(300)
    snapshot.values[200::3, :, CPU] = np.nan
    line, batch = StraightLine(ARCHITECTURE), assemble(Moments(snapshot).material(), ARCHITECTURE)
    before = line(batch, batch.graph())
    line.late_weights_FDH.normal_()
    is_changed = (line(batch, batch.graph()) != before).any(dim=-1)
    assert torch.equal(is_changed[..., CPU], is_late(batch.origin_NBPO, ARCHITECTURE, CPU))
    assert is_changed[..., CPU].any()
    assert not is_changed[..., REQUESTS].any()


def test_steps_that_are_taken_away_to_learn_from_differ_from_service_to_service():
    sampler = Moments(both(600)).sampler()
    missing = torch.isnan(sampler.draw_gappy().material.z_BTNA)
    assert torch.equal(missing[..., REQUESTS], missing[..., CPU])
    gaps = missing[..., REQUESTS].float()
    assert gaps.mean() == pytest.approx(0.3, abs=0.05)
    assert gaps.mean(dim=(0, 1)) == pytest.approx(0.3, abs=0.1)
    assert 0.2 < gaps[:, :, 0][gaps[:, :, 1] == 1].mean() < 0.4
    assert not torch.isnan(sampler.draw_whole().material.z_BTNA[..., REQUESTS]).any()


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_one_moment_that_is_off_by_far_does_not_decide_the_line(share):
    usual, spiked = both(600), both(600)
    spiked.values[300, 0, REQUESTS] = 1e9
    before, after = (solved(Moments(with_gaps(each, share))) for each in (usual, spiked))
    moments = Moments(with_gaps(usual, 0.3))
    batch = assemble(moments.material(), ARCHITECTURE)
    worse = errors(after, batch, moments).nanmean() / errors(before, batch, moments).nanmean()
    assert worse < 1.1


def test_a_line_of_one_metric_is_not_moved_by_an_outage_of_another():
    line, whole = StraightLine(ARCHITECTURE), assemble(Moments(both(200)).material(), ARCHITECTURE)
    line.weights_FDH.normal_(std=0.1)
    snapshot = both(200)
    snapshot.values[150:, :, REQUESTS] = np.nan
    dark = assemble(Moments(snapshot).material(), ARCHITECTURE)
    said, of_dark = line(whole, whole.graph()), line(dark, dark.graph())
    torch.testing.assert_close(said[..., CPU, :], of_dark[..., CPU, :])
    assert not torch.allclose(said[..., REQUESTS, :], of_dark[..., REQUESTS, :])


def test_a_line_says_the_same_of_a_service_of_any_size():
    small, large = (Moments(recording(size * averaged(200).values[..., 0] / 50)) for size in (5e3, 5e6))
    line = StraightLine(ARCHITECTURE)
    line.weights_FDH.normal_(std=0.1)
    said = [line(batch, batch.graph()) for batch in (assemble(one.material(), ARCHITECTURE) for one in (small, large))]
    torch.testing.assert_close(*said, rtol=0.01, atol=0.01)


def test_a_line_that_is_not_solved_for_says_nothing_and_has_no_say():
    model, batch = GcnGru(ARCHITECTURE).eval(), assemble(Moments(averaged(100)).material(), ARCHITECTURE)
    assert (model.line(batch, batch.graph()) == 0).all()
    before = model(batch).quantiles_NBPFHQ
    model.line.weights_FDH.normal_()
    assert torch.equal(model(batch).quantiles_NBPFHQ, before)


def test_a_network_that_learns_is_not_mixed_with_the_line():
    model, batch = GcnGru(ARCHITECTURE).train(), assemble(Moments(averaged(100)).material(), ARCHITECTURE)
    before = model(batch).mean_NBPFH
    model.line.weights_FDH.normal_()
    model.line.shares_FH2.fill_(1.0)
    assert torch.equal(model(batch).mean_NBPFH, before)


def test_a_line_goes_no_further_than_its_limit():
    line, batch = StraightLine(ARCHITECTURE), assemble(Moments(averaged(100)).material(), ARCHITECTURE)
    line.weights_FDH.normal_(std=1000)
    said = line(batch, batch.graph())
    assert said.abs().max() == LIMIT


def test_of_a_full_share_median_and_mean_are_those_of_the_line_and_bands_keep_their_width():
    model, batch = GcnGru(ARCHITECTURE).eval(), assemble(Moments(averaged(100)).material(), ARCHITECTURE)
    model.line.weights_FDH.normal_(std=0.1)
    before = model(batch)
    model.line.shares_FH2.fill_(1.0)
    after, line = model(batch), model.line(batch, batch.graph())
    torch.testing.assert_close(after.quantiles_NBPFHQ[..., 1], line)
    torch.testing.assert_close(after.mean_NBPFH, line)
    torch.testing.assert_close(after.quantiles_NBPFHQ.diff(dim=-1), before.quantiles_NBPFHQ.diff(dim=-1))


def test_a_line_that_is_right_is_believed_where_the_network_knows_nothing():
    moments = Moments(averaged(2000))
    model = GcnGru(ARCHITECTURE).eval()
    solve_line(model, moments.sampler())
    calibrate(model, [moments.held_out()])
    assert (model.line.shares_FH2[REQUESTS] > 0.5).all()


def test_a_line_that_is_wrong_is_not_believed():
    moments = Moments(averaged(400))
    model = GcnGru(ARCHITECTURE).eval()
    model.line.weights_FDH.normal_(std=3)
    calibrate(model, [moments.held_out()])
    assert (model.line.shares_FH2[REQUESTS] < 0.1).all()


def test_a_line_that_gains_next_to_nothing_is_left_out():
    errors = torch.ones(21, 1, 2)
    errors[10] = torch.tensor([[0.996, 0.9]])
    known = torch.ones(1, 2)
    assert share_of_least_error([(errors[..., :1], known[:, :1])]).tolist() == [[0.0]]
    assert share_of_least_error([(errors[..., 1:], known[:, 1:])]).tolist() == [[0.5]]


def test_a_feature_that_was_never_measured_is_left_to_the_network():
    moments = Moments(averaged(400))
    model = GcnGru(ARCHITECTURE).eval()
    solve_line(model, moments.sampler())
    calibrate(model, [moments.held_out()])
    assert torch.isfinite(model.line.weights_FDH).all()
    assert (model.line.shares_FH2[1:] == 0).all()


def test_bands_are_stretched_around_the_median_that_is_said():
    moments = Moments(averaged(2000))
    model = GcnGru(ARCHITECTURE).eval()
    solve_line(model, moments.sampler())
    calibrate(model, [moments.held_out()])
    batch = assemble(moments.material(), ARCHITECTURE)
    said = model.calibrated(model(batch), batch)
    came = (moments.came() - batch.centre_NBPF[..., None]) / batch.scale_NF[:, None, None, :, None]
    inside = (said[..., 0] <= came) & (came <= said[..., -1])
    assert float(inside[..., REQUESTS, :].float().mean()) == pytest.approx(0.8, abs=0.02)


def test_without_moments_held_out_the_line_has_no_say():
    model = GcnGru(ARCHITECTURE).eval()
    model.line.shares_FH2.fill_(0.7)
    calibrate(model, [])
    assert (model.line.shares_FH2 == 0).all()
    assert (model.calibration == 1).all()


def test_a_service_that_was_never_measured_is_said_nothing_of():
    moments = Moments(recording(np.concatenate([averaged(400).values[..., 0], np.full((400, 1), np.nan)], axis=1)))
    model = GcnGru(ARCHITECTURE).eval()
    solve_line(model, moments.sampler())
    calibrate(model, [moments.held_out()])
    batch = assemble(moments.material(), ARCHITECTURE)
    assert torch.isfinite(model(batch).mean_NBPFH).all()
    assert batch.centre_NBPF[-1].isnan().all()
