"""
The sources of telemetry there are, the most trusted first.
"""

from tidecast_operator.errors import Misconfigured
from tidecast_operator.telemetry.infrastructure import KUBE_STATE_METRICS, POD_NAMES
from tidecast_operator.telemetry.istio import ISTIO
from tidecast_operator.telemetry.opentelemetry import OPENTELEMETRY
from tidecast_operator.telemetry.schema import ResourceSchema, TrafficSchema

AUTO = "Auto"
"""In place of a source's name: every source that has data, the most trusted first."""

# A proxy sees every request; a tracer sees those that were sampled and instrumented.
TRAFFIC: tuple[TrafficSchema, ...] = (ISTIO, OPENTELEMETRY)
RESOURCES: tuple[ResourceSchema, ...] = (KUBE_STATE_METRICS, POD_NAMES)


def named(names: tuple[str, ...]) -> tuple[TrafficSchema, ...]:
    """
    The schemas that users named, in their order; `AUTO` stands for all that are not named before it.

    Raises:
        Misconfigured: If a name is no source's, or there is none.
    """
    known = {schema.name: schema for schema in TRAFFIC}
    if not names:
        raise Misconfigured("spec.telemetry.sources", "is empty", f"write [{AUTO}]")
    chosen: dict[str, TrafficSchema] = {}
    for name in names:
        if name != AUTO and name not in known:
            raise Misconfigured(
                "spec.telemetry.sources", f"{name!r} is no source", f"write one of {', '.join((AUTO, *known))}"
            )
        chosen |= {each: known[each] for each in (known if name == AUTO else (name,)) if each not in chosen}
    return tuple(chosen.values())
