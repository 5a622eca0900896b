"""
Whether an installation works: one line for each thing that has to, and what to do where one does not.

Asks what the operator asks, with no more than its permissions, and writes nothing.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tidecast_operator import settings as parsing
from tidecast_operator.access import Permission
from tidecast_operator.clean_up import HOLDER
from tidecast_operator.doors import Collectors, Predicts
from tidecast_operator.errors import ContractMismatch, TidecastError
from tidecast_operator.leadership import Candidate
from tidecast_operator.leases import Lease
from tidecast_operator.published import Condition, Published, from_time
from tidecast_operator.resources import DEFAULT_FORECASTER, FORECAST_KIND
from tidecast_operator.scope import missing, why_left_out
from tidecast_operator.settings import Settings
from tidecast_operator.timing import last_step

_LOOK_SECONDS = 1.0
_OLD_SECONDS, _OLD_STEPS = 180, 3


@dataclass(frozen=True, slots=True)
class Finding:
    """
    What became of one check.

    Attributes:
        name: What was looked at.
        is_good: Whether it works.
        text: What was found, and what to do where it does not work.
    """

    name: str
    is_good: bool
    text: str

    def __str__(self) -> str:
        return f"{'ok  ' if self.is_good else 'FAIL'}  {self.name}: {self.text}"


class Asks(Protocol):
    """What is needed of `Access`."""

    def version(self) -> str:
        """Of the API server."""

    def serves(self, *plurals: str) -> bool:
        """Whether the API server knows these resources."""

    def may(self, permission: Permission, namespace: str) -> bool:
        """Whether the operator may do that there."""

    def availability(self, api_service: str) -> Condition | None:
        """The condition `Available` of an APIService; None if that is not there."""


class ReadsLeases(Protocol):
    """What is needed of `Leases`."""

    def read_lease(self, namespace: str, name: str) -> Lease | None:
        """A Lease; None if it is not there."""


class FindsForecaster(Protocol):
    """What is needed of `Forecasters`."""

    def find(self) -> Mapping[str, Any] | None:
        """The Forecaster `default`; None if there is none."""


class ListsNamespaces(Protocol):
    """What is needed of `Cluster`."""

    def list_names(self, kind: str, namespace: str = "") -> Mapping[tuple[str, str], int] | None:
        """All objects of a kind in a namespace."""


class Opens(Protocol):
    """What is needed of `Doors`."""

    async def collectors(self, settings: Settings) -> Collectors:
        """Where measurements come from."""

    async def predictor(self, settings: Settings) -> Predicts:
        """The predictor."""


class Check:
    """
    The checks, each with the time that is left for all of them.

    Args:
        timeout_seconds: How long to wait for what comes true by itself, as the first cycle.
        clock: Unix seconds.
        pause: Waits for some seconds.
    """

    def __init__(
        self,
        *,
        timeout_seconds: float,
        clock: Callable[[], float] = time.time,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._pause = pause
        self._deadline = clock() + timeout_seconds

    async def api_server(self, access: Asks) -> Finding:
        """It answers."""
        name = "API server"
        try:
            return Finding(name, True, f"Kubernetes {await asyncio.to_thread(access.version)}")
        except TidecastError as error:
            return Finding(name, False, str(error))

    async def definitions(self, access: Asks, plurals: Sequence[str]) -> Finding:
        """Tidecast's resources are served."""

        def look() -> Finding:
            served = access.serves(*plurals)
            text = ", ".join(plurals) if served else f"not all of {', '.join(plurals)} are known; apply manifests/crds"
            return Finding("definitions", served, text)

        return await self._until_good("definitions", look)

    async def operator(self, leases: ReadsLeases, candidate: Candidate) -> Finding:
        """A replica leads: it renews its Lease."""
        name, where = "operator", f"{candidate.namespace}/{candidate.name}"
        seen = ""

        def look() -> Finding:
            nonlocal seen
            lease = leases.read_lease(candidate.namespace, candidate.name)
            if lease is None:
                return Finding(name, False, f"there is no Lease {where}; see whether its pods start")
            if lease.holder in ("", HOLDER):
                why = "was put to rest by clean-up" if lease.holder else "does not lead"
                return Finding(name, False, f"it {why}, says the Lease {where}; see the log of its pods")
            before, seen = seen, lease.version
            if before in ("", seen):
                return Finding(name, False, f"{lease.holder} does not renew the Lease {where}; see the log of its pods")
            return Finding(name, True, f"{lease.holder} leads")

        return await self._until_good(name, look)

    async def namespace(
        self, namespace: str, access: Asks, cluster: ListsNamespaces, needed: Sequence[Permission]
    ) -> Finding:
        """All that the operator does in a namespace is permitted, and forecasts can be read there."""

        def look() -> Finding:
            lacking = missing(access, namespace, needed)
            if lacking:
                return Finding(f"namespace {namespace}", False, str(why_left_out(namespace, lacking)))
            count = len(cluster.list_names(FORECAST_KIND, namespace) or ())
            return Finding(f"namespace {namespace}", True, f"all is permitted that is needed, {count} {FORECAST_KIND}s")

        return await self._until_good(f"namespace {namespace}", look)

    async def api_service(self, name: str, access: Asks) -> Finding:
        """The API server reaches a metrics API; while it does not, no namespace of the cluster can be deleted."""
        name_told = f"APIService {name}"

        def look() -> Finding:
            available = access.availability(name)
            if available is None:
                return Finding(name_told, False, "it is not there; apply it as manifests/examples has it")
            is_good = available.status == "True"
            hint = "" if is_good else "; see docs/scaling-metrics-apis.md"
            return Finding(name_told, is_good, f"{available.reason}: {available.message}{hint}")

        return await self._until_good(name_told, look)

    async def forecaster(self, forecasters: FindsForecaster) -> tuple[Finding, Mapping[str, Any] | None]:
        """It is ready, and says so of its present spec and lately; also gives the object."""
        name, body = f"Forecaster {DEFAULT_FORECASTER}", None

        def look() -> Finding:
            nonlocal body
            body = forecasters.find()
            if body is None:
                return Finding(name, False, "there is none; create it, or give the operator --forecaster-file")
            why = self._why_not_ready(body)
            return Finding(name, not why, why or "Ready")

        return await self._until_good(name, look), body

    def condition(self, body: Mapping[str, Any] | None, kind: str, name: str) -> Finding:
        """What a condition of the Forecaster says."""
        condition = None if body is None else Published.parse(body.get("status") or {}).condition(kind)
        if condition is None:
            return Finding(name, False, f"not known: the Forecaster has no condition {kind} yet")
        return Finding(name, condition.status == "True", f"{condition.reason}: {condition.message}")

    async def prometheus(self, doors: Opens, spec: Mapping[str, Any]) -> Finding:
        """It answers what a cycle asks of it."""

        async def ask() -> str:
            settings = parsing.parse(spec)
            collectors = await doors.collectors(settings)
            step = last_step(self._clock(), settings.step_seconds)
            found = await asyncio.to_thread(collectors.window.collect, step, step, settings.step_seconds)
            sources = ", ".join(traffic.source for traffic in found.traffic)
            return f"{settings.prometheus.url} answers{f', calls are read from {sources}' if sources else ''}"

        return await _asked("Prometheus", ask)

    async def predictor(self, doors: Opens, spec: Mapping[str, Any]) -> Finding:
        """It answers."""

        async def ask() -> str:
            settings = parsing.parse(spec)
            status = await (await doors.predictor(settings)).status()
            return f"{settings.predictor.address} answers, its model is {status.model.kind.value}"

        return await _asked("predictor", ask)

    def _why_not_ready(self, body: Mapping[str, Any]) -> str:
        status = body.get("status") or {}
        published = Published.parse(status)
        ready = published.condition("Ready")
        if ready is None or ready.observed_generation != body["metadata"].get("generation"):
            return "the operator has not looked at its present spec yet; see the log of its pods"
        if ready.status != "True":
            return f"{ready.reason}: {ready.message}"
        started = from_time((status.get("cycle") or {}).get("startTime"))
        step = (body.get("spec") or {}).get("stepSeconds", 60)
        if started is None or self._clock() - started > max(_OLD_SECONDS, _OLD_STEPS * step):
            return "it was ready once, but its last cycle is long ago; see the log of the operator's pods"
        return ""

    async def _until_good(self, name: str, look: Callable[[], Finding]) -> Finding:
        while True:
            try:
                finding = await asyncio.to_thread(look)
            except TidecastError as error:
                finding = Finding(name, False, str(error))
            if finding.is_good or self._clock() >= self._deadline:
                return finding
            await self._pause(_LOOK_SECONDS)


async def _asked(name: str, ask: Callable[[], Awaitable[str]]) -> Finding:
    try:
        return Finding(name, True, await ask())
    except (TidecastError, ContractMismatch) as error:
        return Finding(name, False, str(error))
