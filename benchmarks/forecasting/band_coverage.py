"""
How often what comes true lies within p10 and p90, by feature, step ahead and load. SIMULATED recordings.

    .venv/bin/python benchmarks/forecasting/band_coverage.py                    # mesh-1, mesh-2, mesh-3
    .venv/bin/python benchmarks/forecasting/band_coverage.py mesh-1 --seconds 60

Each recording is parted as in the experiments. A model learns once for each seed, and its bands are counted in the test
part twice: `online`, corrected by what came true meanwhile, and `fixed`, as they were calibrated. Shares are taken in
each series alone, then their mean over the series of a feature, then over features; the pooled share is over all truths.

Load is the service's own requests per second, in thirds. At the origin: known when the forecast is made, so a band can
hold four of five in each third of what the service had in training. At the target: the moments of the test part that
turned out busy. That third is a part of what came true, and no forecast of requests can hold four of five in each: in
the highest third whatever is missed lies above p90.

A series with more than a tenth of its moments at one value, such as no errors or two pods, cannot be held four times of
five, for a whole tail may lie at one value. Such series are told apart, as `stepped`.

What is finished is kept in build/experiments/coverage: the same command goes on after an interruption.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import catalogue
import numpy as np
import torch
from covering import BANDS, LOADS, MOMENTS, Counts, Part, Tally, measure
from numpy.typing import NDArray
from recordings import DIRECTORY
from recordings import write as record

from tidecast_predictor.baselines.method import QUANTILES
from tidecast_predictor.evaluation.datasets import Dataset, read
from tidecast_predictor.evaluation.methods import METHODS
from tidecast_predictor.evaluation.ours import Settings
from tidecast_predictor.evaluation.runs import digest_of, key
from tidecast_predictor.evaluation.splits import Splitting
from tidecast_predictor.evaluation.tables import Table

OFFSETS = (1, 5, 15, 30)
HOW = ("mean", "pooled")
RESULT = Path("benchmarks/results/forecasting/band-coverage.json")
KEPT = Path("build/experiments/coverage")
_TIED = 0.1  # more of a series at one value may hold a whole tail
_LEAST = 20  # moments of a series, as everywhere in the evaluation; fewer tell nothing
_ALL = slice(None)
_CODE = ("covering", *(f"tidecast_predictor.evaluation.{name}" for name in ("splits", "scoring")))

Chosen = NDArray[np.bool_]
"""Series, (N, F)."""


def shares(part: Part, bands: str) -> dict[str, Any]:
    """All that is told of one part."""
    stepped = part.ties > _TIED
    return {"continuous": _told(part, bands, ~stepped), "stepped": _told(part, bands, stepped)}


def _told(part: Part, bands: str, chosen: Chosen) -> dict[str, Any]:
    tallies = part.tallies[bands]
    tally = tallies["origin"]
    return {
        "all": share_of(tally, chosen),
        "features": dict(_of_features(part.features, tally, chosen)),
        "steps": [share_of(tally, chosen, steps=_only(step)) for step in range(tally.counted.shape[2])],
        "load": {
            moment: {load: share_of(tallies[moment], chosen, thirds=_only(third)) for third, load in enumerate(LOADS)}
            for moment in MOMENTS
        },
    }


def _of_features(names: Sequence[str], tally: Tally, chosen: Chosen) -> Iterator[tuple[str, dict[str, Any]]]:
    for place, name in enumerate(names):
        own = chosen & (np.arange(len(names)) == place)
        series = int((own & (tally.counted.sum(axis=(2, 3)) >= _LEAST)).sum())
        if series:
            yield (
                name,
                {
                    "series": series,
                    "all": share_of(tally, own),
                    "below p10": _share(tally.below, tally.counted, own),
                    "above p90": _share(tally.above, tally.counted, own),
                    "ahead": {
                        str(step): share_of(tally, own, steps=_only(step - 1))
                        for step in OFFSETS
                        if step <= tally.counted.shape[2]
                    },
                },
            )


def share_of(tally: Tally, chosen: Chosen, *, steps: slice = _ALL, thirds: slice = _ALL) -> dict[str, float | None]:
    """
    What was covered in the chosen series: the mean over features of the mean over series, and pooled.

    Series with too few such moments are left out; None where that leaves nothing.
    """
    return _share(tally.covered[:, :, steps, thirds], tally.counted[:, :, steps, thirds], chosen)


def _share(some: Counts, counted: Counts, chosen: Chosen) -> dict[str, float | None]:
    some, counted = some.sum(axis=(2, 3)), counted.sum(axis=(2, 3))
    told = chosen & (counted >= _LEAST)
    if not told.any():
        return {"mean": None, "pooled": None}
    of_series = np.where(told, some / np.maximum(counted, 1), 0)
    held = told.any(axis=0)
    of_features = of_series.sum(axis=0)[held] / told.sum(axis=0)[held]
    pooled = some[told].sum() / counted[told].sum()
    return {"mean": round(float(of_features.mean()), 5), "pooled": round(float(pooled), 5)}


def _only(place: int) -> slice:
    return slice(place, place + 1)


def averaged(some: Sequence[Any]) -> Any:
    """Of things of one form the mean of each number in them; of what only some have, over those."""
    known = [one for one in some if one is not None]
    if not known:
        return None
    if isinstance(known[0], dict):
        names = list(dict.fromkeys(name for one in known for name in one))
        return {name: averaged([one.get(name) for one in known]) for name in names}
    if isinstance(known[0], list):
        return [averaged(each) for each in zip(*known, strict=True)]
    return round(sum(known) / len(known), 5)


def table(summary: Mapping[str, Any]) -> str:
    """In Markdown, percent: what is asked of bands first, features one by one last."""
    rows = [_row("all", summary, "continuous", "all")]
    for name, ends in (("lowest", min), ("highest", max)):
        ends_of = {bands: _end(summary[bands]["continuous"]["steps"], ends) for bands in BANDS}
        rows.append(_row(f"{name} of the steps ahead", ends_of))
    for moment in MOMENTS:
        rows += [_row(f"{load} load at the {moment}", summary, "continuous", "load", moment, load) for load in LOADS]
    for kind in ("continuous", "stepped"):
        for name, one in summary[BANDS[0]][kind]["features"].items():
            rows.append(_row(f"{name}, {kind}, {one['series']:g} series", summary, kind, "features", name, "all"))
            rows += [
                _row(f"{name}, {kind}, {step} ahead", summary, kind, "features", name, "ahead", step)
                for step in one["ahead"]
            ]
    columns = (f"{bands}, {how}" for bands in BANDS for how in HOW)
    return Table(("p10 to p90, percent", *columns), rows).markdown()


def _row(label: str, of_bands: Mapping[str, Any], *path: str) -> tuple[str, ...]:
    told = [reduce(getitem, path, of_bands[bands]) for bands in BANDS]
    shares = (one[how] for one in told for how in HOW)
    return (label, *("" if share is None else f"{100 * share:.1f}" for share in shares))


def _end(steps: Sequence[Mapping[str, Any]], end: Callable[..., Any]) -> dict[str, Any]:
    """The lowest or the highest of each way to take the mean."""
    return {how: end((step[how] for step in steps if step[how] is not None), default=None) for how in HOW}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures every recording with every seed, as far as that is not done yet, and writes the results."""
    parser = argparse.ArgumentParser(description="Counts how often bands hold.")
    parser.add_argument("names", nargs="*", default=["mesh-1", "mesh-2", "mesh-3"], help="of recordings")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--updates", type=int, default=1500)
    parser.add_argument("--seconds", type=float, default=120.0, help="processor time of one training at most")
    parser.add_argument("--origins", type=int, default=400, help="at most so many are tested at")
    parser.add_argument("--window", type=int, default=60)
    parser.add_argument("--horizon", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--recordings", type=Path, default=DIRECTORY)
    parser.add_argument("--kept", type=Path, default=KEPT)
    parser.add_argument("--out", type=Path, default=RESULT)
    flags = parser.parse_args(arguments)
    torch.set_num_threads(flags.threads)
    parts = []
    for name in flags.names:
        dataset = read(record(catalogue.RECORDINGS[name], flags.recordings)[0])
        parts += [_part(dataset, seed, flags) for seed in range(flags.seeds)]
    runs = [
        {"recording": part.recording, "seed": part.seed, "seconds of training": round(part.seconds, 1)}
        | {bands: shares(part, bands) for bands in BANDS}
        for part in parts
    ]
    summary = {bands: averaged([run[bands] for run in runs]) for bands in BANDS}
    asked = ("names", "seeds", "updates", "seconds", "origins", "window", "horizon", "threads")
    settings = {name: getattr(flags, name) for name in asked} | {"quantiles": QUANTILES}
    told = {"simulated": True, "settings": settings, "summary": summary, "runs": runs}
    flags.out.parent.mkdir(parents=True, exist_ok=True)
    flags.out.write_text(json.dumps(told, indent=1) + "\n")
    print(table(summary))


def _part(dataset: Dataset, seed: int, flags: argparse.Namespace) -> Part:
    """A finished part, or else a new one."""
    identity = {
        "data": dataset.digest,
        "seed": seed,
        "effort": [flags.updates, flags.seconds],
        "steps": [flags.window, flags.horizon],
        "origins": flags.origins,
        "code": digest_of((*METHODS["gcn-gru"].modules, *_CODE)),
    }
    path: Path = flags.kept / f"{key(identity)}.npz"
    if not path.exists():
        splitting = Splitting(flags.window, flags.horizon, test_origins=flags.origins)
        measure(dataset, splitting, Settings(flags.updates, flags.seconds), seed).write(path)
    return Part.read(path)


if __name__ == "__main__":
    main()
