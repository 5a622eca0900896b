"""
Runs every method on every recording, as far as that is not done yet, under the same rules.

What no method can get around: in `fit` the series ends with the known part; what is forecast from a series that ends at
an origin must be what is forecast there from the whole; and what is not answered counts as the last value.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from tidecast_predictor.baselines.method import QUANTILES, Answer, CannotForecast, Fitted, Series
from tidecast_predictor.evaluation.datasets import Dataset
from tidecast_predictor.evaluation.methods import Effort, Entry
from tidecast_predictor.evaluation.runs import Ground, Identity, Run, Shelf, digest_of, key
from tidecast_predictor.evaluation.scoring import (
    Errors,
    Moments,
    Truths,
    centres,
    chunks,
    expanded,
    repeated,
    truth_at,
)
from tidecast_predictor.evaluation.splits import Split, Splitting, cut, split
from tidecast_predictor.evaluation.summaries import LAST_VALUE, Outcome, Reach, Scores

logger = logging.getLogger(__name__)

Tell = Callable[[str, float], None]
"""Is told what is being done, and how many runs of the recording are done, parts of one included."""

_CODE = (
    "tidecast_contract.bands",
    "tidecast_predictor.baselines.method",
    *(f"tidecast_predictor.evaluation.{n}" for n in ("splits", "scoring")),
)
_LEARNING = 0.9  # of a run; the rest is answering
_CHECKED_ORIGINS = 32
_TOLERANCE = 1e-3  # of what is usual in a feature; less is the order of floating point sums


class LooksAhead(Exception):
    """A forecast changes when what comes after its origin is taken away; the text says whose and where."""


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What is to be run.

    Attributes:
        splitting: How recordings are parted.
        methods: By name, those asked for.
        simple: By name, those that skill is measured against; they are always run, last value among them.
        seeds: How many each method that learns by chance is given.
        effort: What a network may spend.
        reaches: The steps that scores are about.
    """

    splitting: Splitting
    methods: Mapping[str, Entry]
    simple: Mapping[str, Entry]
    seeds: int
    effort: Effort
    reaches: tuple[Reach, ...]

    @property
    def everything(self) -> dict[str, Entry]:
        """All that is run, the simple ones first."""
        return {**self.simple, **{name: entry for name, entry in self.methods.items() if name not in self.simple}}

    def seeds_of(self, entry: Entry) -> int:
        """How often a method is run: those without chance once."""
        return 1 if entry.simple else self.seeds

    @property
    def runs(self) -> int:
        """How many runs one recording takes."""
        return sum(self.seeds_of(entry) for entry in self.everything.values())


def run(dataset: Dataset, plan: Plan, shelf: Shelf, tell: Tell) -> Outcome:
    """
    Run what *plan* asks for on one recording.

    A method that fails is reported and the others go on, unless it is a simple one, which all are compared with.

    Raises:
        RecordingTooShort: If the recording cannot be parted.
        CannotForecast: If a simple method cannot forecast it.
    """
    # With TF32, which cuDNN has on by default, a GPU's last digits depend on how many origins are asked for at once: that
    # would look like foresight, and numbers would not be those of a processor.
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        return _run(dataset, plan, shelf, tell)


def _run(dataset: Dataset, plan: Plan, shelf: Shelf, tell: Tell) -> Outcome:
    bench = _Bench(dataset, split(dataset.series, plan.splitting), plan, shelf, tell)
    grounds = bench.grounds()
    outcome = Outcome(dataset, bench.split, grounds[0], tuple(plan.simple), plan.reaches)
    for name, entry in plan.everything.items():
        scores = []
        try:
            for seed in range(plan.seeds_of(entry)):
                finished = bench.run(name, entry, seed, grounds)
                scores.append(Scores.of(finished, grounds, len(dataset.series.features), plan.reaches))
        except CannotForecast as error:
            if name in plan.simple:
                raise
            outcome.failures[name] = f"cannot: {error}"
        except OSError:  # nothing more can be kept: that is no fault of the method
            raise
        except Exception as error:  # hours of other runs must not be lost with this one
            if name in plan.simple:
                raise
            logger.exception("%s failed on %s", name, dataset.name)
            outcome.failures[name] = f"failed: {type(error).__name__}: {error}"
        if name not in outcome.failures:
            outcome.scores[name] = scores
    return outcome


@dataclass(slots=True)
class _Bench:
    """One recording, parted, with what has been learnt on it in this process."""

    dataset: Dataset
    split: Split
    plan: Plan
    shelf: Shelf
    tell: Tell
    learnt: dict[tuple[str, int], tuple[Fitted, float]] = field(default_factory=dict)
    done: int = 0

    @property
    def parts(self) -> tuple[tuple[Series, NDArray[np.int64]], ...]:
        """Of the test and of the validation: what may be seen, and where it is scored."""
        return ((self.split.series, self.split.test), (self.split.task.series, self.split.validation))

    def grounds(self) -> tuple[Ground, Ground]:
        """What counts in the test and in the validation part."""
        identity = self._identity_of_grounds()
        held = self.shelf.grounds(identity)
        if held is None:
            fitted = [self._fitted(name, entry, 0) for name, entry in self.plan.simple.items()]
            test, validation = (self._ground(series, origins, fitted) for series, origins in self.parts)
            self.shelf.put_grounds(identity, test, validation)
            held = (test, validation)
        return held

    def run(self, name: str, entry: Entry, seed: int, grounds: tuple[Ground, Ground]) -> Run:
        """A finished run, or else a new one."""
        identity = {
            "grounds": key(self._identity_of_grounds()),
            "method": name,
            "seed": seed,
            "code": digest_of(entry.modules),
            "effort": None if entry.simple else [self.plan.effort.updates, self.plan.effort.seconds],
        }
        finished = self.shelf.run(identity)
        if finished is None:
            fitted = self._fitted(name, entry, seed)
            began = time.monotonic()
            errors = [
                self._errors(name, fitted, part, ground.moments)
                for part, ground in zip(self.parts, grounds, strict=True)
            ]
            finished = Run(errors[0], errors[1], self.learnt[name, seed][1], time.monotonic() - began)
            self.shelf.put_run(identity, finished)
        if not entry.simple:
            self.learnt.pop((name, seed), None)
        self.done += 1
        self.tell(f"{self.dataset.name}: {name}", self.done)
        return finished

    def _identity_of_grounds(self) -> Identity:
        parted = self.plan.splitting
        return {
            "data": self.dataset.digest,
            "window": parted.window,
            "horizon": parted.horizon,
            "known": parted.known,
            "origins": [parted.test_origins, parted.validation_origins],
            "simple": {name: digest_of(entry.modules) for name, entry in self.plan.simple.items()},
            "code": digest_of(_CODE),
        }

    def _fitted(self, name: str, entry: Entry, seed: int) -> Fitted:
        if (name, seed) not in self.learnt:
            what = f"{self.dataset.name}: {name}" + ("" if entry.simple else f", seed {seed}")
            self.tell(what, self.done)

            def progress(done: float) -> None:
                self.tell(what, self.done + _LEARNING * min(max(done, 0.0), 1.0))

            method = entry.make(self.plan.effort)  # imports what it needs, which is no learning
            began = time.monotonic()
            fitted = method.fit([self.split.task], seed=seed, progress=progress)
            self.learnt[name, seed] = (fitted, time.monotonic() - began)
        return self.learnt[name, seed][0]

    def _ground(self, series: Series, origins: NDArray[np.int64], simple: Sequence[Fitted]) -> Ground:
        horizon, features = self.split.task.horizon, series.features
        truths, counted, known = Truths.nothing(series, horizon), [], 0
        centre = centres(series)
        for part in chunks(origins, series, horizon):
            truth = truth_at(series, origins[part], horizon)
            counts = np.isfinite(truth)
            known += int(counts.sum())
            for fitted in simple:
                counts &= np.isfinite(self._answer(fitted, series, origins[part]).mean)
            counted.append(counts)
            truths.add(expanded(truth, features), repeated(counts, features), centre)
        return Ground(Moments.of(counted, known), truths)

    def _errors(self, name: str, fitted: Fitted, part: tuple[Series, NDArray[np.int64]], moments: Moments) -> Errors:
        series, origins = part
        errors = Errors.nothing(series, self.split.task.horizon)
        bandless = np.zeros((len(series.features), self.split.task.horizon), dtype=bool)
        last = self._fitted(LAST_VALUE, self.plan.simple[LAST_VALUE], 0)
        for at in chunks(origins, series, self.split.task.horizon):
            answer = self._answer(fitted, series, origins[at])
            if at.start == 0:
                self._refuse_foresight(name, fitted, series, origins[at], answer)
            fallback = self._answer(last, series, origins[at]).mean
            truth = truth_at(series, origins[at], self.split.task.horizon)
            unknown = _without_band(answer)
            bandless |= unknown
            errors.add(_banded(answer, unknown), truth, moments.at(at), fallback, series.features)
        for sums in (errors.quantile, errors.covered):
            sums[:, repeated(bandless[None, None], series.features)[0, 0]] = np.nan
        return errors

    def _answer(self, fitted: Fitted, series: Series, origins: NDArray[np.int64]) -> Answer:
        """What a method says, once its shape is right."""
        task = self.split.task
        answer = fitted.forecast(series, origins, window=task.window, horizon=task.horizon)
        shape = (len(origins), *series.values.shape[1:], task.horizon)
        if answer.mean.shape != shape:
            raise ValueError(f"the forecast has shape {answer.mean.shape}, not {shape}")
        if answer.quantiles is not None and answer.quantiles.shape != (*shape, len(QUANTILES)):
            raise ValueError(f"the quantiles have shape {answer.quantiles.shape}, not {(*shape, len(QUANTILES))}")
        return answer

    def _refuse_foresight(
        self, name: str, fitted: Fitted, series: Series, origins: NDArray[np.int64], answer: Answer
    ) -> None:
        """
        Forecast once more from a series that ends at one of the origins; nothing may change.

        Raises:
            LooksAhead: If something does.
        """
        some = origins[: max(1, min(_CHECKED_ORIGINS, len(origins) // 2))]
        blind = self._answer(fitted, cut(series, int(some[-1]) + 1), some)
        sizes = np.abs(series.values)
        usual = np.nansum(sizes, axis=(0, 1)) / np.maximum(np.isfinite(sizes).sum(axis=(0, 1)), 1)
        pairs = [(answer.mean, blind.mean)]
        if answer.quantiles is not None and blind.quantiles is not None:
            places = range(len(QUANTILES))
            pairs += [(answer.quantiles[..., place], blind.quantiles[..., place]) for place in places]
        for said, then in pairs:
            if not np.allclose(
                said[: len(some)], then, rtol=_TOLERANCE, atol=_TOLERANCE * usual[:, None], equal_nan=True
            ):
                step = int(some[-1])
                raise LooksAhead(f"{name} forecasts otherwise when what comes after step {step} is taken away")


def _without_band(answer: Answer) -> NDArray[np.bool_]:
    """Which features and steps have forecasts and not one band around them, (F, H)."""
    said = np.isfinite(answer.mean)
    if answer.quantiles is None:  # a method that has none by nature: scoring knows
        return np.zeros(said.shape[2:], dtype=bool)
    banded = said & np.isfinite(answer.quantiles).any(axis=-1)
    return np.asarray(said.any(axis=(0, 1)) & ~banded.any(axis=(0, 1)))


def _banded(answer: Answer, lacking: NDArray[np.bool_]) -> Answer:
    """With the mean for every quantile where there is no band, as a forecast with a NaN would count as none at all."""
    if answer.quantiles is None or not lacking.any():
        return answer
    return Answer(answer.mean, np.where(lacking[..., None], answer.mean[..., None], answer.quantiles))
