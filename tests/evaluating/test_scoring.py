"""
Scores: as they are defined, series by series, on the moments that count and on no other.
"""

import numpy as np
import pytest

from builders.tasks import series
from tidecast_predictor.baselines import Answer
from tidecast_predictor.evaluation.runs import Ground, Run
from tidecast_predictor.evaluation.scoring import (
    Errors,
    Moments,
    Truths,
    centres,
    chunks,
    expanded,
    repeated,
    targets,
    truth_at,
)
from tidecast_predictor.evaluation.summaries import Comparison, PartScores, Scores, median_over_series, reaches_of

HORIZON, SERVICES = 4, 3
ORIGINS = np.arange(50, 110)
REACHES = reaches_of([1, 4])


def recording():
    draw = np.random.default_rng(0)
    values = 100 + 20 * draw.normal(size=(200, SERVICES, 2))
    values[draw.random(values.shape) < 0.1] = np.nan
    return series(values)  # rps and p50_ms


def ground(of, counted=None):
    truth = truth_at(of, ORIGINS, HORIZON)
    counted = np.isfinite(truth) if counted is None else counted
    truths = Truths.nothing(of, HORIZON)
    truths.add(expanded(truth, of.features), repeated(counted, of.features), centres(of))
    return Ground(Moments.of([counted], int(np.isfinite(truth).sum())), truths)


def answer(*, spread=None, seed=1):
    draw = np.random.default_rng(seed)
    mean = (100 + 10 * draw.normal(size=(len(ORIGINS), SERVICES, 2, HORIZON))).astype(np.float32)
    median = mean + 1
    return Answer(mean, None if spread is None else np.stack([median - spread, median, median + spread], axis=-1))


def errors(of, said, against):
    sums = Errors.nothing(of, HORIZON)
    fallback = np.full(said.mean.shape, 90, np.float32)
    truth = truth_at(of, ORIGINS, HORIZON)
    sums.add(said, truth, against.moments.at(slice(None)), fallback, of.features)
    return sums


def scored(of, said, against=None):
    against = ground(of) if against is None else against
    return PartScores.of(errors(of, said, against), against, REACHES)


def test_errors_are_those_of_the_definition_at_one_step_and_over_several():
    of = recording()
    said = answer(spread=8)
    found, truth = scored(of, said), truth_at(of, ORIGINS, HORIZON)

    for place, steps in ((0, slice(0, 1)), (1, slice(3, 4)), (2, slice(0, 4))):
        true, mean, median = truth[:, 1, 0, steps], said.mean[:, 1, 0, steps], said.median[:, 1, 0, steps]
        known = np.isfinite(true)
        spread = ((true - true[known].mean()) ** 2)[known].sum()
        assert found.mae[1, 0, place] == pytest.approx(np.abs(true - median)[known].mean(), rel=1e-5)
        assert found.rmse[1, 0, place] == pytest.approx(np.sqrt(((true - mean) ** 2)[known].mean()), rel=1e-5)
        assert found.r2[1, 0, place] == pytest.approx(1 - ((true - mean) ** 2)[known].sum() / spread, rel=1e-4)


def test_coverage_and_quantile_loss_are_those_of_the_definition():
    of = recording()
    said = answer(spread=8)
    found, truth = scored(of, said), truth_at(of, ORIGINS, HORIZON)
    true, quantiles = truth[:, :, 0, 0], said.quantiles[:, :, 0, 0]
    known = np.isfinite(true)
    losses = [
        np.maximum(share * (true - quantiles[..., q]), (share - 1) * (true - quantiles[..., q]))
        for q, share in enumerate((0.1, 0.5, 0.9))
    ]

    inside = (quantiles[..., 0] <= true) & (true <= quantiles[..., 2])
    assert found.coverage[0, 0] == pytest.approx(inside[known].mean())
    assert found.crps[2, 0, 0] == pytest.approx(2 * np.nanmean(np.mean(losses, axis=0)[:, 2]), rel=1e-5)
    assert found.wql[2, 0, 0] == pytest.approx(found.crps[2, 0, 0] / np.nanmean(np.abs(true[:, 2])), rel=1e-5)


def test_without_quantiles_the_quantile_loss_is_the_absolute_error_and_nothing_is_covered():
    found = scored(recording(), answer())

    assert np.allclose(found.crps, found.mae, equal_nan=True)
    assert np.isnan(found.coverage).all()


def test_latencies_are_scored_on_log1p_too():
    of = recording()
    said = answer()
    true = truth_at(of, ORIGINS, HORIZON)[:, 0, 1, 0]

    assert targets(of.features) == ("rps", "p50_ms", "p50_ms:log1p")
    assert scored(of, said).mae[0, 2, 0] == pytest.approx(
        np.nanmean(np.abs(np.log1p(true) - np.log1p(said.mean[:, 0, 1, 0]))), rel=1e-4
    )


def test_a_moment_that_does_not_count_changes_nothing():
    of = recording()
    truth = truth_at(of, ORIGINS, HORIZON)
    counted = np.isfinite(truth) & (np.arange(len(ORIGINS)) % 2 == 0)[:, None, None, None]
    said = answer()
    before = scored(of, said, ground(of, counted))
    said.mean[1::2] = 1e9

    assert np.array_equal(before.rmse, scored(of, said, ground(of, counted)).rmse, equal_nan=True)


def test_where_there_is_no_answer_the_fallback_is_scored_and_counted():
    of = recording()
    said = answer()
    said.mean[:, 0] = np.nan
    said.mean[:, 1] = np.inf
    against = ground(of)
    sums = errors(of, said, against)
    truth = truth_at(of, ORIGINS, HORIZON)

    assert PartScores.of(sums, against, REACHES).mae[0, 0, 0] == pytest.approx(
        np.nanmean(np.abs(truth[:, 0, 0, 0] - 90))
    )
    assert np.array_equal(sums.filled[:2], against.truths.count[:2])
    assert not sums.filled[2].any()


def test_a_series_that_never_changes_or_is_hardly_known_has_no_score():
    of = recording()
    of.values[:, 0, 0] = 7
    of.values[20:, 1, 0] = np.nan
    found = scored(of, answer())

    assert np.isnan(found.mae[:2, 0]).all()
    assert np.isfinite(found.mae[2, 0]).all()


def test_sums_over_parts_of_the_origins_are_those_over_all():
    of = recording()
    whole, against, said = errors(of, answer(spread=8), ground(of)), ground(of), answer(spread=8)
    parts, truth = Errors.nothing(of, HORIZON), truth_at(of, ORIGINS, HORIZON)
    for at in (slice(0, 25), slice(25, 60)):
        part = Answer(said.mean[at], said.quantiles[at])
        parts.add(part, truth[at], against.moments.at(at), np.zeros_like(part.mean), of.features)

    assert np.allclose(whole.quantile, parts.quantile)
    assert np.array_equal(whole.covered, parts.covered)


def test_chunks_cover_all_origins_once(monkeypatch):
    monkeypatch.setattr("tidecast_predictor.evaluation.scoring._CHUNK_NUMBERS", 7 * SERVICES * 2 * HORIZON)
    found = list(chunks(ORIGINS, recording(), HORIZON))

    assert {part.stop - part.start for part in found[:-1]} == {7}
    assert np.array_equal(np.concatenate([ORIGINS[part] for part in found]), ORIGINS)


def test_the_median_over_series_leaves_out_those_without_a_score():
    values = np.array([4.0, np.nan, 1.0, 3.0, 2.0, np.nan])[:, None, None]

    assert median_over_series(values) == pytest.approx(2.5)
    assert np.isnan(median_over_series(np.full((3, 1, 1), np.nan))).all()


def compared(test_errors, validation_errors):
    """Methods that are off by a constant, as given, on a recording that is 0 but for noise."""
    of = recording()
    against = ground(of)
    truth = truth_at(of, ORIGINS, HORIZON)

    def sums(off):
        return errors(of, Answer(np.where(np.isfinite(truth), truth, 0) + np.float32(off)), against)

    runs = {name: Run(sums(off), sums(validation_errors[name]), 0, 0) for name, off in test_errors.items()}
    scores = {name: [Scores.of(run, (against, against), 2, REACHES)] for name, run in runs.items()}
    return Comparison.of(scores, ["last-value", "ridge"], against, REACHES)


def test_skill_is_against_the_simple_method_that_validation_chose_not_the_test():
    found = compared(
        {"last-value": 2.0, "ridge": 4.0, "ours": 1.0}, validation_errors={"last-value": 2.0, "ridge": 1.0, "ours": 1.0}
    )

    assert found.references["mae"][0][0] == "ridge"
    assert found.values["ours"]["skill_mae"][0, 0, 0] == pytest.approx(1 - 1 / 4, rel=1e-3)
    assert found.values["ours"]["relative_rmse"][0, 0, 0] == pytest.approx(1 / 2, rel=1e-3)
    assert found.values["ridge"]["skill_rmse"][0, 0, 0] == pytest.approx(0, abs=1e-3)
