"""
Capacities are learned from the days before the operator's start, little by little.
"""

import asyncio
import threading
from dataclasses import dataclass, field

import numpy as np
import pytest

from builders.capacities import END, STEP, measured, service
from builders.telemetry import calls, cluster, series, traffic, workload_body, workload_peer
from tidecast_contract.features import LATENCY_P95, READY_REPLICAS, REQUESTS
from tidecast_operator.capacity_filling import HISTORY_SECONDS, WATCHED_SECONDS, CapacityFiller, Wanted, next_chunk
from tidecast_operator.errors import PrometheusUnavailable
from tidecast_operator.hints.capacities import CapacityKeeper
from tidecast_operator.telemetry.observations import Observations

WEB, DAY = service("web"), 86_400
NIGHT_STEPS = 90

A_WEEK = 7 * DAY / 300 * 2 * (1 - np.exp(-0.5)) + NIGHT_STEPS
"""Samples of a week that fade over two, and of the night after it."""


@dataclass
class PastOfWeb:
    """
    A Prometheus that knows 50 requests/s of each of two replicas, with a p95 of 20 ms.

    Attributes:
        since: From then on.
        error: What it raises instead.
        warnings: What its storage has to say.
        gate: What it waits for; None to answer at once.
        started: Set once it was asked.
        asked: (start, end, step) of every question.
        threads: In which it was asked.
    """

    since: int = 0
    error: Exception | None = None
    warnings: tuple[str, ...] = ()
    gate: threading.Event | None = None
    started: threading.Event = field(default_factory=threading.Event)
    asked: list[tuple[int, int, int]] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)

    def collect(self, start_time, end_time, step_seconds):
        self.asked.append((start_time, end_time, step_seconds))
        self.threads.append(threading.current_thread())
        self.started.set()
        if self.gate is not None:
            self.gate.wait(10)
        if self.error is not None:
            raise self.error
        times = np.arange(start_time, end_time + 1, step_seconds)
        web, is_known = workload_peer("web"), times >= self.since

        def of(value):
            return series({web: np.where(is_known, value, np.nan)} if is_known.any() else {}, len(times))

        found = traffic(
            calls=calls(), requests=of(100.0), errors=series({}, len(times)), latencies={LATENCY_P95: of(0.02)}
        )
        told = {"queries": 4, "warnings": self.warnings, "is_partial": bool(self.warnings)}
        return Observations(end_time, step_seconds, len(times), (found,), {READY_REPLICAS: of(2.0)}, **told)


def workloads():
    return cluster(workload_body("web"))


def night(end=END, steps=NIGHT_STEPS):
    return measured({WEB: {"load": np.full(steps, 5.0), "p95": 0.02}}, end=end)


def watching():
    keeper = CapacityKeeper()
    keeper.after(night())
    return keeper, CapacityFiller(keeper)


async def cycles(filler, collector, number, **changes):
    for _ in range(number):
        filler.consider(collector, workloads, **({"step_seconds": STEP, "services": 1} | changes))
        await filler.idle()


def told(keeper):
    return keeper.after(night(end=END + STEP, steps=1)).of(WEB, REQUESTS)


def chunks(wanted):
    found, back_to = [], None
    while (chunk := next_chunk(wanted, back_to)) is not None:
        found.append(chunk)
        back_to = chunk[0] - wanted.coarse_seconds
    return found


@pytest.mark.parametrize("step", [10, 60, 70, 300, 900])
@pytest.mark.parametrize("services", [1, 1000, 100_000, 1_000_000])
@pytest.mark.parametrize("offset", [0, 60, 3540])
def test_chunks_cover_the_week_before_once_the_newest_first(step, services, offset):
    wanted = Wanted(END + offset, step, services)
    coarse = wanted.coarse_seconds

    found = chunks(wanted)

    steps = [time for first, last in found for time in range(last, first - 1, -coarse)]
    assert steps == list(range(steps[0], steps[-1] - 1, -coarse))
    assert END + offset - coarse < steps[0] <= END + offset
    assert 0 <= steps[-1] - coarse - (END + offset - HISTORY_SECONDS) < coarse
    assert all(time % coarse == 0 for time in steps)


def test_a_step_of_history_is_a_multiple_of_the_cycles():
    assert [Wanted(END, step, 1).coarse_seconds for step in (10, 60, 70, 900)] == [300, 300, 350, 900]


def test_of_many_services_less_is_asked_for_at_once():
    assert Wanted(END, STEP, 20).chunk_steps == DAY // 300
    assert Wanted(END, STEP, 10_000).chunk_steps == 200


async def test_a_cycle_asks_for_one_chunk():
    _, filler = watching()
    collector = PastOfWeb()

    await cycles(filler, collector, 1)

    assert len(collector.asked) == 1


async def test_what_history_tells_is_known_when_it_is_complete():
    keeper, filler = watching()
    assert told(keeper).per_replica == pytest.approx(5, rel=1e-3)

    await cycles(filler, PastOfWeb(), 9)

    assert filler.is_ready
    assert told(keeper).per_replica == pytest.approx(50, rel=1e-3)
    assert told(keeper).samples == pytest.approx(A_WEEK, rel=0.01)


async def test_nothing_is_asked_for_that_the_cycle_has_measured_itself():
    _, filler = watching()
    collector = PastOfWeb()

    await cycles(filler, collector, 9)

    assert max(end for _, end, _ in collector.asked) <= night().start_time - STEP


async def test_before_the_first_window_nothing_is_asked_for():
    collector = PastOfWeb()

    await cycles(CapacityFiller(CapacityKeeper()), collector, 2)

    assert not collector.asked


async def test_a_prometheus_that_fails_is_asked_for_the_same_again():
    keeper, filler = watching()
    collector = PastOfWeb(error=PrometheusUnavailable("slow"))
    await cycles(filler, collector, 3)
    assert len(set(collector.asked)) == 1
    assert not filler.is_ready
    collector.error = None

    await cycles(filler, collector, 9)

    assert filler.is_ready
    assert told(keeper).samples == pytest.approx(A_WEEK, rel=0.01)


async def test_what_prometheus_answers_in_part_is_not_learned_and_asked_for_again():
    keeper, filler = watching()
    collector = PastOfWeb(warnings=("store gateway: deadline exceeded",))
    await cycles(filler, collector, 3)
    assert len(set(collector.asked)) == 1
    collector.warnings = ()

    await cycles(filler, collector, 9)

    assert told(keeper).samples == pytest.approx(A_WEEK, rel=0.01)


async def test_an_error_that_nobody_expected_ends_neither_the_filling_nor_the_cycle(caplog):
    keeper, filler = watching()
    collector = PastOfWeb(error=RuntimeError("bug"))
    await cycles(filler, collector, 1)
    assert "history of capacities failed" in caplog.text
    collector.error = None

    await cycles(filler, collector, 9)

    assert told(keeper).per_replica == pytest.approx(50, rel=1e-3)


async def test_a_prometheus_that_keeps_two_days_is_enough():
    keeper, filler = watching()

    await cycles(filler, PastOfWeb(since=END - 2 * DAY), 9)

    assert filler.is_ready
    assert told(keeper).samples == pytest.approx(2 * 288 * 0.93 + NIGHT_STEPS, rel=0.04)


async def test_once_complete_nothing_more_is_asked_for():
    _, filler = watching()
    collector = PastOfWeb()
    await cycles(filler, collector, 9)
    asked = len(collector.asked)

    await cycles(filler, collector, 3)

    assert len(collector.asked) == asked


async def test_until_history_is_complete_it_is_not_ready_unless_it_has_watched_for_a_day():
    keeper, filler = watching()
    await cycles(filler, PastOfWeb(), 3)
    assert not filler.is_ready

    keeper.after(night(end=END + WATCHED_SECONDS))

    assert filler.is_ready


async def test_the_event_loop_goes_on_while_prometheus_is_slow():
    keeper, filler = watching()
    collector = PastOfWeb(gate=threading.Event())
    filler.consider(collector, workloads, step_seconds=STEP, services=1)
    await asyncio.to_thread(collector.started.wait, 10)
    assert filler.is_running
    assert collector.threads[0] is not threading.main_thread()

    filler.consider(collector, workloads, step_seconds=STEP, services=1)
    collector.gate.set()
    await filler.idle()

    assert len(collector.asked) == 1
    assert told(keeper).per_replica == pytest.approx(50, rel=1e-3)


async def test_what_is_stopped_is_taken_up_again_and_learned_once():
    keeper, filler = watching()
    collector = PastOfWeb(gate=threading.Event())
    filler.consider(collector, workloads, step_seconds=STEP, services=1)
    await asyncio.to_thread(collector.started.wait, 10)

    await filler.stop()
    assert not filler.is_running
    collector.gate.set()
    await cycles(filler, collector, 9)

    assert collector.asked[0] == collector.asked[1]
    assert told(keeper).samples == pytest.approx(A_WEEK, rel=0.01)


async def test_another_prometheus_is_asked_instead_of_the_one_that_is_not_in_use_any_more():
    _, filler = watching()
    old, new = PastOfWeb(gate=threading.Event()), PastOfWeb()
    filler.consider(old, workloads, step_seconds=STEP, services=1)
    await asyncio.to_thread(old.started.wait, 10)

    await cycles(filler, new, 1)
    old.gate.set()

    assert new.asked == old.asked
