"""
The closed loop without a cluster: the autoscaler as rules, the simulator's queueing, the operator's own code for hints.

    python benchmarks/closed_loop/offline.py --seeds 3
    python benchmarks/closed_loop/offline.py --seeds 3 --load-file FILE

Tells in a minute what lead time, quantile, capacity, hold-down and rise limit do, for forecasts of all qualities.
SIMULATED throughout; what it leaves out are trust, failures and everything that talks over a network.
"""

import argparse
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from foresight import DAY_STEPS, HORIZON_STEPS, QUANTILES, Says, kinds, skills
from plant import Plant
from recorded_load import Recording
from rules import Autoscaler, Counts, Pods
from scene import (
    HIGHEST_REPLICAS,
    LEAST_REPLICAS,
    LOADS,
    Pace,
    factors,
    mesh,
    requested_cores,
    scaled,
    targets,
)
from scoring import Course, Score
from stretches import PAST_STEPS, SETTLE_STEPS, Stretch, recorded, simulated

from tidecast_operator.hints import hint as hinting
from tidecast_operator.hints.capacity import Capacity
from tidecast_operator.hints.demand import highest
from tidecast_operator.scaling import Scaling
from tidecast_simulator.randomness import Floats

RESULTS = Path(__file__).parents[1] / "results" / "closed_loop"
_TICKS_A_STEP = 4
_LATE_STEPS = 1  # a forecast is issued when its newest step has been measured


@dataclass(frozen=True, slots=True)
class Variant:
    """
    One way to scale.

    Attributes:
        forecast: Which one, see `foresight.py`; empty for HPA alone.
        lead: `spec.scaling.leadTimeSeconds`.
        quantile: `spec.scaling.quantile`.
        share: What `spec.scaling.perReplica` says, in a pod's full capacity.
        hold: `HOLD_SECONDS`, of a floor.
        rise: `RISE_FACTOR` and `RISE_REPLICAS`.
        start_up: Seconds until a pod is ready.
        cap: The demand counts for at most so many times the median's; not in the operator today.
        door: Whether a hint is a floor or a metric, whose falls the autoscaler waits for like those of any other.
    """

    forecast: str = "informed"
    lead: int = 180
    quantile: float = 0.9
    share: float = 0.8
    hold: int = 300
    rise: tuple[float, int] = (2.0, 4)
    start_up: int = 60
    cap: float = math.inf
    door: Literal["floor", "metric"] = "floor"

    @property
    def alone(self) -> "Variant":
        """HPA alone, in the same world."""
        return Variant(forecast="", start_up=self.start_up)


def skills_of(stretch: Stretch) -> dict[str, float]:
    """What forecasts save of the error of naive ones, one lead time ahead, over the scored day."""
    step = Pace().step
    until = stretch.start_time + (PAST_STEPS + DAY_STEPS + HORIZON_STEPS + 1) * step
    truth, usual = (factors(shape, stretch.start_time, until, step) for shape in (stretch.truth, stretch.usual))
    origins = range(PAST_STEPS, PAST_STEPS + DAY_STEPS)
    return skills(truth, kinds(truth, usual), origins, steps=math.ceil(Variant().lead / step) + 1)


def study(stretch: Stretch, variants: Sequence[Variant], *, hours: float = 24) -> list[Score]:
    """The scores of all variants under one load."""
    services, positions, pace = mesh(), np.array(scaled(mesh())), Pace()
    settled = PAST_STEPS + SETTLE_STEPS
    end = settled + round(hours * 60)
    until = stretch.start_time + (end + HORIZON_STEPS + 1) * pace.step
    by_tick = factors(stretch.truth, stretch.start_time, until, pace.sync)
    by_step = by_tick.reshape(-1, _TICKS_A_STEP).mean(axis=1)
    usual = factors(stretch.usual, stretch.start_time, until, pace.step)
    says = kinds(by_step, usual)

    plant = Plant(services)
    demand = plant.demand()[positions]
    requests = np.array([requested_cores(services.services[position]) for position in positions])
    capacity = np.array([services.services[position].capacity_rps for position in positions])
    hinters = [_Hinter(variant, demand, capacity, says.get(variant.forecast)) for variant in variants]
    shape = (len(variants), len(positions))
    start_up = np.array([round(variant.start_up / pace.sync) for variant in variants])
    first = np.ceil(demand * by_step[PAST_STEPS] / (0.6 * capacity)).astype(np.int64)
    pods = Pods(
        np.broadcast_to(np.maximum(first, LEAST_REPLICAS), shape).copy(),
        np.zeros((*shape, int(start_up.max())), np.int64),
    )
    ready = np.array([[float(service.replicas) for service in services.services]] * len(variants))
    autoscaler, hints = Autoscaler(shape, pace), np.full(shape, LEAST_REPLICAS, dtype=np.int64)
    is_floor = np.array([variant.door == "floor" for variant in variants])[:, None]
    cores: list[Floats] = []
    over, replicas, refused = [], [], []
    limits = np.array(targets())[positions]
    for tick in range(PAST_STEPS * _TICKS_A_STEP, end * _TICKS_A_STEP):
        pods = pods.later()
        ready[:, positions] = pods.ready
        strain = plant.under(np.full(len(variants), by_tick[tick]), ready)
        cores = [*cores, strain.cores[:, positions] / (np.maximum(pods.ready, 1) * requests)][
            -round(pace.metric / pace.sync) :
        ]
        if tick >= settled * _TICKS_A_STEP:
            over.append(strain.p95[:, positions] / limits)
            replicas.append(pods.all)
            refused.append(strain.refused.sum(axis=1))
        if tick % _TICKS_A_STEP == 0:
            origin = tick // _TICKS_A_STEP - _LATE_STEPS
            hints = np.array([hinter.hints(origin, pods.ready[run]) for run, hinter in enumerate(hinters)])
        floors, asked = np.where(is_floor, hints, LEAST_REPLICAS), np.where(is_floor, LEAST_REPLICAS, hints)
        wanted = autoscaler.replicas(pods, np.mean(cores, axis=0), floors, asked)
        pods = pods.scaled(wanted, start_up)
    entered = by_tick[settled * _TICKS_A_STEP : end * _TICKS_A_STEP] * services.services[0].entry_rps * pace.sync
    names = tuple(services.services[position].name for position in positions)
    courses = zip(*(np.swapaxes(np.array(series), 0, 1) for series in (over, replicas, refused)), strict=True)
    return [
        Course(names, pace.sync, own_over, own_replicas.astype(np.float64), own_refused * pace.sync, entered).score()
        for own_over, own_replicas, own_refused in courses
    ]


class _Hinter:
    """What the operator would have said of each service of one run."""

    def __init__(self, variant: Variant, demand: Floats, capacity: Floats, says: Says | None) -> None:
        self._variant = variant
        self._demand = demand
        self._capacities = [Capacity(variant.share * one) for one in capacity]
        self._says = says
        self._memories = [hinting.Memory() for _ in demand]
        self._scaling = Scaling(
            quantile=variant.quantile, lead_time_seconds=variant.lead, min_replicas=LEAST_REPLICAS,
            max_replicas=HIGHEST_REPLICAS,
        )  # fmt: skip

    def hints(self, origin: int, ready: Counts) -> Counts:
        hints = np.full(len(self._demand), LEAST_REPLICAS, dtype=np.int64)
        if self._says is None:
            return hints
        values = self._says(origin).astype(np.float32)
        step = round(Pace().step)
        now = (origin + _LATE_STEPS) * step
        times = (origin + np.arange(1, HORIZON_STEPS + 1)) * step
        hinting.HOLD_SECONDS = self._variant.hold
        hinting.RISE_FACTOR, hinting.RISE_REPLICAS = self._variant.rise
        window = (now - step + 1, now + self._variant.lead + step)
        found = highest(values, QUANTILES, times, quantile=self._variant.quantile, within=window)
        median = highest(values, QUANTILES, times, quantile=0.5, within=window)
        if found is None or median is None:
            return hints
        load = min(found.load, self._variant.cap * median.load)
        for place, demand in enumerate(self._demand):
            facts = hinting.Facts(
                now=now,
                demand=replace(found, load=load * float(demand)),
                capacity=self._capacities[place],
                current_replicas=int(ready[place]),
                memory=self._memories[place],
            )
            hint, self._memories[place] = hinting.decide(facts, self._scaling)
            hints[place] = hint.floor if self._variant.door == "floor" else hint.replicas
        return hints


def questions() -> Mapping[str, list[Variant]]:
    """What is varied, each around the same middle."""
    middle = Variant()
    slow = replace(middle, start_up=120, lead=240)
    forecasts = ("perfect", "informed", "day before", "last value")
    vary: Callable[..., list[Variant]] = lambda name, values, of=middle: [replace(of, **{name: one}) for one in values]  # noqa: E731
    return {
        "forecast": vary("forecast", forecasts),
        "lead time": vary("lead", (0, 60, 120, 180, 240, 360, 600)),
        "quantile": vary("quantile", (0.5, 0.7, 0.8, 0.9, 0.95, 0.99)),
        "share of a pod's capacity": vary("share", (0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)),
        "hold-down": vary("hold", (0, 60, 120, 300, 600)),
        "rise limit": vary("rise", ((1.25, 1), (1.5, 2), (2.0, 4), (4.0, 8), (10.0, 100))),
        "cap over the median": vary("cap", (1.0, 1.1, 1.2, 1.3, 1.5)),
        "together": [
            replace(middle, lead=120, share=0.85),
            replace(middle, lead=120, share=0.85, quantile=0.8),
            replace(middle, forecast="day before", lead=120, share=0.85),
        ],
        "as a metric": [replace(middle, lead=120, share=0.85, door="metric")],
        "start-up of two minutes": [
            slow,
            *vary("share", (0.7, 0.75), slow),
            replace(slow, lead=180),
            replace(slow, lead=360),
        ],
    }


def main() -> None:
    """Print the tables, and write them beside the results of real runs."""
    parser = argparse.ArgumentParser(description="The closed loop without a cluster.")
    parser.add_argument("--seeds", type=int, default=3, help="days that are averaged")
    parser.add_argument("--first-seed", type=int, default=0, help="of a recording, 1 leaves out its last whole day")
    parser.add_argument("--hours", type=float, default=24, help="of the model's time, scored, for each seed")
    parser.add_argument("--load-file", type=Path, nargs="+", help="recorded loads instead, CSV or npz; see the README")
    parser.add_argument("--load-step-seconds", type=float, default=60.0, help="between two values of a recorded load")
    parser.add_argument("--out", type=Path, default=RESULTS)
    flags = parser.parse_args()
    seeds = range(flags.first_seed, flags.first_seed + flags.seeds)
    try:
        stretches = _stretches(flags.load_file, flags.load_step_seconds, seeds, flags.hours)
    except (OSError, ValueError) as error:
        parser.error(f"--load-file: {error}")
    asked = questions()
    variants = list(dict.fromkeys(one for group in asked.values() for one in group))
    baselines = list(dict.fromkeys(one.alone for one in variants))
    everything = [*baselines, *variants]
    results: dict[str, dict[Variant, dict[str, float]]] = {}
    for name, days in stretches.items():
        runs = [study(day, everything, hours=flags.hours) for day in days]
        results[name] = {one: _mean([run[place] for run in runs]) for place, one in enumerate(everything)}
    lines = list(_lines(asked, results))
    lines += ["", "Skill of the forecasts, one lead time ahead, against the better naive one:", ""]
    for name, days in stretches.items():
        found = [skills_of(day) for day in days]
        told = ", ".join(f"{kind} {np.mean([one[kind] for one in found]):+.2f}" for kind in found[0])
        lines.append(f"- {name}: {told}")
    print("\n".join(lines))
    flags.out.mkdir(parents=True, exist_ok=True)
    file = "offline-recorded" if flags.load_file else "offline"
    (flags.out / f"{file}.md").write_text("\n".join(lines) + "\n")
    rows: list[dict[str, Any]] = [
        {"load": name, **asdict(one), **numbers} for name, table in results.items() for one, numbers in table.items()
    ]
    settings = {"seeds": list(seeds), "hours": flags.hours}
    (flags.out / f"{file}.json").write_text(
        json.dumps({"simulated": True, "settings": settings, "rows": rows}, indent=1)
    )


def _stretches(
    files: Sequence[Path] | None, step_seconds: float, seeds: Sequence[int], hours: float
) -> Mapping[str, list[Stretch]]:
    """By the name of each load, one stretch for each seed."""
    if not files:
        return {name: [simulated(name, seed) for seed in seeds] for name in LOADS}
    recordings = [Recording.read(path, step_seconds=step_seconds) for path in files]
    return {one.name: [recorded(one, seed, hours=hours) for seed in seeds] for one in recordings}


def _mean(scores: Sequence[Score]) -> dict[str, float]:
    names = ("service_minutes", "any_violation_minutes", "replica_hours", "scale_events", "turns", "refused_share")
    return {name: float(np.mean([getattr(score, name) for score in scores])) for name in names}


def _lines(
    asked: Mapping[str, list[Variant]], results: Mapping[str, Mapping[Variant, Mapping[str, float]]]
) -> list[str]:
    lines = ["| varied | | " + " | ".join(f"{name}: violation | replica-hours | events" for name in results) + " |"]
    lines.append("|---|---|" + "---|" * (3 * len(results)))
    alone = Variant().alone
    lines.append(_row("HPA alone", "", [_absolute(table[alone]) for table in results.values()]))
    for question, variants in asked.items():
        for one in variants:
            cells = [_relative(table[one], table[one.alone]) for table in results.values()]
            lines.append(_row(question, _what(one), cells))
    return lines


def _row(question: str, what: str, cells: Sequence[str]) -> str:
    return f"| {question} | {what} | {' | '.join(cells)} |"


def _absolute(numbers: Mapping[str, float]) -> str:
    return f"{numbers['service_minutes']:.0f} min | {numbers['replica_hours']:.0f} | {numbers['scale_events']:.0f}"


def _relative(numbers: Mapping[str, float], alone: Mapping[str, float]) -> str:
    return " | ".join(
        f"{100 * (numbers[name] / max(alone[name], 1e-9) - 1):+.1f} %"
        for name in ("service_minutes", "replica_hours", "scale_events")
    )


def _what(one: Variant) -> str:
    return f"{one.forecast}, lead {one.lead}, p{100 * one.quantile:.0f}, share {one.share}, hold {one.hold}, rise {one.rise[0]}/{one.rise[1]}, cap {one.cap}"


if __name__ == "__main__":
    main()
