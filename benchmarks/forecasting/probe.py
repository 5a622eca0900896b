"""
Where the past of a service's neighbours tells a straight line more than its own past does, and how much.

    .venv/bin/python benchmarks/forecasting/probe.py [NAME ...] --report FILE

For every service a ridge regression of its own, on the last 12 steps of itself and the time of day; the same with its
callers' and callees' last 12 steps; and with those of neighbours that are not its own. All settings are chosen on a
validation part; the test part is the last fifth. Told is by how much the neighbours lower the RMSE, the median over the
services of a kind; a placebo should lower it by nothing.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import catalogue
import numpy as np
from numpy.typing import NDArray
from recordings import DIRECTORY, write

from tidecast_simulator.randomness import Floats

LAGS = 12
HORIZONS = (1, 5, 15, 30)
STRENGTHS = (10.0, 100.0, 1000.0, 10_000.0)
TARGETS = {"rps": ("rps", "p95_ms", "cpu"), "p95_ms": ("rps", "p95_ms", "cpu")}
_DAY_SECONDS = 86_400
# Between the origins that are learnt from and tested at.
_STRIDE = 3


def probe(path: Path) -> list[dict[str, Any]]:
    """A row for each target, horizon and kind of service of a recording."""
    with np.load(path, allow_pickle=False) as file:
        data, times, edges, weights = (file[key] for key in ("data", "time", "edges", "edge_weight"))
        names, meta = [str(name) for name in file["features"]], json.loads(str(file["meta"]))
    standard = _standardised(data.astype(np.float64), names, len(times) * 6 // 10)
    filled = np.nan_to_num(_carried(standard))
    order = np.random.default_rng(len(edges)).permutation(data.shape[1])
    groups = {"all": sorted({int(p) for places in meta["groups"].values() for p in places}), **meta["groups"]}
    rows = []
    for target, used in TARGETS.items():
        columns = [names.index(name) for name in used]
        own = filled[:, :, columns]
        near = np.concatenate([_mean_of(filled[:, :, columns], edges[:, ::way], weights) for way in (1, -1)], axis=2)
        inputs = {"own": None, "neighbours": near, "placebo": near[:, order]}
        truth = standard[:, :, names.index(target)]
        for horizon in HORIZONS:
            errors = {name: _errors(own, more, truth, times, horizon) for name, more in inputs.items()}
            rows += _told({"recording": meta["name"], "target": target, "horizon": horizon}, errors, groups)
    return rows


def _told(
    where: Mapping[str, Any], errors: Mapping[str, Floats], groups: Mapping[str, list[int]]
) -> list[dict[str, Any]]:
    rows = []
    for kind, places in groups.items():
        scored = [place for place in places if np.isfinite(errors["own"][place])]
        if scored:
            gains = {
                name: float(np.round(100 * (1 - np.median(errors[name][scored] / errors["own"][scored])), 2))
                for name in ("neighbours", "placebo")
            }
            rmse = float(np.round(np.median(errors["own"][scored]), 3))
            rows.append({**where, "kind": kind, "services": len(scored), "own_rmse": rmse, "percent_lower": gains})
    return rows


def _errors(own: Floats, more: Floats | None, truth: Floats, times: NDArray[np.int64], horizon: int) -> Floats:
    """RMSE in the test part of each service, in units of its spread, of shape (N,); NaN where too little is known."""
    steps, services = truth.shape
    origins = np.arange(LAGS - 1, steps - horizon, _STRIDE)
    lags = origins[:, None] - np.arange(LAGS)
    hours = 2 * np.pi * (times[origins + horizon] % _DAY_SECONDS) / _DAY_SECONDS
    clock = np.stack([np.sin(hours), np.cos(hours), np.sin(2 * hours), np.cos(2 * hours), np.ones(len(hours))], axis=1)
    ahead = origins + horizon
    training = ahead < steps * 6 // 10
    validation = (origins >= steps * 6 // 10) & (ahead < steps * 8 // 10)
    test = origins >= steps * 8 // 10
    errors = np.full(services, np.nan)
    for place in range(services):
        parts = [own[lags, place].reshape(len(origins), -1), clock]
        parts += [] if more is None else [more[lags, place].reshape(len(origins), -1)]
        x, y = np.concatenate(parts, axis=1), truth[ahead, place]
        known = np.isfinite(y)
        fit, choose, score = (known & part for part in (training, validation, test))
        if min(fit.sum(), choose.sum(), score.sum()) < 100 or np.ptp(y[score]) < 1e-9:
            continue
        moments, mixed = x[fit].T @ x[fit], x[fit].T @ y[fit]
        lines = [np.linalg.solve(moments + strength * np.eye(len(moments)), mixed) for strength in STRENGTHS]
        best = min(lines, key=lambda line: float(np.square(x[choose] @ line - y[choose]).mean()))
        errors[place] = np.sqrt(np.square(x[score] @ best - y[score]).mean())
    return errors


def _standardised(data: Floats, names: Sequence[str], steps: int) -> Floats:
    """Latencies as logarithms; each series with mean 0 and variance 1 in the first *steps*."""
    scaled = data.copy()
    for column, name in enumerate(names):
        if name.endswith("_ms"):
            scaled[..., column] = np.log(np.maximum(data[..., column], 1e-3))
    known = np.isfinite(scaled[:steps])
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, scaled[:steps], 0).sum(axis=0) / count
    spread = np.sqrt(np.where(known, np.square(scaled[:steps] - mean), 0).sum(axis=0) / count)
    return np.asarray((scaled - mean) / np.where(spread > 1e-9, spread, 1.0))


def _carried(values: Floats) -> Floats:
    """With the last known value in the place of what is missing; NaN before the first."""
    known = np.where(np.isfinite(values), np.arange(len(values))[:, None, None], 0)
    return np.take_along_axis(values, np.maximum.accumulate(known, axis=0), axis=0)


def _mean_of(values: Floats, edges: NDArray[np.int32], weights: NDArray[np.float32]) -> Floats:
    """For each service the mean of those it is the second end of a call of, weighted by its requests."""
    share = np.zeros((values.shape[1], values.shape[1]))
    np.add.at(share, (edges[:, 1], edges[:, 0]), weights)
    share /= np.maximum(share.sum(axis=1, keepdims=True), 1e-9)
    return np.einsum("mn,tnf->tmf", share, values, optimize=True)


def main() -> None:
    """Probes recordings, five meshes if none is named."""
    parser = argparse.ArgumentParser(description="What neighbours tell a straight line.")
    parser.add_argument("names", nargs="*", default=[f"mesh-{plan.seed}" for plan in catalogue.MESHES])
    parser.add_argument("--recordings", type=Path, default=DIRECTORY)
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_args()
    rows = []
    for name in arguments.names:
        path, _ = write(catalogue.RECORDINGS[name], arguments.recordings)
        rows += probe(path)
        for row in rows:
            if row["recording"] == name and row["horizon"] in (5, 15, 30):
                gains = row["percent_lower"]
                print(
                    f"{name:8} {row['target']:7} {row['horizon']:3} {row['kind']:9} {row['services']:3} "
                    f"own {row['own_rmse']:.3f}, neighbours {gains['neighbours']:+.1f} %, placebo {gains['placebo']:+.1f} %",
                    flush=True,
                )
    if arguments.report:
        arguments.report.parent.mkdir(parents=True, exist_ok=True)
        arguments.report.write_text(json.dumps({"simulated": True, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
