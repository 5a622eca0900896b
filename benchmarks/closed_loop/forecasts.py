"""
What a run with forecasts has beside HPA alone: Prometheus, predictor, operator, and what the operator says meanwhile.
"""

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cluster
import requests
from doors import Door, MetricDoor, door_of, heard
from hastened import TRUSTING
from scene import NAMESPACE, mesh, scaled
from settings import Settings

from tidecast_simulator.live import LiveServer
from tidecast_simulator.mesh import Service
from tidecast_simulator.testbed.control_plane import ControlPlane
from tidecast_simulator.testbed.program import Program
from tidecast_simulator.testbed.prometheus import PrometheusServer
from tidecast_simulator.testbed.world import World

STEP_SECONDS, SCRAPE_SECONDS = 5, 2
_WINDOW_STEPS, _HORIZON_STEPS = 60, 30
_HERE = Path(__file__).parent
_RESOURCES = "serviceperformanceforecasts.tidecast.dev"


class HastenedWorld(World):
    """
    Predictor and operator, their constants of time divided by a factor.

    Args:
        directory: For logs and data.
        control_plane: Where the resources are.
        prometheus_url: What the Forecaster names.
        factor: By which time is divided.
        operator_flags: More of them.
        predictor_flags: More of them.
    """

    def __init__(  # noqa: PLR0913 - each has a name at the call
        self,
        directory: Path,
        *,
        control_plane: ControlPlane,
        prometheus_url: str,
        factor: float,
        operator_flags: Sequence[str],
        predictor_flags: Sequence[str],
    ) -> None:
        self._factor, self._operator_flags = factor, operator_flags
        super().__init__(
            directory,
            control_plane=control_plane,
            prometheus_url=prometheus_url,
            predictor_arguments=predictor_flags,
        )
        self._hasten(self.predictor, "hastened_predictor.py")

    def new_operator(self, name: str = "operator", arguments: Sequence[str] = ()) -> Program:
        """Another operator, not started yet."""
        program = super().new_operator(name, [*arguments, *self._operator_flags])
        self._hasten(program, "hastened.py")
        return program

    def _hasten(self, program: Program, script: str) -> None:
        program.command = [sys.executable, _HERE / script, f"{self._factor:g}", *program.command[1:]]


class Forecasts:
    """
    What the operator says, as seen from outside, and the door by which autoscalers hear of it.

    Args:
        plane: With all resources.
        door: Opened for a service as soon as its hint is offered for the first time, as somebody would who looks at the
            condition `HintOffered` before changing an autoscaler.
        share: What a replica carries, in its full capacity.
        directory: For what is noted.
    """

    def __init__(self, plane: ControlPlane, door: Door, *, share: float, directory: Path) -> None:
        self._plane, self._door, self._share = plane, door, share
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {plane.token}"
        self._session.verify = str(plane.ca_file)
        self._session.trust_env = False
        self._autoscaling = cluster.autoscaling_version(plane)
        self._file = directory / "statuses.jsonl"
        self._last: list[dict[str, Any]] = []
        self._opened: set[str] = set()

    def look(self) -> float:
        """The share of the services whose hints autoscalers are told now."""
        items = self._items("tidecast.dev/v1alpha1", "serviceperformanceforecasts")
        self._last = [one for one in items if "scaling" in one["spec"]]
        offered = {one["metadata"]["name"] for one in self._last if _is_true(one, "HintOffered")}
        self._open(offered - self._opened)
        heard_by = self.heard() or {}
        with self._file.open("a") as file:
            rows = {(name := one["metadata"]["name"]): _row(one, heard_by.get(name)) for one in self._last}
            file.write(json.dumps({"time": time.time(), **rows}) + "\n")
        return len(offered) / len(self._last) if self._last else 0.0

    def heard(self) -> dict[str, str] | None:
        """By service, what its autoscaler's status says of the metric; None where hints do not come as a metric."""
        if not isinstance(self._door, MetricDoor):
            return None
        items = self._items(self._autoscaling, "horizontalpodautoscalers")
        return {one["metadata"]["name"]: heard(one) for one in items}

    def keep(self) -> None:
        """Writes down the last statuses."""
        self._file.with_name("last-statuses.json").write_text(json.dumps(self._last, indent=1))

    def _open(self, names: set[str]) -> None:
        if not names:
            return
        services = [service for service in mesh().services if service.name in names]
        self._door.open(self._plane, services, share=self._share)
        self._opened |= names

    def _items(self, api: str, resource: str) -> list[dict[str, Any]]:
        url = f"{self._plane.url}/apis/{api}/namespaces/{NAMESPACE}/{resource}"
        answer = self._session.get(url, timeout=10)
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()["items"]
        return found


@contextmanager
def forecasting(
    settings: Settings, plane: ControlPlane, server: LiveServer, storage: Path, directory: Path
) -> Iterator[Forecasts]:
    """Prometheus with the past in *storage*, a predictor that has trained on it, and an operator with all resources."""
    os.environ[TRUSTING] = "yes" if settings.trust == "always" else ""
    door = door_of(settings.scaler, directory)
    server.start()
    try:
        with PrometheusServer.start(
            directory, targets={"mesh": [server.target]}, scrape_interval_seconds=SCRAPE_SECONDS, storage=storage
        ) as prometheus:
            world = HastenedWorld(
                directory,
                control_plane=plane,
                prometheus_url=prometheus.url,
                factor=settings.factor,
                operator_flags=door.operator_flags,
                predictor_flags=[f"--training-seconds={settings.training_seconds}", "--training-threads=1"],
            )
            with world:
                _train(world, settings)
                world.kubectl("delete", _RESOURCES, "--all", f"--namespace={NAMESPACE}")
                services = [mesh().services[position] for position in scaled(mesh())]
                wants = [_wanted(settings, one) for one in services]
                text = json.dumps({"apiVersion": "v1", "kind": "List", "items": wants})
                world.kubectl("apply", "--validate=false", "-f", "-", stdin=text)
                world.operator.start(wait_seconds=60)
                with door.registered(plane):
                    yield Forecasts(plane, door, share=settings.share, directory=directory)
    finally:
        server.stop()


def say(what: str, moment: float) -> None:
    """Tells on stderr how a run goes, and how far from now a moment is."""
    print(f"{time.strftime('%H:%M:%S')} {what} ({moment - time.time():+.0f} s)", file=sys.stderr, flush=True)


def _train(world: HastenedWorld, settings: Settings) -> None:
    """
    Leaves a trained predictor, and an operator that does not run.

    Trust is to be earned by the model's forecasts. At this pace a training takes hours of the model's world, in which last
    value would have spoken and be found bad.
    """
    world.install_definitions()
    world.predictor.start(wait_seconds=120)
    world.operator.start(wait_seconds=60)
    seconds = round(settings.history_hours * 3600)
    world.apply(
        world.forecaster(
            # A chunk of history takes a while.
            prometheus={"url": world.prometheus_url, "timeoutSeconds": 60},
            stepSeconds=STEP_SECONDS,
            windowSteps=_WINDOW_STEPS,
            horizonSteps=_HORIZON_STEPS,
            training={"historySeconds": seconds, "minimumHistorySeconds": round(0.9 * seconds)},
        )
    )
    log, patience = world.predictor.log, settings.warm_up_minutes * 60
    world.wait_for(lambda: "training on" in log.read_text(), timeout_seconds=patience)
    world.operator.stop()
    say("a training has begun", time.time())
    world.wait_for(lambda: "training ended" in log.read_text(), timeout_seconds=patience)
    say(log.read_text().partition("training ended")[2].splitlines()[0], time.time())


def _wanted(settings: Settings, service: Service) -> dict[str, Any]:
    return cluster.forecast(
        service,
        share=settings.share,
        lead_seconds=settings.lead / settings.factor,
        quantile=settings.quantile,
        floor=settings.scaler == "floor",
    )


def _row(one: dict[str, Any], heard_value: str | None) -> dict[str, Any]:
    status = one.get("status", {})
    conditions = {each["type"]: each for each in status.get("conditions", [])}
    return {
        "kind": status.get("model", {}).get("kind"),
        "hint": status.get("hint", {}).get("replicas"),
        "heard": heard_value,
        "limitedBy": status.get("hint", {}).get("limitedBy"),
        "trusted": conditions.get("Trusted", {}).get("reason"),
        "offered": conditions.get("HintOffered", {}).get("reason"),
        "skill": status.get("skill", {}).get("skill"),
        "coverage": status.get("skill", {}).get("coverage"),
        "rps": status.get("current", {}).get("requestsPerSecond"),
        "ready": status.get("current", {}).get("readyReplicas"),
    }


def _is_true(one: dict[str, Any], kind: str) -> bool:
    conditions = one.get("status", {}).get("conditions", [])
    return any(each["type"] == kind and each["status"] == "True" for each in conditions)
