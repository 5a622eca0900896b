"""
The closed loop on real components: HPA alone, or HPA and forecasts, under the same simulated load.

    python benchmarks/closed_loop/run.py --load rhythm --scaler hpa --minutes 30
    python benchmarks/closed_loop/run.py --load rhythm --scaler floor --minutes 30

Real: etcd, kube-apiserver, kube-controller-manager (Deployments, HPA), Prometheus, predictor and operator. SIMULATED: the
services, their load and history, the kubelet and metrics-server. Time is accelerated, see `--factor`.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import cluster
import numpy as np
import requests
from hastened import TRUSTING
from past import Hastened, recorded
from scene import LOADS, NAMESPACE, Pace, load, mesh, scaled
from stage import PunctualServer, Stage, wait_until

from tidecast_simulator.live import LiveServer
from tidecast_simulator.mesh import Service
from tidecast_simulator.testbed.control_plane import ControlPlane
from tidecast_simulator.testbed.pods import Pods
from tidecast_simulator.testbed.program import Program
from tidecast_simulator.testbed.prometheus import PrometheusServer
from tidecast_simulator.testbed.resource_metrics import ResourceMetrics
from tidecast_simulator.testbed.world import World

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results" / "closed_loop"
SCALERS = ("hpa", "floor")
_STEP_SECONDS, _SCRAPE_SECONDS, _WINDOW_STEPS, _HORIZON_STEPS = 5, 2, 60, 30
_MODEL_DAY = 20_000 * 86_400.0  # the scored time begins here, whatever the real one is
_SETTLE_SECONDS = 90
_POLL_SECONDS = 2.5
_RESOURCES = "serviceperformanceforecasts.tidecast.dev"


@dataclass(frozen=True, slots=True)
class Settings:
    """
    One run.

    Attributes:
        load: See `scene.load`.
        scaler: One of `SCALERS`.
        minutes: Real ones that are scored.
        warm_up_minutes: Real ones before: history is fetched, a model trained, trust earned.
        history_hours: Real ones, with forecasts.
        factor: How much faster everything is.
        seed: Of load and simulation.
        share: What a replica carries, as hints are told, in its full capacity.
        lead: Lead time in seconds of the model's world.
        quantile: Of the forecast.
        from_hour: Of the model's day, when the scored time begins.
        training_seconds: Wall time that a training may take.
        trust: `earned` as in life; `always` to see what hints do by themselves.
    """

    load: str
    scaler: str
    minutes: float
    warm_up_minutes: float
    history_hours: float
    factor: float
    seed: int
    share: float
    lead: float
    quantile: float
    from_hour: float
    training_seconds: int
    trust: str


class HastenedWorld(World):
    """Predictor and operator, the latter with its constants of time divided by a factor."""

    factor = 1.0

    def new_operator(self, name: str = "operator", arguments: Sequence[str] = ()) -> Program:
        """Another operator, not started yet."""
        program = super().new_operator(name, [*arguments, "--hpa-floors"])
        program.command = [sys.executable, HERE / "hastened.py", f"{self.factor:g}", *program.command[1:]]
        return program


def main() -> int:
    """Run once, and add to the results."""
    settings, out, directory = _flags()
    with ExitStack() as stack:
        where = directory or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="closed-loop-")))
        result = run(settings, where)
    out.mkdir(parents=True, exist_ok=True)
    always = "-trusted" if settings.trust == "always" else ""
    name = f"{settings.load}-{settings.scaler}{always}-{settings.seed}"
    (out / f"{name}.json").write_text(json.dumps(result))
    print(json.dumps(result["score"], indent=1))
    return 0


def run(settings: Settings, directory: Path) -> dict[str, Any]:
    """What came of one run; takes the warm-up and the scored minutes."""
    pace, foresees = Pace(), settings.scaler != "hpa"
    tick = pace.sync / settings.factor
    before = settings.warm_up_minutes * 60 if foresees else _SETTLE_SECONDS
    with ExitStack() as stack:
        plane = stack.enter_context(cluster.start(directory / "plane", pace, settings.factor))
        # History first, since it takes a while; it ends a little later than it is made.
        begin = int(time.time()) // _STEP_SECONDS * _STEP_SECONDS + (110 if foresees else 15)
        scored = begin + before
        model_start = _MODEL_DAY + settings.from_hour * 3600
        shape = Hastened(load(settings.load, settings.seed), settings.factor, scored, model_start)
        pods = stack.enter_context(Pods(plane, start_up_seconds=pace.start_up / settings.factor))
        stage = Stage(
            mesh(), shape, pods, tick_seconds=tick, window_ticks=round(pace.metric / pace.sync),
            factor=settings.factor, seed=settings.seed,
        )  # fmt: skip
        storage = directory / "storage"
        server = PunctualServer(stage.live)
        if foresees:
            labels = {"job": "mesh", "instance": server.target}
            start = begin - round(settings.history_hours * 3600)
            recorded(
                mesh(), shape, start=start, end=begin, directory=storage, scrape_seconds=_SCRAPE_SECONDS,
                target_labels=labels, seed=settings.seed,
            )  # fmt: skip
            _say("history is recorded", begin)
        with_metrics = ResourceMetrics(
            plane, directory, usages=stage.usages, window_seconds=pace.metric / settings.factor
        )
        stack.enter_context(with_metrics)
        _apply(plane, cluster.objects(mesh()))
        stack.enter_context(stage)
        wait_until(begin, lambda: stage.is_running, 1, lambda: None)
        notes = stack.enter_context(_forecasting(settings, plane, server, storage, directory)) if foresees else None

        def note() -> None:
            if notes is not None:
                stage.note_trust(notes.offered_share())

        wait_until(scored, lambda: stage.is_running, _POLL_SECONDS, note)
        _say("the scored time begins", scored)
        end = scored + settings.minutes * 60
        wait_until(end, lambda: stage.is_running, _POLL_SECONDS, note)
        course = stage.course(scored, end, with_trust=foresees)
        if notes is not None:
            notes.keep()
    return {
        "simulated": "services, load, history, kubelet, metrics-server",
        "settings": asdict(settings),
        "pace": asdict(pace),
        "score": course.score().as_json(),
        "course": {
            "names": course.names,
            "tick_seconds": course.tick_seconds,
            "over": np.round(course.over, 3).tolist(),
            "replicas": course.replicas.astype(int).tolist(),
            "refused": course.refused.astype(int).tolist(),
            "entered": course.entered.astype(int).tolist(),
            "trusted": None if course.trusted is None else np.round(course.trusted, 3).tolist(),
        },
    }


class Notes:
    """What the operator says, as seen from outside."""

    def __init__(self, plane: ControlPlane, directory: Path) -> None:
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {plane.token}"
        self._session.verify = str(plane.ca_file)
        self._session.trust_env = False
        self._url = f"{plane.url}/apis/tidecast.dev/v1alpha1/namespaces/{NAMESPACE}/serviceperformanceforecasts"
        self._file = directory / "statuses.jsonl"
        self._last: list[dict[str, Any]] = []

    def offered_share(self) -> float:
        """The share of the services whose hints autoscalers are told."""
        items = self._session.get(self._url, timeout=10).json()["items"]
        self._last = [one for one in items if "scaling" in one["spec"]]
        offered = [_is_true(one, "HintOffered") for one in self._last]
        with self._file.open("a") as file:
            rows = {one["metadata"]["name"]: _row(one) for one in self._last}
            file.write(json.dumps({"time": time.time(), **rows}) + "\n")
        return float(np.mean(offered)) if offered else 0.0

    def keep(self) -> None:
        """Writes down the last statuses."""
        self._file.with_name("last-statuses.json").write_text(json.dumps(self._last, indent=1))


def _row(one: dict[str, Any]) -> dict[str, Any]:
    status = one.get("status", {})
    conditions = {each["type"]: each for each in status.get("conditions", [])}
    return {
        "kind": status.get("model", {}).get("kind"),
        "hint": status.get("hint", {}).get("replicas"),
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


@contextmanager
def _forecasting(
    settings: Settings, plane: ControlPlane, server: LiveServer, storage: Path, directory: Path
) -> Iterator[Notes]:
    """Prometheus, predictor and operator, and the resources that ask for hints."""
    services = [mesh().services[position] for position in scaled(mesh())]
    HastenedWorld.factor = settings.factor
    os.environ[TRUSTING] = "yes" if settings.trust == "always" else ""
    server.start()
    try:
        with PrometheusServer.start(
            directory, targets={"mesh": [server.target]}, scrape_interval_seconds=_SCRAPE_SECONDS, storage=storage
        ) as prometheus:
            world = HastenedWorld(
                directory,
                control_plane=plane,
                prometheus_url=prometheus.url,
                predictor_arguments=[f"--training-seconds={settings.training_seconds}", "--training-threads=1"],
            )
            world.predictor.command = [
                sys.executable,
                HERE / "hastened_predictor.py",
                f"{settings.factor:g}",
                *world.predictor.command[1:],
            ]
            with world:
                world.install_definitions()
                world.predictor.start(wait_seconds=120)
                world.operator.start(wait_seconds=60)
                seconds = round(settings.history_hours * 3600)
                world.apply(
                    world.forecaster(
                        prometheus={"url": prometheus.url, "timeoutSeconds": 60},  # a chunk of history takes a while
                        stepSeconds=_STEP_SECONDS,
                        windowSteps=_WINDOW_STEPS,
                        horizonSteps=_HORIZON_STEPS,
                        training={"historySeconds": seconds, "minimumHistorySeconds": round(0.9 * seconds)},
                    )
                )
                log, patience = world.predictor.log, settings.warm_up_minutes * 60
                world.wait_for(lambda: "training on" in log.read_text(), timeout_seconds=patience)
                # Trust is to be earned by the model's forecasts. At this pace a training takes hours of the model's
                # world, in which last value would have spoken and be found bad.
                world.operator.stop()
                _say("a training has begun", time.time())
                world.wait_for(lambda: "training ended" in log.read_text(), timeout_seconds=patience)
                _say(log.read_text().partition("training ended")[2].splitlines()[0], time.time())
                world.kubectl("delete", _RESOURCES, "--all", f"--namespace={NAMESPACE}")
                wants = [_wanted(settings, one) for one in services]
                text = json.dumps({"apiVersion": "v1", "kind": "List", "items": wants})
                world.kubectl("apply", "--validate=false", "-f", "-", stdin=text)
                world.operator.start(wait_seconds=60)
                yield Notes(plane, directory)
    finally:
        server.stop()


def _wanted(settings: Settings, service: Service) -> dict[str, Any]:
    return cluster.forecast(
        service,
        share=settings.share,
        lead_seconds=settings.lead / settings.factor,
        quantile=settings.quantile,
        floor=settings.scaler == "floor",
    )


def _apply(plane: ControlPlane, objects: list[dict[str, Any]]) -> None:
    for one in objects:
        if one["kind"] == "HorizontalPodAutoscaler":
            one["apiVersion"] = _autoscaling(plane)
    plane.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


def _autoscaling(plane: ControlPlane) -> str:
    served = plane.kubectl("api-versions").split()
    return next(version for version in ("autoscaling/v2", "autoscaling/v2beta2") if version in served)


def _say(what: str, moment: float) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what} ({moment - time.time():+.0f} s)", file=sys.stderr, flush=True)


def _flags() -> tuple[Settings, Path, Path | None]:
    parser = argparse.ArgumentParser(description="The closed loop on real components.")
    add = parser.add_argument
    add("--load", choices=LOADS, default="rhythm")
    add("--scaler", choices=SCALERS, default="floor")
    add("--minutes", type=float, default=30.0, help="real ones that are scored")
    add("--warm-up-minutes", type=float, default=21.0, help="real ones before, with forecasts")
    add("--history-hours", type=float, default=48.0, help="real ones")
    add("--factor", type=float, default=12.0, help="how much faster than in the model's world everything is")
    add("--seed", type=int, default=0)
    add("--share", type=float, default=0.85, help="of its full capacity, what a replica carries as hints are told")
    add("--lead", type=float, default=120.0, help="seconds of the model's world")
    add("--quantile", type=float, default=0.9)
    add("--from-hour", type=float, default=10.75, help="of the model's day, when the scored time begins")
    add("--training-seconds", type=int, default=240)
    add("--trust", choices=("earned", "always"), default="earned", help="always: to see what hints do by themselves")
    add("--out", type=Path, default=RESULTS)
    add("--directory", type=Path, help="for logs and data; left out, a temporary one")
    flags = vars(parser.parse_args())
    out, directory = cast("Path", flags.pop("out")), cast("Path | None", flags.pop("directory"))
    return Settings(**flags), out, directory


if __name__ == "__main__":
    sys.exit(main())
