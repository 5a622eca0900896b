"""
The closed loop on real components: HPA alone, or HPA and forecasts by one of the doors, under the same load.

    python benchmarks/closed_loop/run.py --load rhythm --scaler hpa --minutes 30
    python benchmarks/closed_loop/run.py --load rhythm --scaler external --minutes 30
    python benchmarks/closed_loop/run.py --load-file FILE --scaler floor --minutes 30

Real: etcd, kube-apiserver, kube-controller-manager (Deployments, HPA), Prometheus, predictor and operator. SIMULATED: the
services, their requests and history, the kubelet and metrics-server. Time is accelerated, see `--factor`.
"""

import json
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cluster
import numpy as np
from forecasts import SCRAPE_SECONDS, STEP_SECONDS, forecasting, say
from past import Hastened, recorded
from run_flags import told
from scene import Pace, mesh
from settings import Settings
from stage import PunctualServer, Stage, wait_until

from tidecast_simulator.load import Shape
from tidecast_simulator.testbed.pods import Pods
from tidecast_simulator.testbed.resource_metrics import ResourceMetrics

_MODEL_DAY = 20_000 * 86_400.0  # the scored time begins on this day, whatever the real one is
_SETTLE_SECONDS = 90
_POLL_SECONDS = 2.5


def main() -> int:
    """Run once, and add to the results."""
    flags = told(sys.argv[1:])
    settings, shape = flags.settings, flags.load(_MODEL_DAY)
    with ExitStack() as stack:
        where = flags.directory or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="closed-loop-")))
        result = run(settings, shape, where)
    flags.out.mkdir(parents=True, exist_ok=True)
    (flags.out / f"{settings.name}.json").write_text(json.dumps(result))
    print(json.dumps(result["score"], indent=1))
    return 0


def run(settings: Settings, load_shape: Shape, directory: Path) -> dict[str, Any]:
    """What came of one run under a load of the model's time; takes the warm-up and the scored minutes."""
    pace, foresees = Pace(), settings.has_forecasts
    tick = pace.sync / settings.factor
    before = settings.warm_up_minutes * 60 if foresees else _SETTLE_SECONDS
    with ExitStack() as stack:
        plane = stack.enter_context(cluster.start(directory / "plane", pace, settings.factor))
        # History first, since it takes a while; it ends a little later than it is made.
        begin = int(time.time()) // STEP_SECONDS * STEP_SECONDS + (110 if foresees else 15)
        scored = begin + before
        model_start = _MODEL_DAY + settings.from_hour * 3600
        shape = Hastened(load_shape, settings.factor, scored, model_start)
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
                mesh(), shape, start=start, end=begin, directory=storage, scrape_seconds=SCRAPE_SECONDS,
                target_labels=labels, seed=settings.seed,
            )  # fmt: skip
            say("history is recorded", begin)
        with_metrics = ResourceMetrics(
            plane, directory, usages=stage.usages, window_seconds=pace.metric / settings.factor
        )
        stack.enter_context(with_metrics)
        cluster.apply(plane, cluster.objects())
        stack.enter_context(stage)
        wait_until(begin, lambda: stage.is_running, 1, lambda: None)
        forecasts = None
        if foresees:
            forecasts = stack.enter_context(forecasting(settings, plane, server, storage, directory))

        def note() -> None:
            if forecasts is not None:
                stage.note_trust(forecasts.look())

        wait_until(scored, lambda: stage.is_running, _POLL_SECONDS, note)
        say("the scored time begins", scored)
        end = scored + settings.minutes * 60
        wait_until(end, lambda: stage.is_running, _POLL_SECONDS, note)
        course = stage.course(scored, end, with_trust=foresees)
        heard = None
        if forecasts is not None:
            heard = forecasts.heard()
            forecasts.keep()
    return {
        "simulated": "services, their requests, history, kubelet, metrics-server",
        "settings": asdict(settings),
        "pace": asdict(pace),
        "score": course.score().as_json(),
        "heard": heard,
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


if __name__ == "__main__":
    sys.exit(main())
