"""
What days of history are worth, from one weekday to another and on a first weekend. SIMULATED: the shop under usual load.

    .venv/bin/python benchmarks/forecasting/days_of_history.py

At each date a model is trained as the predictor does, on the days before it, and forecasts requests per second in the
days after it, every ten minutes. Told is its error in that of last value, the median over services and the worst. What
was measured before the date is all that it has of the days before.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from shop_days import STEPS_A_DAY, recording

from tidecast_predictor.config import TrainingSettings
from tidecast_predictor.fitting import fit
from tidecast_predictor.predicting import predict
from tidecast_predictor.windows import past_at, recorded

DATES = ("2027-01-15T12:00", "2027-01-31T19:00", "2027-02-05T16:00", "2027-02-21T13:00")
OFFSETS = (15, 30)
SPANS = (1, 5)
RESULT = Path(__file__).parent.parent / "results" / "forecasting" / "days-of-history.json"


def measure(date: str, days: int, seed: int) -> dict[str, Any]:
    """One model: its errors in those of last value after *date*, for each offset and span of days."""
    settings = TrainingSettings(seed=seed, updates=600)
    now = int(datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp())
    whole = recording(now, seed=seed, days=days, future=SPANS[-1], horizon=settings.horizon_steps)
    known = whole.steps - settings.horizon_steps - SPANS[-1] * STEPS_A_DAY
    history = replace(whole, end_time=now, values=whole.values[:known])
    began = time.monotonic()
    trained = fit(history, settings, progress=lambda _: None, deadline=began + 3600)
    seconds, architecture = time.monotonic() - began, trained.model.architecture
    origins = np.arange(known - 1, whole.steps - settings.horizon_steps - 1, 10)
    medians = []
    for origin in origins.tolist():
        past = replace(past_at(whole, origin, settings.window_steps), lookup=recorded(history))
        reference = past.reference(settings.horizon_steps, trained.pool)
        medians.append(predict(trained.model, past.material(reference, architecture))[:, 0, 0, 0, :, 1])
    requests, after = whole.values[..., 0], (origins - known + 1) / STEPS_A_DAY
    told: dict[str, Any] = {"date": date, "days": days, "seed": seed, "seconds of training": round(seconds, 1)}
    for offset in OFFSETS:
        truth, last = requests[origins + offset], requests[origins]
        errors = [np.abs(said - truth) for said in (np.stack(medians)[:, :, offset - 1], last)]
        counted = np.isfinite(errors[0] + errors[1])
        for span in SPANS:
            chosen = counted & (after < span)[:, None]
            called = chosen.any(axis=0)
            of_model, of_last = (np.where(chosen, error, 0).sum(axis=0)[called] for error in errors)
            ratio = of_model / of_last
            told[f"{offset} minutes, {span} days"] = {
                "median": round(float(np.median(ratio)), 3),
                "worst": round(float(ratio.max()), 3),
                "worse than last value": int((ratio >= 1).sum()),
            }
    return told


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure each date with each length of history and write the results."""
    parser = argparse.ArgumentParser(description="Compares lengths of history.")
    parser.add_argument("--dates", nargs="+", default=list(DATES), help="UTC, such as 2027-02-05T16:00")
    parser.add_argument("--days", type=int, nargs="+", default=[4, 14])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULT)
    flags = parser.parse_args(arguments)
    torch.set_num_threads(flags.threads)
    runs = []
    for days in flags.days:
        for date in flags.dates:
            runs.append(measure(date, days, flags.seed))
            print(json.dumps(runs[-1]), flush=True)
    flags.out.parent.mkdir(parents=True, exist_ok=True)
    flags.out.write_text(json.dumps({"simulated": True, "runs": runs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
