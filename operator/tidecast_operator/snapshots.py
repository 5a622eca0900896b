"""
Observations and the workloads of the cluster become a Snapshot: the ONE builder, for serving and for training.

A service is a node if it calls, is called, or received requests. Processor and memory alone make no node: a workload
that nobody was seen to call has no traffic to forecast.

Pure; knows neither Prometheus nor the API server. Shapes: `T` steps, `S` series, `N` services, `F` features.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tidecast_contract.features import ERRORS, FEATURES, REQUESTS, Feature, index_of
from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot
from tidecast_operator.discovery.graph import ServiceGraph, discover
from tidecast_operator.discovery.identity import Identity
from tidecast_operator.discovery.workloads import WorkloadIndex
from tidecast_operator.telemetry.observations import Observations, PeerSeries, Traffic
from tidecast_operator.voices import NOBODY, Voices

_Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Built:
    """
    A snapshot and what was learned while building it.

    Attributes:
        snapshot: The window of measurements over the service graph.
        unattributed_requests_per_second: The rate of calls with a side that no workload could be found for.
        sources: The sources that had something to say, the most trusted first.
        voices: Who spoke, for the next snapshot.
    """

    snapshot: Snapshot
    unattributed_requests_per_second: float
    sources: tuple[str, ...]
    voices: Voices


def build(
    observations: Observations, workloads: WorkloadIndex, *, noise_floor: float = 0.0, voices: Voices | None = None
) -> Built:
    """
    One snapshot of everything that was observed.

    Args:
        observations: What was measured.
        workloads: The workloads that peers are resolved to.
        noise_floor: Requests per second that a call must exceed to be part of the graph.
        voices: Who spoke in the snapshot before; None for nobody.
    """
    identity = Identity(workloads)
    graph = discover([traffic.calls for traffic in observations.traffic], identity, noise_floor=noise_floor)
    services = _services(graph, observations.traffic, identity)
    nodes = _Nodes(services, identity)
    values, voices = _values(observations, services, nodes, voices or Voices())
    return Built(
        snapshot=Snapshot(
            end_time=observations.end_time,
            step_seconds=observations.step_seconds,
            services=services,
            values=values,
            calls=nodes.calls(graph),
            rates=np.array(list(graph.rates.values()), dtype=np.float32),
        ),
        unattributed_requests_per_second=graph.unattributed_requests_per_second,
        sources=tuple(each.source for each in observations.traffic if each.calls.callers or each.requests.peers),
        voices=voices,
    )


class _Nodes:
    """
    Where each service stands, and which series are whose.
    """

    def __init__(self, services: Sequence[ServiceId], identity: Identity) -> None:
        self.count = len(services)
        self._place = {service: place for place, service in enumerate(services)}
        self._identity = identity

    def calls(self, graph: ServiceGraph) -> NDArray[np.int64]:
        """The calls of the graph, (2, E)."""
        pairs = [(self._place[caller], self._place[callee]) for caller, callee in graph.rates]
        return np.ascontiguousarray(np.array(pairs, dtype=np.int64).reshape(-1, 2).T)

    def total(self, series: PeerSeries) -> _Array:
        """The sum of the series of each service, (T, N); NaN where none was measured."""
        places = [self._place.get(self._identity.of(peer).service, -1) for peer in series.peers]
        place = np.array(places, dtype=np.int64)
        values, place = series.values[:, place >= 0], place[place >= 0]
        measured = np.isfinite(values)
        total = np.zeros((self.count, len(values)))
        seen = np.zeros((self.count, len(values)), dtype=np.int64)
        np.add.at(total, place, np.where(measured, values, 0).T)
        np.add.at(seen, place, measured.T)
        return np.where(seen > 0, total, np.nan).T


def _services(graph: ServiceGraph, traffic: Sequence[Traffic], identity: Identity) -> tuple[ServiceId, ...]:
    found = set(graph.services)
    for each in traffic:
        measured = np.isfinite(each.requests.values).sum(axis=0).tolist()
        owners = (peer for peer, points in zip(each.requests.peers, measured, strict=True) if points)
        # A peer outside the cluster whom nobody here calls is not part of the graph.
        found |= {service for service in (identity.of(peer).service for peer in owners) if not service.is_external}
    return tuple(sorted(found))


def _values(
    observations: Observations, services: Sequence[ServiceId], nodes: _Nodes, voices: Voices
) -> tuple[NDArray[np.float32], Voices]:
    values = np.full((observations.steps, nodes.count, len(FEATURES)), np.nan)
    sources = tuple(traffic.source for traffic in observations.traffic)
    voices = voices.at(observations.end_time, observations.step_seconds)
    lowest = voices.lowest(services, sources)
    speaker = np.full(lowest.shape, NOBODY, dtype=np.int64)
    for number, traffic in enumerate(observations.traffic):
        for feature, measured in _measures(traffic, nodes).items():
            place = index_of(feature)
            # A source speaks for a service only where a more trusted one says nothing at all, lest the two alternate.
            speaks = (speaker[:, place] == NOBODY) & (number <= lowest[:, place]) & np.isfinite(measured).any(axis=0)
            values[:, speaks, place] = measured[:, speaks]
            speaker[speaks, place] = number
    times = observations.end_time - observations.step_seconds * np.isfinite(values[::-1]).argmax(axis=0)
    for feature, series in observations.resources.items():
        values[:, :, index_of(feature)] = nodes.total(series)
    return values.astype(np.float32), voices.after(services, sources, speaker, times)


def _measures(traffic: Traffic, nodes: _Nodes) -> dict[Feature, _Array]:
    requests = nodes.total(traffic.requests)
    return {
        REQUESTS: requests,
        ERRORS: _error_ratio(nodes.total(traffic.errors), requests),
        **{feature: _mean(series, traffic.requests, nodes) for feature, series in traffic.latencies.items()},
    }


def _error_ratio(errors: _Array, requests: _Array) -> _Array:
    # A proxy makes the series of failures at the first failure: no series beside requests means that none failed.
    failed = np.where(np.isnan(errors), 0, errors)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(requests > 0, np.minimum(failed / requests, 1), np.nan)


def _mean(latency: PeerSeries, requests: PeerSeries, nodes: _Nodes) -> _Array:
    """The latency of each service, (T, N): of several series the mean, weighted by their requests; NaN without any."""
    columns = {peer: column for column, peer in enumerate(requests.peers)}
    column = np.array([columns.get(peer, -1) for peer in latency.peers], dtype=np.int64)
    weights = (
        np.where(column >= 0, requests.values[:, column], np.nan) if columns else np.full(latency.values.shape, np.nan)
    )
    weights = np.where(np.isfinite(latency.values), np.where(np.isfinite(weights), weights, 1), np.nan)
    weighted = nodes.total(PeerSeries(latency.peers, latency.values * weights))
    total = nodes.total(PeerSeries(latency.peers, weights))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total > 0, weighted / total, np.nan)


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """
    The newest steps, which move on.

    Attributes:
        snapshot: Their measurements.
        seen: When each of its calls was seen last, unix seconds, int64 of shape (E,).
    """

    snapshot: Snapshot
    seen: NDArray[np.int64]

    @classmethod
    def of(cls, snapshot: Snapshot) -> "Window":
        """One whose calls have all just been seen."""
        return cls(snapshot, np.full(snapshot.calls.shape[1], snapshot.end_time, dtype=np.int64))


def extend(window: Window | None, new: Snapshot, *, steps: int) -> Window:
    """
    The last *steps* steps of *window* and *new* together, over the services of both.

    Where both hold a step, *new* counts, except where it has no measurement. Steps between the two are NaN. The rate
    of a call is the mean of both, weighted by the steps they bring. What stopped is forgotten: a call that was not seen
    for *steps*, or whose callee is a workload without any measurement left; and a service without calls and measurements.

    Args:
        window: What was known; None for nothing. One with another step_seconds counts as nothing.
        new: What was measured since.
        steps: How many to keep.
    """
    if window is None or window.snapshot.step_seconds != new.step_seconds:
        window = Window.of(new)
    old = window.snapshot
    services = tuple(dict.fromkeys((*old.services, *new.services)))
    place = {service: index for index, service in enumerate(services)}
    parts = [
        _Part(each, np.array([place[service] for service in each.services], dtype=np.int64)) for each in (old, new)
    ]
    end_time = max(old.end_time, new.end_time)
    start_time = max(end_time - (steps - 1) * new.step_seconds, min(old.start_time, new.start_time))
    times = np.arange(start_time, end_time + 1, new.step_seconds, dtype=np.int64)
    values = np.full((len(times), len(services), len(FEATURES)), np.nan, dtype=np.float32)
    for part in parts:
        part.write(values, start_time)
    measured = np.isfinite(values).sum(axis=(0, 2)) > 0
    fresh = int(np.isin(times, new.times).sum())
    share = fresh / (fresh + int(np.isin(times, np.setdiff1d(old.times, new.times)).sum()))
    lasting = measured | np.array([service.is_external for service in services], dtype=bool)
    calls, rates, seen = _mean_calls(*parts, share=share, seen=np.concatenate([window.seen, Window.of(new).seen]))
    kept = (seen == new.end_time) | ((seen > end_time - steps * new.step_seconds) & lasting[calls[1]])
    whole = Snapshot(end_time, new.step_seconds, services, values, calls[:, kept], rates[kept])
    return Window(_without_forgotten(whole, measured), seen[kept])


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """
    A snapshot, and where its services stand among those of both.
    """

    snapshot: Snapshot
    places: NDArray[np.int64]

    @property
    def calls(self) -> NDArray[np.int64]:
        """The calls between those places, (2, E)."""
        return self.places[self.snapshot.calls]

    def write(self, values: NDArray[np.float32], start_time: int) -> None:
        """Puts what was measured into *values*, whose first step is *start_time*."""
        rows = (self.snapshot.times - start_time) // self.snapshot.step_seconds
        own = self.snapshot.values[rows >= 0]
        where = np.ix_(rows[rows >= 0], self.places)
        values[where] = np.where(np.isfinite(own), own, values[where])


def _mean_calls(
    old: _Part, new: _Part, *, share: float, seen: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """
    The calls of both, their rates, and when they were seen last.

    Args:
        old: What was known.
        new: What was measured since.
        share: The weight of the new rates.
        seen: When each of the old calls and then of the new ones was seen last.
    """
    pairs = np.concatenate([old.calls, new.calls], axis=1)
    weighted = np.concatenate([old.snapshot.rates * (1 - share), new.snapshot.rates * share])
    count = int(pairs.max(initial=0)) + 1
    keys, call = np.unique(pairs[0] * count + pairs[1], return_inverse=True)
    rates = np.bincount(call, weights=weighted, minlength=len(keys))
    last = np.zeros(len(keys), dtype=np.int64)
    np.maximum.at(last, call, seen)
    return np.stack(np.divmod(keys, count)), rates.astype(np.float32), last


def _without_forgotten(snapshot: Snapshot, measured: NDArray[np.bool_]) -> Snapshot:
    kept = measured.copy()
    kept[snapshot.calls.ravel()] = True
    if kept.all():
        return snapshot
    places = np.cumsum(kept) - 1
    return replace(
        snapshot,
        services=tuple(service for service, is_kept in zip(snapshot.services, kept.tolist(), strict=True) if is_kept),
        values=snapshot.values[:, kept],
        calls=places[snapshot.calls],
    )
