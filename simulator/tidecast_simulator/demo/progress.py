"""
Waits until the operator has filled the history, the predictor has trained, and the forecasts are the trained model's.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from tqdm import tqdm

from tidecast_simulator.demo.forecasts import quantity
from tidecast_simulator.demo.telling import bar, step
from tidecast_simulator.testbed.process import NotReady
from tidecast_simulator.testbed.world import World

TRAINED = "GCN-GRU"
_POLL_SECONDS = 1.0
_FILL_SECONDS = 600
_TRAIN_SECONDS = 600
# A cycle may just have begun when the model is ready; the next one speaks with it, a step later.
_CYCLE_SECONDS = 150


def await_forecasts(world: World) -> str:
    """
    Returns when every resource has a forecast by the best model there is, with why that one speaks.

    Raises:
        NotReady: If filling, training or publishing does not end in time, with the conditions of the Forecaster.
    """
    with step("filling the predictor's history from Prometheus"):
        _follow(world, "filling the history", _history_progress, seconds=_FILL_SECONDS)
    with step("training the GCN-GRU on it"):
        _follow(world, "training", _training_progress, seconds=_TRAIN_SECONDS)
    model = _forecaster_status(world).get("model", {})
    with step(f"waiting for the next cycle, which speaks with {model.get('kind', 'it')}"):
        _wait(world, lambda: _all_speak(world, model.get("kind", "")), seconds=_CYCLE_SECONDS)
    return str(model.get("reason", "no reason given"))


def _follow(world: World, what: str, measure: Callable[[Mapping[str, Any]], float], *, seconds: float) -> None:
    with bar(what) as progress:

        def done() -> bool:
            reached = measure(_forecaster_status(world))
            progress.update(max(reached, progress.n) - progress.n)
            return reached >= 1

        _wait(world, done, seconds=seconds)


def _wait(world: World, done: Callable[[], bool], *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        for program in (world.operator, world.predictor):
            if not program.is_running:
                raise NotReady(f"{program.command[0]} ended; the end of {program.log}:\n{program.process.tail()}")
        if time.monotonic() > deadline:
            conditions = _forecaster_status(world).get("conditions", [])
            lines = [f"{one['type']}={one['status']} {one['reason']}: {one.get('message', '')}" for one in conditions]
            raise NotReady("\n".join([f"not done after {seconds:g} s; the Forecaster says:", *lines]))
        time.sleep(_POLL_SECONDS)


def _forecaster_status(world: World) -> dict[str, Any]:
    status: dict[str, Any] = world.get("forecaster", "default").get("status", {})
    return status


def _history_progress(status: Mapping[str, Any]) -> float:
    return quantity(status.get("history", {}).get("progress", "0"))


def _training_progress(status: Mapping[str, Any]) -> float:
    training = status.get("training", {})
    if training.get("state") == "Failed":
        tqdm.write(f"  the training failed: {training.get('message')}")
        return 1.0
    return 1.0 if training.get("finishedTime") else min(quantity(training.get("progress", "0")), 0.99)


def _all_speak(world: World, kind: str) -> bool:
    """Whether each resource has a forecast, and at least one comes from the model that is served."""
    kinds = [item.get("status", {}).get("model", {}).get("kind") for item in world.get("spf", "-A").get("items", [])]
    return bool(kinds) and all(kinds) and kind in kinds
