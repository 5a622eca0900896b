"""
The operator's own process, its constants of time divided by a factor: the first argument; the others are its command line.

What is divided: the hold-down and the guard of hints, the offsets and the memory of trust, and the shortest range of a rate.
Everything else counts steps.
"""

import os
import sys
from types import ModuleType

from tidecast_operator import cli
from tidecast_operator.hints import hint
from tidecast_operator.telemetry import infrastructure, istio
from tidecast_operator.telemetry.schema import ResourceSchema, TrafficSchema
from tidecast_operator.trust import comparing, record, verdict
from tidecast_operator.trust.skills import Skill

TRUSTING = "CLOSED_LOOP_TRUSTING"
"""Set to anything where every forecast that has not expired shall count as trusted: to see what hints do by themselves."""

_SHORTEST_RANGE_SECONDS = 10  # five scrapes: on a busy host one is late now and then


def hasten(factor: float) -> None:
    """Divides the constants of time."""
    for name, seconds in (
        ("HOLD_SECONDS", hint.HOLD_SECONDS),
        ("GUARD_SECONDS", hint.GUARD_SECONDS),
        ("WINDOW_SECONDS", comparing.WINDOW_SECONDS),
    ):
        _everywhere(name, seconds, round(seconds / factor))
    offsets = record.OFFSETS_SECONDS
    _everywhere("OFFSETS_SECONDS", offsets, tuple(round(seconds / factor) for seconds in offsets))
    for module in (istio, infrastructure):
        _hasten_schemas(module, factor)


def _everywhere(name: str, old: object, new: object) -> None:
    """Also in modules that have taken a name over from another one."""
    for key, module in list(sys.modules.items()):
        if key.startswith("tidecast_operator.") and vars(module).get(name) == old:
            vars(module)[name] = new


def _hasten_schemas(module: ModuleType, factor: float) -> None:
    for schema in vars(module).values():
        if isinstance(schema, TrafficSchema | ResourceSchema):
            # In place: others may hold the same object already.
            shortest = max(round(schema.minimum_range_seconds / factor), _SHORTEST_RANGE_SECONDS)
            object.__setattr__(schema, "minimum_range_seconds", shortest)


def trust_all() -> None:
    """Leaves of the verdict what does not depend on how good forecasts were."""
    judge = verdict.judge

    def judged(skill: Skill | None, *, was_trusted: bool, is_expired: bool, is_stale: bool) -> verdict.Verdict:
        found = judge(skill, was_trusted=was_trusted, is_expired=is_expired, is_stale=is_stale)
        usable = not is_expired and not is_stale
        return verdict.Verdict(True, verdict.Reason.SKILLED) if usable else found

    _everywhere("judge", judge, judged)


def main() -> int:
    """Hastens, and runs the operator."""
    factor, *arguments = sys.argv[1:]
    hasten(float(factor))
    if os.environ.get(TRUSTING):
        trust_all()
    return cli.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
