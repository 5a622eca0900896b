"""
Small series with a known structure, and tasks on them, for tests of the methods that are measured against each other.
"""

from dataclasses import replace

import numpy as np

from tidecast_predictor.baselines import Fitted, Method, Series, Task

HALF_HOUR = 1800.0
MIDNIGHT = 1_767_225_600


def series(
    values: np.ndarray,
    *,
    step_seconds: float = HALF_HOUR,
    segments: np.ndarray | None = None,
    calls: tuple[tuple[int, int], ...] = (),
    weights: tuple[float, ...] | None = None,
) -> Series:
    """A series of *values* (T, N, F) that starts at midnight; *calls* are (caller, callee) pairs of weight 1."""
    steps, services, features = values.shape
    return Series(
        values=values.astype(np.float32),
        times=MIDNIGHT + (np.arange(steps) * step_seconds).astype(np.int64),
        step_seconds=step_seconds,
        segments=np.zeros(steps, np.int32) if segments is None else segments.astype(np.int32),
        calls=np.array(calls, np.int64).reshape(-1, 2).T.copy(),
        weights=np.array([1.0] * len(calls) if weights is None else weights, np.float32),
        services=tuple(f"s{index}" for index in range(services)),
        features=("rps", "p50_ms", "error_rate", "cpu", "mem")[:features],
    )


def task(of: Series, *, window: int = 8, horizon: int = 3, training: float = 0.6, known: float = 0.8) -> Task:
    """The first 60 percent to learn from, then a gap of a horizon, validation up to 80 percent."""
    training_steps, known_steps = int(training * len(of.times)), int(known * len(of.times))
    within = origins_of(of, 0, len(of.times), horizon=horizon)
    return Task(
        series=of,
        window=window,
        horizon=horizon,
        training=within[within + horizon < training_steps],
        validation=within[(within >= training_steps + horizon) & (within + horizon < known_steps)],
        training_steps=training_steps,
        known_steps=known_steps,
    )


def later_origins(of: Task) -> np.ndarray:
    """The origins after what may be known, whose targets lie in the recording and in the origin's segment."""
    return origins_of(of.series, of.known_steps + of.horizon, len(of.series.times), horizon=of.horizon)


def origins_of(of: Series, begin: int, end: int, *, horizon: int) -> np.ndarray:
    """Origins from *begin* on whose targets lie before *end*, and within the segment of the origin."""
    origins = np.arange(begin, end - horizon, dtype=np.int64)
    return origins[of.segments[origins] == of.segments[origins + horizon]]


def truth(of: Series, origins: np.ndarray, horizon: int) -> np.ndarray:
    """What came after each origin, (S, N, F, H)."""
    return of.values[origins[:, None] + np.arange(1, horizon + 1)].transpose(0, 2, 3, 1)


def error(answer: np.ndarray, of: Series, origins: np.ndarray) -> float:
    """The root mean squared error of forecasts (S, N, F, H), over what was measured."""
    return float(np.sqrt(np.nanmean((answer - truth(of, origins, answer.shape[-1])) ** 2)))


def learn(method: Method, *tasks: Task) -> Fitted:
    """What *method* learns from *tasks*."""
    return method.fit(tasks, seed=0, progress=lambda _: None)


def later_error(method: Method, of: Task) -> float:
    """How far off *method* is at the later origins of what it learnt from."""
    origins = later_origins(of)
    mean = learn(method, of).forecast(of.series, origins, window=of.window, horizon=of.horizon).mean
    return error(mean, of.series, origins)


def sines(days: int = 8, services: int = 3, features: int = 1, *, noise: float = 0.1, seed: int = 0) -> Series:
    """Levels of 10, 20 ... that rise and fall by 2 with the hour, half an hour a step, each service with its phase."""
    chance = np.random.default_rng(seed)
    moments = np.arange(days * 48)[:, None, None] / 48
    phases = np.arange(services)[:, None] / services + np.arange(features) / 10
    levels = 10.0 * (1 + np.arange(services))[:, None]
    wave = 2 * np.sin(2 * np.pi * (moments + phases))
    return series(levels + wave + chance.normal(0, noise, wave.shape))


def delayed_pair(steps: int = 500, delay: int = 1, *, seed: int = 0, noise: float = 0.05) -> Series:
    """
    Two pairs of services: each callee repeats, *delay* steps later, what its caller had; callers are white noise.

    Nothing in a callee's own past tells of its future; its caller's past tells all but the noise. Steps of a minute.
    """
    chance = np.random.default_rng(seed)
    callers = chance.normal(0, 1, (steps + delay, 2))
    callees = callers[:-delay] + chance.normal(0, noise, (steps, 2))
    values = np.stack([callers[delay:, 0], callees[:, 0], callers[delay:, 1], callees[:, 1]], axis=1)
    return series(10 + values[..., None], step_seconds=60.0, calls=((0, 1), (2, 3)))


def autoregressive(steps: int = 2000, services: int = 2, *, coefficient: float = 0.8, seed: int = 0) -> Series:
    """Each value is *coefficient* times the one before, plus noise of deviation 1, around 50; steps of a minute."""
    chance = np.random.default_rng(seed).normal(0, 1, (steps, services))
    values = np.zeros_like(chance)
    for step in range(1, steps):
        values[step] = coefficient * values[step - 1] + chance[step]
    return series(50 + values[..., None], step_seconds=60.0)


def with_missing(of: Series, share: float = 0.3, *, seed: int = 0) -> Series:
    """The same with a share of all measurements missing, at random."""
    hidden = np.random.default_rng(seed).random(of.values.shape) < share
    return replace(of, values=np.where(hidden, np.float32(np.nan), of.values))


def with_segments(of: Series, length: int) -> Series:
    """The same, cut into segments of *length* steps."""
    return replace(of, segments=(np.arange(len(of.times)) // length).astype(np.int32))


def changed_from(of: Series, step: int) -> Series:
    """The same up to *step*, which is the first that is different: what was measured, and what was missing."""
    values = of.values.copy()
    values[step:] = 1000 + np.random.default_rng(7).normal(0, 100, values[step:].shape)
    values[step::2] = np.nan
    return replace(of, values=values)
