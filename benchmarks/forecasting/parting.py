"""
A simulation that goes on from a moment by other chance: SIMULATED, what might have come instead of what came.

All that is drawn in the simulator is a function of an index: a tick, a knot of noise, a slot for a burst. What is to
come otherwise is drawn at indices that the recording never uses; what has begun stays.

Shapes: `T` ticks, `E` calls.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from meshes import ByEntry
from observing import STEP_SECONDS

from tidecast_simulator.flows import _DRIFT_SECONDS, _EPISODE_PROBABILITY, _EPISODE_SECONDS, Clock, Flows
from tidecast_simulator.load import DAY_SECONDS, Bursts, Noise, Product, Shape, _rush
from tidecast_simulator.mesh import Mesh
from tidecast_simulator.randomness import Floats, Indices, Streams, normals, smooth_noise, stream, uniforms

# Indices of other chance lie so many bits higher than any index of the recording.
_APART_BITS = 32

Knots = tuple[Floats, Floats]
"""The knots of a noise before and after the origin of each tick, both of shape (T,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Fan(Clock):
    """
    Stretches of time one after the other, in each of which chance is another one after its origin.

    `ticks` number what is drawn by tick: up to the origin the recording's own, after it numbers of their own.

    Attributes:
        moments: The tick of the recording that each stands for, int64 of shape (T,).
        origins: The last tick that is as it was, int64 of shape (T,).
        draws: Tells the stretches apart, positive, int64 of shape (T,).
    """

    moments: Indices
    origins: Indices
    draws: Indices

    @classmethod
    def of(cls, origins: Indices, draws: Indices, *, before: int, ahead: int) -> "Fan":
        """Stretches from so many ticks before each origin to so many after it."""
        moments = (origins[:, None] + np.arange(-before, ahead + 1)).ravel()
        origins, draws = (np.repeat(each, before + ahead + 1) for each in (origins, draws))
        ticks = np.where(moments > origins, moments + (draws << _APART_BITS), moments)
        return cls(ticks, float(STEP_SECONDS), moments, origins, draws)

    @property
    def times(self) -> Floats:
        """The middle of each tick, unix seconds, of shape (T,)."""
        return np.asarray((self.moments + 0.5) * self.tick_seconds, dtype=np.float64)

    @property
    def parted(self) -> Floats:
        """The middle of each tick's origin, unix seconds, of shape (T,)."""
        return np.asarray((self.origins + 0.5) * self.tick_seconds, dtype=np.float64)

    @property
    def happened(self) -> Clock:
        """The same moments as the recording has them."""
        return Clock(self.moments, self.tick_seconds)

    def apart(self, indices: Indices) -> Indices:
        """Where the stretches draw anew instead of at these indices, of the same shape (T,)."""
        return indices + (self.draws << _APART_BITS)


def knots_at(times: Floats, scale_seconds: float) -> tuple[Indices, Floats]:
    """The knot before each time, and how far the time is on the way to the next, as `smooth_noise` has them."""
    position = times / scale_seconds
    left = np.floor(position)
    return left.astype(np.int64), position - left


def parted_noise(number: Streams, fan: Fan, scale_seconds: float, knots: Knots | None = None) -> Floats:
    """
    `smooth_noise` that goes on from each origin by other chance.

    Noise bends at multiples of its scale and goes from one knot to the next in between, so whoever sees it move at an
    origin knows its next knot.

    Args:
        number: Its stream, or a column of them.
        fan: The stretches.
        scale_seconds: Of the noise.
        knots: Those around each origin, if they are not to be taken as they were.
    """
    reached, _ = knots_at(fan.parted, scale_seconds)
    first, second = knots or (normals(number, reached), normals(number, reached + 1))
    left, fraction = knots_at(fan.times, scale_seconds)
    begin = np.where(left == reached + 1, second, normals(number, fan.apart(left)))
    begin = np.where(left == reached, first, begin)
    end = np.where(left == reached, second, normals(number, fan.apart(left + 1)))
    mixed = (begin * (1 - fraction) + end * fraction) / np.sqrt((1 - fraction) ** 2 + fraction**2)
    return np.where(fan.moments > fan.origins, mixed, smooth_noise(number, fan.times, scale_seconds))


def slot_of(bursts: Bursts) -> tuple[float, float]:
    """The seconds of a slot in which at most one burst begins, and the probability that one does."""
    seconds = max(DAY_SECONDS / max(bursts.per_day * 2, 1e-9), bursts.duration_seconds)
    return seconds, min(bursts.per_day * seconds / DAY_SECONDS, 1.0)


def drawn_bursts(bursts: Bursts, slots: Indices) -> tuple[Floats, Floats, Floats]:
    """For each slot: a burst begins if the first is below the probability; when in the slot; how strong it is."""
    happens, start, strength = (
        uniforms(stream(name, bursts.seed), slots) for name in ("burst", "burst start", "burst height")
    )
    return happens, start, 0.5 + strength


def rush_of(bursts: Bursts, times: Floats, start: Floats, strength: Floats) -> Floats:
    """What a burst that began then, unix seconds, adds to the factor at these times."""
    return (bursts.height - 1) * strength * _rush((times - start) / bursts.duration_seconds)


@dataclass(frozen=True, slots=True, eq=False)
class Guess:
    """
    What somebody believes of the load of an entry at the origin of each tick. All of shape (T,).

    Attributes:
        slow: Knots of the slow part of its noise.
        quick: Knots of the quick part.
        hidden: The slot of the burst under way that is not known; -1 for none.
        start: When the burst that is believed in began, unix seconds; NaN for none.
        strength: Of it, in units of that of an average one; NaN for none.
    """

    slow: Knots
    quick: Knots
    hidden: Indices
    start: Floats
    strength: Floats


def parted_bursts(bursts: Bursts, fan: Fan, guess: Guess | None = None) -> Floats:
    """The factor of bursts: those that have begun at an origin go on as they did, or as guessed; others begin anew."""
    slot_seconds, probability = slot_of(bursts)
    slot = np.floor(fan.times / slot_seconds).astype(np.int64)
    result = np.ones(len(slot))
    for chosen in (slot, slot - 1):
        happens, start, strength = drawn_bursts(bursts, chosen)
        begun = (happens < probability) & ((chosen + start) * slot_seconds <= fan.parted)
        if guess is not None:
            here = np.floor(guess.start / slot_seconds) == chosen
            begun = (begun & (chosen != guess.hidden)) | here
            start = np.where(here, guess.start / slot_seconds - chosen, start)
            strength = np.where(here, guess.strength, strength)
        other_happens, other_start, other_strength = drawn_bursts(bursts, fan.apart(chosen))
        # That none has begun in a part of a slot makes one in the rest of it less likely.
        gone = np.clip(fan.parted / slot_seconds - chosen, 0, 1)
        left = probability * (1 - gone) / np.maximum(1 - probability * gone, 1e-9)
        start = np.where(begun, start, gone + (1 - gone) * other_start)
        strength = np.where(begun, strength, other_strength)
        added = rush_of(bursts, fan.times, (chosen + start) * slot_seconds, strength)
        result += np.where(begun | (other_happens < left), added, 0.0)
    return np.where(fan.moments > fan.origins, result, bursts.factor(fan.times, ""))


def shapes_at(load: Shape, entry: str) -> tuple[Shape, ...]:
    """The shapes whose product is the load of an entry, none of them a product or one by entry."""
    match load:
        case ByEntry():
            return shapes_at(load.shapes[entry], entry) if entry in load.shapes else ()
        case Product():
            return tuple(each for shape in load.shapes for each in shapes_at(shape, entry))
        case _:
            return (load,)


def scales_of(noise: Noise, entry: str) -> tuple[tuple[int, float], tuple[int, float]]:
    """Stream and scale in seconds of the slow and the quick part of a noise."""
    scales = (("slow", noise.correlation_seconds), ("quick", noise.correlation_seconds / 4))
    slow, quick = ((stream(name, noise.seed, entry), seconds) for name, seconds in scales)
    return slow, quick


SLOW, QUICK = 0.8, 0.6
"""The weights of the two parts in the logarithm of a noise, in units of its sigma."""


@dataclass(frozen=True, slots=True, eq=False)
class PartedLoad:
    """
    A load that goes on from each origin by other chance.

    Attributes:
        load: As it was.
        fan: The stretches.
        guessed: By entry, what stands for its noise and its bursts at the origins; left out, they are as they were.
    """

    load: Shape
    fan: Fan
    guessed: Mapping[str, Guess]

    def factor(self, times: Floats, entry: str) -> Floats:
        """The load's factor at the times of the fan; it can be asked for no others."""
        result = np.ones_like(times)
        for shape in shapes_at(self.load, entry):
            match shape:
                case Bursts():
                    result *= parted_bursts(shape, self.fan, self.guessed.get(entry))
                case Noise():
                    result *= self._noise(shape, entry)
                case _:
                    result *= shape.factor(times, entry)
        return result

    def _noise(self, noise: Noise, entry: str) -> Floats:
        guess = self.guessed.get(entry)
        knots = (guess.slow, guess.quick) if guess else (None, None)
        slow, quick = (
            parted_noise(number, self.fan, scale, around)
            for (number, scale), around in zip(scales_of(noise, entry), knots, strict=True)
        )
        return np.asarray(np.exp(noise.sigma * (SLOW * slow + QUICK * quick) - noise.sigma**2 / 2))


class PartedFlows(Flows):
    """Flows in which also the shares of traffic and the episodes of sparse services go on by other chance."""

    def __init__(self, mesh: Mesh, load: PartedLoad, *, seed: int) -> None:
        super().__init__(mesh, load, seed=seed)
        self._fan = load.fan

    def _weights(self, clock: Clock) -> Floats:
        calls, fan = self._mesh.calls, self._fan
        weight, drift = (np.array([[getattr(call, name)] for call in calls]) for name in ("weight", "drift"))
        noise = parted_noise(self._drifts, fan, _DRIFT_SECONDS)
        weights: Floats = weight * np.exp(drift * noise - drift**2 / 2)
        episode, reached = (np.floor(times / _EPISODE_SECONDS).astype(np.int64) for times in (clock.times, fan.parted))
        index = np.where(episode > reached, fan.apart(episode), episode)
        for position, call in enumerate(calls):
            if self._mesh.service(call.callee).sparse:
                weights[position] *= uniforms(self._stream("episode", call.callee), index) < _EPISODE_PROBABILITY
        return weights
