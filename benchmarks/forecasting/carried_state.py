"""
Whether a state that is carried for a day forecasts as well as a full window does. SIMULATED: the shop under usual load.

    .venv/bin/python benchmarks/forecasting/carried_state.py

Trains one model as the predictor does, then lets it forecast the day that follows in both ways at the same moments.
Writes the ratios of the medians' errors, each series' error in units of its usual change, to results/forecasting.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from shop_days import STEP_SECONDS, STEPS_A_DAY, recording

from tidecast_contract.features import FORECAST_FEATURES
from tidecast_contract.snapshot import Snapshot
from tidecast_predictor.checkpoint import Checkpoint
from tidecast_predictor.config import TrainingSettings
from tidecast_predictor.fitting import fit
from tidecast_predictor.predicting import predict
from tidecast_predictor.scores import series_scale
from tidecast_predictor.streaming import Stream
from tidecast_predictor.windows import past_at

NOW = 1_800_014_400
OFFSETS = (1, 5, 15, 30)
RESULT = Path(__file__).parent.parent / "results" / "forecasting" / "carried-state.json"
_REFERENCE_STEPS = 60  # as the predictor keeps what is usual for an hour


def both_ways(
    trained: Checkpoint, whole: Snapshot, first: int, every: int
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """Origins, and the medians of the full window and of the carried state there, each (S, N, F, H)."""
    model = trained.model
    window, horizon = model.architecture.window_steps, model.architecture.horizon_steps
    middle = model.architecture.quantiles.index(0.5)
    past = past_at(whole, first, window)
    reference = past.reference(horizon, trained.pool)
    stream = Stream.begin(model, past, reference)
    origins, full, carried = [], [], []
    for origin in range(first + 1, whole.steps - horizon):
        past = past_at(whole, origin, window)
        if (origin - first) % _REFERENCE_STEPS == 0:
            reference = past.reference(horizon, trained.pool)
        stream = stream.advance(past, reference)
        if (origin - first) % every == 0:
            origins.append(origin)
            full.append(predict(model, past.material(reference, model.architecture))[:, 0, 0, ..., middle])
            carried.append(stream.forecast(past)[:, 0, 0, ..., middle])
    return np.array(origins), np.stack(full), np.stack(carried)


def compared(full: NDArray[np.float32], carried: NDArray[np.float32], hours: NDArray[np.float64]) -> dict[str, Any]:
    """The errors of both, and the ratio carried / full by offset, by feature and by how long it was carried."""

    def ratio(part: Any) -> float:
        known = np.isfinite(full[part]) & np.isfinite(carried[part])
        return round(float(carried[part][known].mean() / full[part][known].mean()), 4)

    by_feature = {
        feature.name: {str(h): ratio(np.s_[:, :, index, h - 1]) for h in OFFSETS}
        for index, feature in enumerate(FORECAST_FEATURES)
    }
    quarters = {f"{h}-{h + 6} h": ratio(np.s_[(hours > h) & (hours <= h + 6)]) for h in (0, 6, 12, 18)}
    return {
        "error of the full window": round(float(np.nanmean(full)), 5),
        "error of the carried state": round(float(np.nanmean(carried)), 5),
        "ratio": ratio(np.s_[:]),
        "by offset": {str(h): ratio(np.s_[..., h - 1]) for h in OFFSETS},
        "by feature and offset": by_feature,
        "by time carried": quarters,
    }


def measure(seed: int, flags: argparse.Namespace) -> dict[str, Any]:
    """One model, one day."""
    settings = TrainingSettings(seed=seed, updates=flags.updates)
    whole = recording(NOW, seed=seed, days=flags.days, future=1, horizon=settings.horizon_steps)
    known = whole.steps - settings.horizon_steps - STEPS_A_DAY
    training = replace(whole, end_time=NOW, values=whole.values[:known])
    began = time.monotonic()
    trained = fit(training, settings, progress=lambda _: None, deadline=began + 3600)
    seconds = time.monotonic() - began
    origins, full, carried = both_ways(trained, whole, known - 1, flags.every)
    ahead = origins[:, None] + np.arange(1, settings.horizon_steps + 1)
    truth = whole.values[ahead][..., : len(FORECAST_FEATURES)].transpose(0, 2, 3, 1)
    scale = series_scale(training.values[..., : len(FORECAST_FEATURES)], settings.horizon_steps // 2)
    unit = np.where(scale > 0, scale, np.nan)[..., None]
    errors = [np.abs(median - truth) / unit for median in (full, carried)]
    hours = (origins - known + 1) * STEP_SECONDS / 3600
    return {"seed": seed, "seconds of training": round(seconds, 1)} | compared(*errors, hours)


def main() -> None:
    """Measure each seed and write the results."""
    parser = argparse.ArgumentParser(description="Compares carried states with full windows.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--days", type=int, default=4, help="to learn from")
    parser.add_argument("--updates", type=int, default=600)
    parser.add_argument("--every", type=int, default=10, help="steps between two origins that are compared")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULT)
    flags = parser.parse_args()
    torch.set_num_threads(flags.threads)
    runs = []
    for seed in flags.seeds:
        runs.append(measure(seed, flags))
        print(json.dumps(runs[-1], indent=1), flush=True)
    task = {"days": flags.days, "updates": flags.updates, "every": flags.every, "simulated": True}
    flags.out.parent.mkdir(parents=True, exist_ok=True)
    flags.out.write_text(json.dumps({"task": task, "runs": runs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
