"""
Ranks and means over recordings: equal ones share, and silence does not pay.
"""

from types import SimpleNamespace

import numpy as np
import pytest

from tidecast_predictor.evaluation.ranking import Compared, Spread, by_rank, mean_ranks
from tidecast_predictor.evaluation.summaries import reaches_of


def recording(name="one", **errors):
    """One feature at offsets 1 and 2, and one latency on log1p; a list of errors by seed for each method."""
    values = {
        method.replace("_", "-"): {
            f"relative_{measure}": np.array(seeds, float)[:, None, None]
            * np.array([[[1, 2, 0]], [[9, 9, 9]]]).reshape(1, 2, 3)
            for measure in ("mae", "rmse")
        }
        for method, seeds in errors.items()
    }
    outcome = SimpleNamespace(
        dataset=SimpleNamespace(name=name, series=SimpleNamespace(features=("p50_ms",))), reaches=reaches_of([1, 2])
    )
    return Compared(outcome, SimpleNamespace(values=values, series=np.ones((2, 3))))


def test_the_smaller_error_ranks_first_by_the_median_of_its_seeds():
    ranks = mean_ranks([recording(lucky=[0.1, 5, 5], steady=[2, 2, 2])], ["lucky", "steady"])["mae"]

    assert ranks == {"lucky": 2, "steady": 1}


def test_equal_errors_share_a_rank():
    assert mean_ranks([recording(a=[1], b=[1], c=[2])], ["a", "b", "c"])["rmse"] == {"a": 1.5, "b": 1.5, "c": 3}


def test_a_method_without_a_score_is_last():
    both = [recording(a=[1], b=[2]), recording("two", b=[2])]

    assert mean_ranks(both, ["a", "b"])["mae"] == {"a": 1.5, "b": 1.5}


def test_the_best_mean_rank_comes_first():
    assert by_rank({"mae": {"a": 2, "b": 1}, "rmse": {"a": 2, "b": 1}}) == ["b", "a"]


def test_a_mean_is_taken_seed_by_seed_over_offsets_alone():
    found = recording(a=[1, 3]).mean("a", "relative_mae")

    assert (found.low, found.median, found.high) == pytest.approx((1.5, 3.0, 4.5))


def test_a_spread_of_nothing_is_no_number():
    assert np.isnan(Spread.of([np.nan]).median)
