"""
Parts a recording in time: what is learnt from, what chooses the epoch, what is tested on, with gaps between them.

Rolling origin: every method sees the whole past of each origin, and is scored on what came after it. The parts follow
each other in time order; one horizon lies between them, so that no target of one part touches a target of the next.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tidecast_predictor.baselines.method import Series, Task

_TRAINING, _VALIDATION = 0.6, 0.2
_VALIDATION_OF_KNOWN = 1 / 8
"""Of the known part, when the share of the known part is given."""


class RecordingTooShort(Exception):
    """A part of the recording holds no origin; the text says which, and what would help."""


@dataclass(frozen=True, slots=True)
class Splitting:
    """
    How recordings are parted.

    Attributes:
        window: Steps that networks look back on.
        horizon: Steps ahead that are forecast; also the gap between parts.
        known: The share of the steps that comes before the test part, as published protocols have it, such as 0.8; its
            last eighth chooses the epoch. None: training 60 %, validation 20 % and test 20 % of what the gaps leave.
        test_origins: At most so many origins are tested at, evenly thinned.
        validation_origins: At most so many origins of the validation part are scored.
    """

    window: int
    horizon: int
    known: float | None = None
    test_origins: int = 400
    validation_origins: int = 200


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """
    A recording, parted.

    Attributes:
        series: All of it.
        task: What a method learns from: its series ends where the known part ends, so nothing later can leak.
        validation: Origins that simple methods are compared at, int64, rising.
        test: Origins that everything is scored at, int64, rising.
        test_candidates: How many origins there were before thinning.
        test_begin: No target of the test lies before this step.
    """

    series: Series
    task: Task
    validation: NDArray[np.int64]
    test: NDArray[np.int64]
    test_candidates: int
    test_begin: int


def split(series: Series, splitting: Splitting) -> Split:
    """
    Part *series*.

    No target crosses into another segment. A window may reach over the begin of a segment; there it is missing.

    Raises:
        RecordingTooShort: If a part holds no origin.
    """
    training_end, validation_begin, known, test_begin = _borders(len(series.times), splitting)
    horizon = splitting.horizon
    training = origins_within(series, horizon, 0, training_end)
    validation = origins_within(series, horizon, validation_begin, known)
    test = origins_within(series, horizon, test_begin, len(series.times))
    for name, origins in (("training", training), ("validation", validation), ("test", test)):
        if not len(origins):
            raise RecordingTooShort(
                f"the {name} part has no origin whose {horizon} next steps lie in one segment: {len(series.times)} steps "
                f"in {series.segments[-1] + 1} segments are too few; {_remedy(series, splitting)}"
            )
    task = Task(
        series=cut(series, known),
        window=splitting.window,
        horizon=horizon,
        training=training,
        validation=validation,
        training_steps=training_end,
        known_steps=known,
    )
    return Split(
        series,
        task,
        thinned(validation, splitting.validation_origins),
        thinned(test, splitting.test_origins),
        len(test),
        test_begin,
    )


def _remedy(series: Series, splitting: Splitting) -> str:
    remedy = "record longer or take a smaller --horizon"
    if splitting.known is not None:
        remedy += ", or another --split"
    if series.segments[-1]:
        remedy += "; segments also begin where steps are missing, so put in rows of NaN for those"
    return remedy


def _borders(steps: int, splitting: Splitting) -> tuple[int, int, int, int]:
    """Where training ends, where validation begins and ends, where the test begins."""
    gap = splitting.horizon
    if splitting.known is None:
        left = max(0, steps - 2 * gap)
        training_end = round(_TRAINING * left)
        known = training_end + gap + round(_VALIDATION * left)
    else:
        known = int(splitting.known * steps)
        training_end = max(0, known - round(_VALIDATION_OF_KNOWN * known) - gap)
    return training_end, training_end + gap, known, known + gap


def origins_within(series: Series, horizon: int, begin: int, end: int) -> NDArray[np.int64]:
    """The origins whose targets all lie in [begin, end) and in the origin's own segment."""
    origins = np.arange(max(begin - 1, 0), max(begin - 1, 0, end - horizon), dtype=np.int64)
    within: NDArray[np.int64] = origins[series.segments[origins] == series.segments[origins + horizon]]
    return within


def thinned(origins: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most *most* of them, evenly spread, first and last among them."""
    if len(origins) <= most:
        return origins
    return origins[np.round(np.linspace(0, len(origins) - 1, most)).astype(np.int64)]


def cut(series: Series, steps: int) -> Series:
    """The first *steps* steps; what comes after is not there."""
    return replace(
        series,
        values=series.values[:steps],
        times=series.times[:steps],
        segments=series.segments[:steps],
    )
