"""
The model's state carried from step to step: between two cycles only one step is new, and only that one is processed.

What is carried follows each service by its id: its running levels, how stale each feature is, and the recurrent state.
A stream that begins with a full window answers what that window would; later it knows more of the past than a window.

Shapes, as suffixes: `N` services, `T` steps, `A` features, `C` channels, `D` hidden, and as in `batch`.
"""

import threading
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot
from tidecast_predictor.batch import Origins, latest_value, origin_inputs, step_channels
from tidecast_predictor.levels import CarriedLevels
from tidecast_predictor.model import CallGraph, GcnGru
from tidecast_predictor.predicting import in_units
from tidecast_predictor.scaling import Reference, to_model
from tidecast_predictor.time_encoding import encode
from tidecast_predictor.windows import Past

_KEPT = 2  # streams: one operator asks for one graph, and a second may try something


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """
    What is carried of every service after a step. It never changes: `advance` makes another, so threads may share it.

    Attributes:
        model: Whose state it is.
        time: Of the newest step, unix seconds.
        services: N of them.
        levels: Of their features.
        state_ND: The recurrent state.
        newest_NC: What the model was told of the newest step.
        graph: Who called whom in it.
        reference: How the services usually behave.
    """

    model: GcnGru
    time: int
    services: tuple[ServiceId, ...]
    levels: CarriedLevels
    state_ND: Tensor
    newest_NC: Tensor
    graph: CallGraph
    reference: Reference

    @classmethod
    def begin(cls, model: GcnGru, past: Past, reference: Reference) -> "Stream":
        """The stream after a full window, the one that ends at the moment of *past*."""
        return cls.begin_with(model, past.of_length(model.architecture.window_steps), reference)

    @classmethod
    def begin_with(cls, model: GcnGru, past: Past, reference: Reference) -> "Stream":
        """The stream after just the steps in the window of *past*; the state before them is empty."""
        levels = CarriedLevels.begin(torch.from_numpy(to_model(past.before())))
        return _carried(model, past, levels, None, reference)

    def advance(self, past: Past, reference: Reference) -> "Stream":
        """
        The stream after the steps that are new in the window of *past*, a single one as a rule.

        A service that was not here before begins empty, one that is not there any more is forgotten. Steps between
        that the window does not hold are processed as missing; where they are more than a full window, the stream
        begins anew with it.

        Args:
            past: Its services and calls are those at the new steps.
            reference: How these services usually behave.

        Raises:
            ValueError: If nothing is new in *past*, or if it lies between the steps of this stream.
        """
        snapshot = past.snapshot
        steps, rest = divmod(snapshot.end_time - self.time, self.model.architecture.step_seconds)
        if steps <= 0 or rest:
            raise ValueError(f"step {snapshot.end_time} does not follow {self.time}; begin another stream")
        if steps > self.model.architecture.window_steps:
            return Stream.begin(self.model, past, reference)
        new = past.of_length(steps)
        return _carried(self.model, new, *self._of(new), reference)

    def forecast(self, past: Past) -> NDArray[np.float32]:
        """
        Quantiles in units, made after the newest step.

        Args:
            past: The same moment; where the days before are looked up.

        Returns:
            As `predicting.predict`, of one sample with one origin: float32 of shape (N, 1, 1, F, H, Q).

        Raises:
            ValueError: If *past* is another moment or of other services.
        """
        if past.snapshot.end_time != self.time or past.snapshot.services != self.services:
            raise ValueError(f"the stream is at {self.time}; advance it to {past.snapshot.end_time} first")
        architecture = self.model.architecture
        with torch.inference_mode():
            origins = Origins(
                times_BP=torch.tensor([[self.time]]),
                level_NBPA=self.levels.levels_LNA[0][:, None, None],
                latest_NBPA=latest_value(self.newest_NC, architecture)[:, None, None],
                steps_without_NBPA=self.levels.steps_NA.clamp(max=architecture.window_steps)[:, None, None],
                days_BPWJNF=past.days(architecture),
            )
            inputs = origin_inputs(origins, self.reference, architecture).to(self.model.device)
            changes, _ = self.model.answer(inputs, self.state_ND[:, None, None], self.graph)
            return in_units(self.model, changes, inputs)

    def _of(self, past: Past) -> tuple[CarriedLevels, Tensor]:
        """What is carried of the services of *past*."""
        services = past.snapshot.services
        if services == self.services:
            return self.levels, self.state_ND
        rows = {service: row for row, service in enumerate(self.services)}
        rows_N = torch.tensor([rows.get(service, -1) for service in services], dtype=torch.int64)
        newcomers = torch.nonzero(rows_N < 0)[:, 0].numpy()
        before = np.full(past.snapshot.values.shape[1:], np.nan, dtype=np.float32)
        before[newcomers] = past.only(newcomers).before()
        state_ND = self.state_ND.new_zeros((len(services), self.state_ND.shape[1]))
        state_ND[rows_N >= 0] = self.state_ND[rows_N[rows_N >= 0]]
        return self.levels.of(rows_N, torch.from_numpy(to_model(before))), state_ND


class Streams:
    """
    Carries the newest graphs from request to request; a request that does not go on where one ended is answered from
    its window. Safe to use from several threads: which stream a window goes on with is told by what it holds, so
    requests for different graphs do not disturb each other.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: tuple[_Held, ...] = ()

    def forecast(self, model: GcnGru, past: Past, reference: Reference) -> NDArray[np.float32]:
        """Quantiles in units at the moment of *past*, as `Stream.forecast`; *reference* as in `Stream.advance`."""
        snapshot = past.snapshot
        found = max(
            (held for held in self._held if held.stream.model is model and _goes_on(held.snapshot, snapshot)),
            key=lambda held: held.snapshot.end_time,
            default=None,
        )
        if found is None:
            stream = Stream.begin(model, past, reference)
        elif found.snapshot.end_time == snapshot.end_time:
            return found.stream.forecast(past)
        else:
            stream = found.stream.advance(past, reference)
        forecast = stream.forecast(past)
        with self._lock:
            others = (held for held in self._held if held is not found and not _is_same(held.snapshot, snapshot))
            self._held = (_Held(snapshot, stream), *others)[:_KEPT]
        return forecast


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """A stream and the window it has come to the end of."""

    snapshot: Snapshot
    stream: Stream


def _is_same(one: Snapshot, other: Snapshot) -> bool:
    return one.end_time == other.end_time and one.services == other.services


def _goes_on(held: Snapshot, snapshot: Snapshot) -> bool:
    """Whether *snapshot* holds what *held* did, no more of that time, and the next steps; or is the same."""
    ahead, rest = divmod(snapshot.end_time - held.end_time, snapshot.step_seconds)
    common = min(held.steps, snapshot.steps - ahead)
    if held.step_seconds != snapshot.step_seconds or ahead < 0 or rest or common <= 0:
        return False
    if ahead == 0 and not (
        _is_same(held, snapshot)
        and held.steps == snapshot.steps
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


def _carried(model: GcnGru, past: Past, levels: CarriedLevels, state_ND: Tensor | None, reference: Reference) -> Stream:
    """The stream after all steps in the window of *past*, from what was carried before them."""
    snapshot, architecture = past.snapshot, model.architecture
    channels = []
    with torch.inference_mode():
        for z_NA in torch.from_numpy(to_model(snapshot.values)):
            levels = levels.after(z_NA, window_steps=architecture.window_steps, day_steps=architecture.days[0])
            at_step = [level_NA[:, None, :, None] for level_NA in levels.levels_LNA]
            channels.append(step_channels(z_NA[:, None, :, None], at_step, reference)[:, 0])
        steps_NTC = torch.cat(channels, dim=1)
        device = model.device
        graph = CallGraph.of(
            torch.from_numpy(snapshot.calls).to(device), torch.from_numpy(snapshot.rates).to(device), len(steps_NTC)
        )
        clock_TK = encode(torch.from_numpy(snapshot.times), architecture.periods)
        state_ND = model.carry(steps_NTC.to(device), clock_TK.to(device), graph, state_ND)
    return Stream(model, snapshot.end_time, snapshot.services, levels, state_ND, steps_NTC[:, -1], graph, reference)
