"""
The service graph: who calls whom, from the calls that were seen. Pure.

Calls are never guessed from Services: a Service says who could be called.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tidecast_contract.services import ServiceId
from tidecast_operator.discovery.identity import Identity
from tidecast_operator.telemetry.observations import Calls

Call = tuple[ServiceId, ServiceId]
"""Caller and callee."""


@dataclass(frozen=True, slots=True)
class ServiceGraph:
    """
    Attributes:
        rates: Requests per second of each call, above the noise floor.
        unattributed_requests_per_second: Of those, the calls with a side that is not known for certain.
    """

    rates: Mapping[Call, float]
    unattributed_requests_per_second: float

    @property
    def services(self) -> frozenset[ServiceId]:
        """All that call or are called."""
        return frozenset(service for call in self.rates for service in call)


def discover(sources: Sequence[Calls], identity: Identity, *, noise_floor: float = 0.0) -> ServiceGraph:
    """
    The graph of all calls that one of the sources saw.

    A call that several sources saw counts as the first of them measured it. A call between two peers outside the
    cluster is no business of its services, and left out.

    Args:
        sources: The calls of each source, the most trusted first.
        identity: Tells the nodes of peers.
        noise_floor: Requests per second that a call must exceed.
    """
    rates: dict[Call, float] = {}
    doubtful: set[Call] = set()
    for calls in sources:
        seen: defaultdict[Call, float] = defaultdict(float)
        for caller, callee, rate in zip(calls.callers, calls.callees, calls.rates.tolist(), strict=True):
            called = identity.of(callee, beside=identity.of(caller).service.namespace)
            calling = identity.of(caller, beside=called.service.namespace)
            call = (calling.service, called.service)
            if call in rates or (calling.service.is_external and called.service.is_external):
                continue
            seen[call] += rate
            if not (calling.is_certain and called.is_certain):
                doubtful.add(call)
        rates |= {call: rate for call, rate in seen.items() if rate > noise_floor}
    return ServiceGraph(rates, sum(rates[call] for call in doubtful if call in rates))
