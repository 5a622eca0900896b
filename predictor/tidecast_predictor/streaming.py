"""
The model's state carried from step to step: between two cycles only one step is new, and only that one is processed.

What is carried follows each service by its id: its running levels, how stale each feature is, the newest values, and
the recurrent state.
A stream that begins with a full window answers what that window would; later it knows more of the past than a window.

Shapes, as suffixes: `N` services, `T` steps, `A` features, `C` channels, `D` hidden, and as in `batch`.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tidecast_contract.services import ServiceId, rows_of
from tidecast_predictor.batch import RECENT_STEPS, Origins, origin_inputs, step_channels
from tidecast_predictor.config import Architecture
from tidecast_predictor.convolution import CallGraph
from tidecast_predictor.levels import CarriedLevels
from tidecast_predictor.model import GcnGru
from tidecast_predictor.predicting import in_units, on_scale
from tidecast_predictor.scaling import Reference, to_model
from tidecast_predictor.time_encoding import encode
from tidecast_predictor.windows import Past


@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """
    What follows each service from step to step.

    Attributes:
        levels: Of its features.
        recent_NRA: Its newest `batch.RECENT_STEPS` values on the model's scale, NaN where missing.
        state_ND: Its recurrent state.
    """

    levels: CarriedLevels
    recent_NRA: Tensor
    state_ND: Tensor

    @classmethod
    def begin(cls, before_NA: Tensor, architecture: Architecture) -> "Carried":
        """Before the first step, where all that is known is what was measured last, NaN if nothing was."""
        services, features = before_NA.shape
        recent_NRA = torch.full((services, RECENT_STEPS, features), torch.nan)
        return cls(CarriedLevels.begin(before_NA), recent_NRA, torch.zeros(services, architecture.hidden))

    def of(self, rows_N: Tensor, before_NA: Tensor) -> "Carried":
        """That of the services at *rows_N*; -1 begins one, of which *before_NA* is known."""
        old_N = rows_N >= 0
        recent_NRA = self.recent_NRA.new_full((len(rows_N), *self.recent_NRA.shape[1:]), torch.nan)
        state_ND = self.state_ND.new_zeros((len(rows_N), *self.state_ND.shape[1:]))
        recent_NRA[old_N] = self.recent_NRA[rows_N[old_N]]
        state_ND[old_N] = self.state_ND[rows_N[old_N]]
        return Carried(self.levels.of(rows_N, before_NA), recent_NRA, state_ND)


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """
    All services after a step. It never changes: `advance` makes another, so threads may share it.

    Attributes:
        model: Whose state it is.
        time: Of the newest step, unix seconds.
        services: N of them.
        carried: What is carried of them.
        graph: Who called whom in it.
        reference: How the services usually behave.
    """

    model: GcnGru
    time: int
    services: tuple[ServiceId, ...]
    carried: Carried
    graph: CallGraph
    reference: Reference

    @classmethod
    def begin(cls, model: GcnGru, past: Past, reference: Reference) -> "Stream":
        """The stream after a full window, the one that ends at the moment of *past*."""
        return cls.begin_with(model, past.of_length(model.architecture.window_steps), reference)

    @classmethod
    def begin_with(cls, model: GcnGru, past: Past, reference: Reference) -> "Stream":
        """The stream after just the steps in the window of *past*; the state before them is empty."""
        begun = Carried.begin(torch.from_numpy(to_model(past.before())), model.architecture)
        return _after(model, past, begun, reference)

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
        return _after(self.model, new, self._of(new), reference)

    def forecast(self, past: Past) -> NDArray[np.float32]:
        """As `on_scale`, in units, as `predicting.predict` returns them."""
        return in_units(self.on_scale(past))

    def on_scale(self, past: Past) -> Tensor:
        """
        Quantiles on the model's scale, made after the newest step.

        Args:
            past: The same moment; where the days before are looked up.

        Returns:
            As `predicting.on_scale`, of one sample with one origin: (N, 1, 1, F, H, Q).

        Raises:
            ValueError: If *past* is another moment or of other services.
        """
        if past.snapshot.end_time != self.time or past.snapshot.services != self.services:
            raise ValueError(f"the stream is at {self.time}; advance it to {past.snapshot.end_time} first")
        architecture, levels = self.model.architecture, self.carried.levels
        with torch.inference_mode():
            origins = Origins(
                times_BP=torch.tensor([[self.time]]),
                level_NBPA=levels.levels_LNA[0][:, None, None],
                recent_NBPRA=self.carried.recent_NRA[:, None, None],
                steps_without_NBPA=levels.steps_NA.clamp(max=architecture.window_steps)[:, None, None],
                days_BPWJNF=past.days(architecture),
            )
            inputs = origin_inputs(origins, self.reference, architecture).to(self.model.device)
            answer = self.model.answer(inputs, self.carried.state_ND[:, None, None], self.graph)
            return on_scale(self.model, answer, inputs)

    def _of(self, past: Past) -> Carried:
        """What is carried of the services of *past*."""
        services = past.snapshot.services
        if services == self.services:
            return self.carried
        rows_N = torch.from_numpy(rows_of(services, self.services))
        newcomers = torch.nonzero(rows_N < 0)[:, 0].numpy()
        before = np.full(past.snapshot.values.shape[1:], np.nan, dtype=np.float32)
        before[newcomers] = past.only(newcomers).before()
        return self.carried.of(rows_N, torch.from_numpy(to_model(before)))


def _after(model: GcnGru, past: Past, carried: Carried, reference: Reference) -> Stream:
    """The stream after all steps in the window of *past*, from what was carried before them."""
    snapshot, architecture, levels = past.snapshot, model.architecture, carried.levels
    channels = []
    with torch.inference_mode():
        z_TNA = torch.from_numpy(to_model(snapshot.values))
        for z_NA in z_TNA:
            levels = levels.after(z_NA, window_steps=architecture.window_steps, day_steps=architecture.days[0])
            at_step = [level_NA[:, None, :, None] for level_NA in levels.levels_LNA]
            channels.append(step_channels(z_NA[:, None, :, None], at_step, reference)[:, 0])
        steps_NTC = torch.cat(channels, dim=1)
        recent_NRA = torch.cat([carried.recent_NRA, z_TNA.transpose(0, 1)], dim=1)[:, -RECENT_STEPS:]
        device = model.device
        graph = CallGraph.of(
            torch.from_numpy(snapshot.calls).to(device), torch.from_numpy(snapshot.rates).to(device), len(steps_NTC)
        )
        clock_TK = encode(torch.from_numpy(snapshot.times), architecture.periods)
        state_ND = model.carry(steps_NTC.to(device), clock_TK.to(device), graph, carried.state_ND.to(device))
    after = Carried(levels, recent_NRA, state_ND)
    return Stream(model, snapshot.end_time, snapshot.services, after, graph, reference)
