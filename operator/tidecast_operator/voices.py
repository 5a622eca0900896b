"""
Which source speaks for which measurement of which service, from one collection to the next.

Two sources of one service differ: a tracer counts the requests that were sampled, a proxy all of them. Were they to take
turns whenever a scrape fails, traffic would seem to fall and to rise. Pure. Shapes: `N` services, `F` features.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.features import FEATURES
from tidecast_contract.services import ServiceId

NOBODY = -1
"""In place of a source's number."""
_PATIENCE_STEPS, _PATIENCE_SECONDS, _PATIENCE_LEAST_STEPS = 10, 600, 2
"""So long a source that fell silent keeps the word: scrapes fail for shorter, and a proxy that was taken away for longer.
Ten steps where they are a minute or shorter; ten minutes, but two steps at least, where they are longer."""

_Table = NDArray[np.int64]


def _patience_seconds(step_seconds: int) -> int:
    longest = max(_PATIENCE_SECONDS, _PATIENCE_LEAST_STEPS * step_seconds)
    return min(_PATIENCE_STEPS * step_seconds, longest)


def _empty(count: int, value: int) -> _Table:
    return np.full((count, len(FEATURES)), value, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Voices:
    """
    Who has the word; at first nobody.

    Attributes:
        services: N of them.
        sources: The names that numbers stand for.
        speaker: The number of the source that spoke last, of shape (N, F); `NOBODY` where none did.
        times: When it spoke last, unix seconds, of shape (N, F).
    """

    services: tuple[ServiceId, ...] = ()
    sources: tuple[str, ...] = ()
    speaker: _Table = field(default_factory=lambda: _empty(0, NOBODY))
    times: _Table = field(default_factory=lambda: _empty(0, 0))

    def at(self, time: int, step_seconds: int) -> Self:
        """Without the word of those who have been silent for long at a time, in unix seconds."""
        is_kept = time - self.times <= _patience_seconds(step_seconds)
        kept = is_kept.any(axis=1) & (self.speaker != NOBODY).any(axis=1)
        return type(self)(
            tuple(service for service, stays in zip(self.services, kept.tolist(), strict=True) if stays),
            self.sources,
            np.where(is_kept, self.speaker, NOBODY)[kept],
            self.times[kept],
        )

    def lowest(self, services: Sequence[ServiceId], sources: Sequence[str]) -> _Table:
        """
        Up to which of *sources*, the most trusted first, each may speak for these services, (N, F).

        One that has the word leaves it to those that are trusted more, and to nobody else; if it is not among *sources*,
        nobody has it, -1.
        """
        lowest = _empty(len(services), len(sources) - 1)
        number = {source: place for place, source in enumerate(sources)}
        of_known = np.array([*(number.get(source, -1) for source in self.sources), len(sources) - 1], dtype=np.int64)
        place = {service: row for row, service in enumerate(self.services)}
        rows = np.array([place.get(service, -1) for service in services], dtype=np.int64)
        lowest[rows >= 0] = of_known[self.speaker[rows[rows >= 0]]]
        return lowest

    def after(self, services: Sequence[ServiceId], sources: Sequence[str], speaker: _Table, times: _Table) -> Self:
        """
        With what was said since.

        Args:
            services: N of them.
            sources: The names that numbers in *speaker* stand for.
            speaker: Who spoke, (N, F); `NOBODY` where none did.
            times: When last, unix seconds, (N, F).
        """
        every = tuple(dict.fromkeys((*self.services, *services)))
        names = tuple(dict.fromkeys((*self.sources, *sources)))
        place = {service: row for row, service in enumerate(every)}
        rows = np.array([place[service] for service in services], dtype=np.int64)
        renamed = np.array([*(names.index(source) for source in sources), NOBODY], dtype=np.int64)[speaker]
        all_speakers, all_times = _empty(len(every), NOBODY), _empty(len(every), 0)
        all_speakers[: len(self.services)], all_times[: len(self.services)] = self.speaker, self.times
        all_speakers[rows] = np.where(renamed == NOBODY, all_speakers[rows], renamed)
        all_times[rows] = np.where(renamed == NOBODY, all_times[rows], times)
        return type(self)(every, names, all_speakers, all_times)
