"""
What the requests counted at an entry tell about the noise of its load and a burst under way: SIMULATED.

The noise is a straight line between knots that are standard normal, and the logarithm of a count differs from that of
its mean by about a normal number of variance 1/mean: so given a burst the knots are normal, and how likely each burst is
comes out of the same sums. Both can be drawn. Shapes: `W` counts, `B` possible bursts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from observing import STEP_SECONDS
from parting import QUICK, SLOW, Guess, drawn_bursts, knots_at, rush_of, scales_of, shapes_at, slot_of

from tidecast_simulator.flows import Clock, Flows
from tidecast_simulator.load import Bursts, Noise, Shape
from tidecast_simulator.mesh import Mesh
from tidecast_simulator.randomness import Floats, Indices

# Counts that are looked back on: more than three times the longest way from knot to knot.
_LOOKED_BACK = 300
# Strengths of bursts that are told apart.
_STRENGTHS = 0.5 + (np.arange(8) + 0.5) / 8


@dataclass(frozen=True, slots=True, eq=False)
class Possible:
    """
    The bursts that may be under way at a moment, and what is known for sure.

    Attributes:
        hidden: The slot of the one that is under way; -1 if none is.
        start: Of shape (B,), unix seconds; NaN for none under way.
        strength: Of shape (B,); NaN for none under way.
        weights: How likely each is before anything is counted, up to a factor, of shape (B,).
        known: What bursts that are over add to the factor, of shape (W,).
    """

    hidden: int
    start: Floats
    strength: Floats
    weights: Floats
    known: Floats


def possible_bursts(bursts: Bursts, times: Floats) -> Possible:
    """
    Which bursts may be under way at the last of some times.

    Those that are over are known. So is an earlier one if two are under way, which one slot after the other allows.
    """
    now, length = times[-1], bursts.duration_seconds
    slot_seconds, probability = slot_of(bursts)
    slot = int(now // slot_seconds)
    slots = np.array([slot - 1, slot], dtype=np.int64)
    happens, start, strength = drawn_bursts(bursts, slots)
    start = (slots + start) * slot_seconds
    begun = (happens < probability) & (start <= now)
    under_way = begun & (start + length > now)
    place = int(np.flatnonzero(under_way)[-1]) if under_way.any() else -1
    silent = np.array([1 - probability, 1 - probability * (now / slot_seconds - slot)])
    taken = begun & ~under_way
    taken[0] |= under_way.all()
    silent[taken] = 1.0
    starts, weights = [np.nan], [0.0 if under_way.all() else silent.prod()]
    for ago in np.arange(0.5 * STEP_SECONDS, length, STEP_SECONDS):
        of = int((now - ago) // slot_seconds) - slot + 1
        if not taken[of]:
            starts.append(now - ago)
            weights.append(probability * STEP_SECONDS / slot_seconds * silent[1 - of])
    count = len(_STRENGTHS)
    strengths = np.where(np.isnan(np.repeat(starts, count)), np.nan, np.tile(_STRENGTHS, len(starts)))
    known = bursts.factor(times, "")
    if place >= 0:
        known = known - rush_of(bursts, times, start[place], strength[place])
    hidden = int(slots[place]) if place >= 0 else -1
    return Possible(hidden, np.repeat(starts, count), strengths, np.repeat(weights, count) / count, known)


@dataclass(frozen=True, slots=True, eq=False)
class Beliefs:
    """
    What counts tell of a moment.

    Attributes:
        weights: How likely each possible burst is; they sum to 1, of shape (B,).
        means: Of the knots around the moment given each burst: the slow part's two, then the quick part's, (B, 4).
        covariance: Of these, whichever burst it is, (4, 4).
    """

    weights: Floats
    means: Floats
    covariance: Floats


def believed(counts: Floats, expected: Floats, weights: Floats, times: Floats, noise: Noise) -> Beliefs:
    """
    What counts tell of the moment of the last of them.

    Args:
        counts: Of requests, in ticks that follow each other, (W,).
        expected: What they would be on average without the noise, for each possible burst, (B, W).
        weights: How likely each burst is before anything is counted, up to a factor, (B,).
        times: The middles of the ticks, unix seconds, (W,).
        noise: Whose knots.
    """
    lines, around = _lines(times, noise)
    precision = np.maximum(counts, 1.0)
    # The mean of the logarithm of a count lies below the logarithm of its mean.
    seen = np.log(precision / expected) + 0.5 / precision + noise.sigma**2 / 2
    covariance = np.asarray(np.linalg.inv(np.eye(lines.shape[1]) + (lines.T * precision) @ lines), dtype=np.float64)
    told = (seen * precision) @ lines
    means = told @ covariance
    fits = np.log(np.maximum(weights, 1e-300)) - (np.square(seen) @ precision - (means * told).sum(axis=1)) / 2
    likely = np.exp(fits - fits.max())
    return Beliefs(likely / likely.sum(), means[:, around], covariance[np.ix_(around, around)])


def _lines(times: Floats, noise: Noise) -> tuple[Floats, Sequence[int]]:
    """How the logarithm of the load depends on the knots, (W, knots), and which knots are those around the last time."""
    parts, around, width = [], [], 0
    for weight, (_, scale) in zip((SLOW, QUICK), scales_of(noise, ""), strict=True):
        left, fraction = knots_at(times, scale)
        place, rows = left - left[0], np.arange(len(times))
        part = np.zeros((len(times), int(place[-1]) + 2))
        size = np.sqrt((1 - fraction) ** 2 + fraction**2)
        part[rows, place] = noise.sigma * weight * (1 - fraction) / size
        part[rows, place + 1] = noise.sigma * weight * fraction / size
        around += [width + int(place[-1]), width + int(place[-1]) + 1]
        width += part.shape[1]
        parts.append(part)
    return np.concatenate(parts, axis=1), around


@dataclass(frozen=True, slots=True, eq=False)
class Watcher:
    """
    Draws what the load of an entry may be at some origins, as the counts up to each tell of it.

    All but the noise and a burst under way is known: the hour, the day, campaigns, bursts that are over.

    Attributes:
        knots: The slow part's before and after the origin, then the quick part's, of shape (4, S, draws).
        hidden: As in `Guess`, of shape (S, draws).
        start: As in `Guess`, of shape (S, draws).
        strength: As in `Guess`, of shape (S, draws).
    """

    knots: NDArray[np.float64]
    hidden: Indices
    start: Floats
    strength: Floats

    def guess(self, origins: slice, ticks: int) -> Guess:
        """For each tick of the stretches of some origins, so many ticks each."""
        slow, after_slow, quick, after_quick, start, strength = (
            np.repeat(each[origins].ravel(), ticks) for each in (*self.knots, self.start, self.strength)
        )
        hidden = np.repeat(self.hidden[origins].ravel(), ticks)
        return Guess((slow, after_slow), (quick, after_quick), hidden, start, strength)


def watchers(mesh: Mesh, load: Shape, origins: Indices, *, seed: int, draws: int) -> dict[str, Watcher]:
    """For each entry, of whose load one shape must be noise and one bursts; *origins* are ticks."""
    clock = Clock(np.arange(origins.min() - _LOOKED_BACK, origins.max() + 1, dtype=np.int64), float(STEP_SECONDS))
    entered = Flows(mesh, load, seed=seed).between(clock).entered
    chance = np.random.default_rng((seed, 7))
    found = {}
    for position, service in enumerate(mesh.services):
        if not service.entry_rps:
            continue
        shapes = shapes_at(load, service.key)
        noise = next(shape for shape in shapes if isinstance(shape, Noise))
        bursts = next(shape for shape in shapes if isinstance(shape, Bursts))
        steady = np.full(len(clock.ticks), service.entry_rps * STEP_SECONDS)
        for shape in shapes:
            if shape not in (noise, bursts):
                steady *= shape.factor(clock.times, service.key)
        rows = []
        for origin in (origins - clock.ticks[0]).tolist():
            past = slice(origin + 1 - _LOOKED_BACK, origin + 1)
            times = clock.times[past]
            may = possible_bursts(bursts, times)
            added = rush_of(bursts, times, may.start[:, None], may.strength[:, None])
            factor = may.known + np.where(np.isnan(added), 0.0, added)
            beliefs = believed(entered[position, past], steady[past] * factor, may.weights, times, noise)
            which = chance.choice(len(beliefs.weights), draws, p=beliefs.weights)
            knots = chance.multivariate_normal(np.zeros(4), beliefs.covariance, draws, method="cholesky")
            rows.append(
                (knots + beliefs.means[which], np.full(draws, may.hidden), may.start[which], may.strength[which])
            )
        knots, hidden, start, strength = (np.array(each) for each in zip(*rows, strict=True))
        found[service.key] = Watcher(np.moveaxis(knots, 2, 0), hidden, start, strength)
    return found
