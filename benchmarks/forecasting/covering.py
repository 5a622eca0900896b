"""
Counts how often what came true lay within p10 and p90: in each series alone, by step ahead and by load.

Shapes: `T` steps, `S` origins, `N` services, `F` features, `H` horizon steps, `Q` quantiles, `L` thirds of load and what
has none.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.bands import falls_below, rises_above
from tidecast_predictor.baselines.method import Answer
from tidecast_predictor.evaluation.datasets import Dataset
from tidecast_predictor.evaluation.ours import GcnGruMethod, Settings
from tidecast_predictor.evaluation.scoring import truth_at
from tidecast_predictor.evaluation.splits import Splitting, split

BANDS = ("online", "fixed")
"""With the step that corrects bands by what came true meanwhile, and without."""
LOADS = ("low", "middle", "high")
MOMENTS = ("origin", "target")
"""At which the load is taken."""
_NO_LOAD = len(LOADS)
_COUNTS = ("below", "above", "counted")

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """
    Truths against bands, (N, F, H, L).

    Attributes:
        below: Truths below p10.
        above: Truths above p90.
        counted: Known truths.
    """

    below: Counts
    above: Counts
    counted: Counts

    @classmethod
    def of(cls, quantiles: NDArray[np.float32], truth: NDArray[np.float32], thirds: NDArray[np.int64]) -> Self:
        """Of quantiles (S, N, F, H, Q), truths (S, N, F, H), NaN where unknown, and thirds (S, N, H)."""
        known = np.isfinite(truth)
        sides = (falls_below(quantiles[..., 0], truth), rises_above(quantiles[..., -1], truth), known)
        among = [(thirds == third)[:, :, None] & known for third in range(_NO_LOAD + 1)]
        return cls(*(np.stack([(side & one).sum(axis=0) for one in among], axis=-1) for side in sides))

    @property
    def covered(self) -> Counts:
        """Truths from p10 to p90."""
        return self.counted - self.below - self.above


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """
    One recording with one seed.

    Attributes:
        recording: Its name.
        seed: Of the learning.
        features: Names of the F features.
        seconds: Wall time of learning.
        ties: Share of the most frequent value in each series' test part, (N, F).
        tallies: By `BANDS`, then by `MOMENTS`.
    """

    recording: str
    seed: int
    features: tuple[str, ...]
    seconds: float
    ties: NDArray[np.float64]
    tallies: Mapping[str, Mapping[str, Tally]]

    def write(self, path: Path) -> None:
        """Keeps it; never half of it."""
        counts = {
            f"{bands}.{moment}.{name}": getattr(tally, name)
            for bands, tallies in self.tallies.items()
            for moment, tally in tallies.items()
            for name in _COUNTS
        }
        told = {"recording": self.recording, "seed": self.seed, "features": self.features, "seconds": self.seconds}
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".part")
        with beside.open("wb") as file:
            np.savez_compressed(file, told=np.array(json.dumps(told)), ties=self.ties, **counts)
        beside.replace(path)

    @classmethod
    def read(cls, path: Path) -> Self:
        """What was kept."""
        with np.load(path, allow_pickle=False) as file:
            held = {name: file[name] for name in file.files}
        told = json.loads(str(held["told"]))
        tallies = {
            bands: {moment: Tally(*(held[f"{bands}.{moment}.{name}"] for name in _COUNTS)) for moment in MOMENTS}
            for bands in BANDS
        }
        return cls(**(told | {"features": tuple(told["features"])}), ties=held["ties"], tallies=tallies)


def measure(dataset: Dataset, splitting: Splitting, settings: Settings, seed: int) -> Part:
    """
    Learns once, and counts in the test part with the online step and without.

    Every known truth counts once for each origin and step. The thirds of the load at the origin are those of the
    training part, the thirds of the load at the target those of the test part.
    """
    parted = split(dataset.series, splitting)
    series, origins, task = parted.series, parted.test, parted.task
    began = time.monotonic()
    fitted: Any = GcnGruMethod(settings=settings).fit([task], seed=seed, progress=lambda _: None)
    seconds = time.monotonic() - began
    truth = truth_at(series, origins, task.horizon)
    rps = series.features.index("rps")
    requests = series.values[..., rps]
    thirds = {
        "origin": thirds_of(requests[origins, :, None], requests[: task.training_steps]).repeat(task.horizon, axis=2),
        "target": thirds_of(truth[:, :, rps], requests[parted.test_begin :]),
    }
    tallies = {}
    for bands in BANDS:
        method = replace(fitted.method, online=bands == "online")
        # All origins at once: the online step begins anew with every call.
        answer: Answer = replace(fitted, method=method).forecast(
            series, origins, window=task.window, horizon=task.horizon
        )
        assert answer.quantiles is not None  # noqa: S101 - this method has them
        tallies[bands] = {moment: Tally.of(answer.quantiles, truth, thirds[moment]) for moment in MOMENTS}
    ties = ties_of(series.values[parted.test_begin :])
    return Part(dataset.name, seed, series.features, seconds, ties, tallies)


def thirds_of(loads: NDArray[np.float32], among: NDArray[np.float32]) -> NDArray[np.int64]:
    """
    In which third of a service's own loads each load lies: 0, 1 or 2; 3 where that is not known.

    Args:
        loads: (S, N, ...), NaN where unknown.
        among: Whose thirds they are, (T, N).
    """
    thirds = np.full(loads.shape, _NO_LOAD, np.int64)
    for place, column in enumerate(among.T):
        known = column[np.isfinite(column)]
        if known.size:
            own = loads[:, place]
            borders = np.quantile(known, (1 / 3, 2 / 3))
            thirds[:, place] = np.where(np.isfinite(own), (own[..., None] > borders).sum(axis=-1), _NO_LOAD)
    return thirds


def ties_of(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """The share of the most frequent value in each series of (T, N, F); 0 where nothing is known."""
    ties = np.zeros(values.shape[1:])
    for place in np.ndindex(*ties.shape):
        column = values[:, *place]
        known = column[np.isfinite(column)]
        if known.size:
            ties[place] = np.unique(known, return_counts=True)[1].max() / known.size
    return ties
