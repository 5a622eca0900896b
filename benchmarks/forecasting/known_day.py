"""
What a straight line gains where it is told the ordinary day of a load, and its bursts: SIMULATED.

    .venv/bin/python benchmarks/forecasting/known_day.py [NAME ...] --report FILE

Forecasts are of the CPU of the entries, where load arrives unmixed. Each line is a ridge regression on the logarithms of
the last hour, taken around a course that is taken away before and added again after: none; what the days before had at
that hour, as anyone can know it; the true day, with its week and campaigns; the true day and all bursts, also those to
come, which nobody can know. Beside them ridge on 12 steps and the time of day, as the experiments have it. Told is the
RMSE in that of last value in the last fifth, the mean over entries.
"""

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import catalogue
import numpy as np
from meshes import ByEntry, load_of
from numpy.typing import NDArray
from observing import STEP_SECONDS
from recordings import DIRECTORY, write

from tidecast_simulator.load import Bursts, Noise, Product
from tidecast_simulator.randomness import Floats

HORIZONS = (1, 15, 30)
LAGS = 60
_RIDGE_LAGS = 12
_DAY = 86_400 // STEP_SECONDS
_BESIDE = 5
_STRENGTH = 3.0

Line = Callable[[Floats], Floats]


def known_day(path: Path, load: ByEntry) -> list[dict[str, float | str]]:
    """A row for each entry, horizon and course of a recording, given its load."""
    with np.load(path, allow_pickle=False) as file:
        data, times = file["data"], file["time"].astype(np.float64)
        names, services = [str(name) for name in file["features"]], [str(name) for name in file["nodes"]]
    rows: list[dict[str, float | str]] = []
    for entry, shape in load.shapes.items():
        if entry not in services or not isinstance(shape, Product):
            continue
        load_seen = _filled(data[:, services.index(entry), names.index("cpu")].astype(np.float64))
        for course, errors in _errors(load_seen, _courses(np.log(load_seen), shape, times, entry)).items():
            rows += [{"entry": entry, "course": course, "horizon": h, "relative_rmse": e} for h, e in errors.items()]
    return rows


def _courses(seen: Floats, shape: Product, times: Floats, entry: str) -> dict[str, Floats]:
    """By name, on the scale of logarithms; a step tells of the minute before it."""
    middle = times - STEP_SECONDS / 2

    def true(without: tuple[type, ...]) -> Floats:
        factors = [part.factor(middle, entry) for part in shape.shapes if not isinstance(part, without)]
        return np.log(np.prod(factors, axis=0))

    return {
        "none": np.zeros_like(seen),
        "days before": _days_before(seen),
        "true day": true((Bursts, Noise)),
        "true day, bursts foreseen": true((Noise,)),
    }


def _days_before(seen: Floats) -> Floats:
    """The mean of the days before at that minute and five to both sides; from the second day on."""
    kernel = np.ones(2 * _BESIDE + 1)
    smooth = np.convolve(seen, kernel, "same") / np.convolve(np.ones_like(seen), kernel, "same")
    before = np.zeros_like(seen)
    for step in range(_DAY, len(seen)):
        before[step] = smooth[step % _DAY : step - _DAY + 1 : _DAY].mean()
    return before


def _errors(seen: Floats, courses: Mapping[str, Floats]) -> dict[str, dict[int, float]]:
    """By course and horizon, in the RMSE of last value."""
    steps, cut = len(seen), len(seen) * 4 // 5
    found: dict[str, dict[int, float]] = {name: {} for name in ("ridge", *courses)}
    for horizon in HORIZONS:
        origins = np.arange(2 * _DAY, steps - horizon)
        training, test = origins[origins + horizon < cut], origins[origins >= cut]
        truth = seen[test + horizon]
        usual = _rmse(seen[test], truth)
        given = [_with_clock(seen, at, horizon) for at in (training, test)]
        found["ridge"][horizon] = _rmse(_ridge(given[0], seen[training + horizon])(given[1]), truth) / usual
        logs = np.log(seen)
        for name, course in courses.items():
            around = logs - course
            before, now = (_lags(around, at, LAGS) for at in (training, test))
            line = _ridge(before, around[training + horizon])
            # The mean of a logarithm is not the logarithm of the mean.
            lift = float(np.exp(around[training + horizon] - line(before)).mean())
            found[name][horizon] = _rmse(np.exp(line(now) + course[test + horizon]) * lift, truth) / usual
    return found


def _with_clock(seen: Floats, at: NDArray[np.int64], horizon: int) -> Floats:
    hours = 2 * np.pi * ((at + horizon) % _DAY) / _DAY
    clock = [wave(turns * hours) for turns in (1, 2, 3) for wave in (np.sin, np.cos)]
    return np.concatenate([_lags(seen, at, _RIDGE_LAGS), np.stack(clock, axis=1)], axis=1)


def _lags(values: Floats, at: NDArray[np.int64], count: int) -> Floats:
    return values[at[:, None] - np.arange(count)]


def _ridge(x: Floats, y: Floats) -> Line:
    """Hoerl and Kennard, 1970, on standardised regressors."""
    mean, spread, level = x.mean(axis=0), x.std(axis=0) + 1e-9, float(y.mean())
    z = (x - mean) / spread
    weights = np.linalg.solve(z.T @ z + _STRENGTH * np.eye(z.shape[1]), z.T @ (y - level))
    return lambda given: np.asarray((given - mean) / spread @ weights + level)


def _rmse(said: Floats, truth: Floats) -> float:
    return float(np.sqrt(np.square(said - truth).mean()))


def _filled(values: Floats) -> Floats:
    """A straight line over what was not measured; positive, for a logarithm."""
    known = np.flatnonzero(np.isfinite(values))
    return np.maximum(np.interp(np.arange(len(values)), known, values[known]), 1e-3)


def main() -> None:
    """Write the report and print the means."""
    parser = argparse.ArgumentParser(description="What a straight line gains where it is told the ordinary day.")
    parser.add_argument("names", nargs="*", default=[f"mesh-{plan.seed}" for plan in catalogue.MESHES])
    parser.add_argument("--report", type=Path)
    flags = parser.parse_args()
    rows = []
    for name in flags.names:
        recording = catalogue.RECORDINGS[name]
        path, _ = write(recording, DIRECTORY)
        rows += [{"recording": name, **row} for row in known_day(path, load_of(recording.plan))]
    for course in dict.fromkeys(row["course"] for row in rows):
        means = [
            np.mean([row["relative_rmse"] for row in rows if (row["course"], row["horizon"]) == (course, horizon)])
            for horizon in HORIZONS
        ]
        print(f"{course:28}", *(f"{mean:.3f}" for mean in means))
    if flags.report:
        flags.report.write_text(json.dumps({"simulated": True, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
