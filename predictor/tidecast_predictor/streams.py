"""
Which stream a request goes on with: answers windows that follow each other from what is carried, others from themselves.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tidecast_contract.snapshot import Snapshot
from tidecast_predictor.corrections import Corrections, Said
from tidecast_predictor.model import GcnGru
from tidecast_predictor.predicting import in_units
from tidecast_predictor.scaling import Reference
from tidecast_predictor.streaming import Stream
from tidecast_predictor.track_record import simple_forecasts
from tidecast_predictor.windows import Past

_KEPT = 2  # streams: one operator asks for one graph, and a second may try something


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """
    A stream, the window it has come to the end of and the first step it has seen, how forecasts are corrected there, and
    whether it ever went on.
    """

    snapshot: Snapshot
    begin_time: int
    stream: Stream
    corrections: Corrections
    went_on: bool


class Streams:
    """
    Carries the newest graphs of one model from request to request; a request that does not go on where one ended is
    answered from its window. Safe to use from several threads: which stream a window goes on with is told by what it
    holds, so requests for different graphs do not disturb each other.

    Args:
        model: Whose state is carried.
        before: Of the model that was served before; what is known of how far networks are believed is gone on with.
    """

    def __init__(self, model: GcnGru, *, before: "Streams | None" = None) -> None:
        self._model = model
        known = None if before is None else before.known
        self._known = None if known is None else known.under(model.architecture)
        self._lock = threading.Lock()
        self._held: tuple[_Held, ...] = ()

    @property
    def known(self) -> Corrections | None:
        """How forecasts are corrected at the newest moment; None before anything was asked for."""
        newest = _newest(self._held)
        return self._known if newest is None else newest.corrections

    def forecast(self, past: Past, reference: Reference) -> NDArray[np.float32]:
        """
        Quantiles in units at the moment of *past*, float32 of shape (N, F, H, Q), corrected by what came true.

        Args:
            past: The window.
            reference: As in `Stream.advance`.
        """
        snapshot, held = past.snapshot, self._held
        found = _newest(
            one for one in held if one.begin_time <= snapshot.start_time and _goes_on(one.snapshot, snapshot)
        )
        if found is not None and found.snapshot.end_time == snapshot.end_time:
            return _in_units(found.corrections.corrected(_said(found.stream, past)))
        stream = Stream.begin(self._model, past, reference) if found is None else found.stream.advance(past, reference)
        known = self._known_at(snapshot, held)
        corrections = Corrections.begin(self._model.architecture, past) if known is None else known.after(past)
        said = _said(stream, past)
        told = corrections.corrected(said)
        new = _Held(
            snapshot,
            snapshot.start_time if found is None else found.begin_time,
            stream,
            corrections.remembering(said, told),
            went_on=found is not None,
        )
        with self._lock:
            others = [one for one in self._held if one is not found and not _is_same(one.snapshot, snapshot)]
            # What was asked for once, as a replay does, goes before what an operator comes back to every step.
            others.sort(key=lambda one: not one.went_on)
            self._held = (new, *others)[:_KEPT]
        return _in_units(told)

    def _known_at(self, snapshot: Snapshot, held: Iterable[_Held]) -> Corrections | None:
        """
        What is known of the errors by then, whatever stream it was learnt with, of as many of these services as can be.

        A state begins anew where a past was revised, or another replica asks with its services in another order; what
        came true of forecasts does not.
        """
        services = set(snapshot.services)

        def shared(one: Corrections) -> int:
            return len(services.intersection(one.services))

        known = [one.corrections for one in held if one.corrections.time <= snapshot.end_time]
        best = max(filter(shared, known), key=lambda one: (shared(one), one.time), default=self._known)
        return None if best is None or best.time > snapshot.end_time else best


def _said(stream: Stream, past: Past) -> Said:
    quantiles = stream.on_scale(past)[:, 0, 0].cpu().numpy()
    forecast = slice(quantiles.shape[1])
    recent = stream.carried.recent_NRA[..., forecast].numpy()
    return Said(quantiles, simple_forecasts(recent, stream.reference.median[:, forecast]))


def _in_units(told_NFHQ: NDArray[np.float32]) -> NDArray[np.float32]:
    return in_units(torch.from_numpy(told_NFHQ)[:, None, None])[:, 0, 0]


def _newest(held: Iterable[_Held]) -> _Held | None:
    return max(held, key=lambda one: one.snapshot.end_time, default=None)


def _is_same(one: Snapshot, other: Snapshot) -> bool:
    return (one.end_time, one.steps, one.services) == (other.end_time, other.steps, other.services)


def _goes_on(held: Snapshot, snapshot: Snapshot) -> bool:
    """Whether *snapshot* holds what *held* did, no more of that time, and the next steps; or is the same."""
    ahead, rest = divmod(snapshot.end_time - held.end_time, snapshot.step_seconds)
    common = min(held.steps, snapshot.steps - ahead)
    if held.step_seconds != snapshot.step_seconds or ahead < 0 or rest or common <= 0:
        return False
    if ahead == 0 and not (
        _is_same(held, snapshot)
        and np.array_equal(held.calls, snapshot.calls)
        and np.array_equal(held.rates, snapshot.rates)
    ):
        return False
    before = held.values[held.steps - common :]
    now = snapshot.values[snapshot.steps - ahead - common : snapshot.steps - ahead]
    if held.services != snapshot.services:
        columns = {service: column for column, service in enumerate(held.services)}
        found = np.array([columns.get(service, -1) for service in snapshot.services])
        # What a newcomer did before it came was not processed.
        if (found < 0).all() or np.isfinite(now[:, found < 0]).any():
            return False
        before, now = before[:, found[found >= 0]], now[:, found >= 0]
    return np.array_equal(before, now, equal_nan=True)
