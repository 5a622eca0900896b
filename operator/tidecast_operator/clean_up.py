"""
What is done before Tidecast is taken away: the operator is put to rest, floors are given back, and the Forecaster that
came from a file is deleted. Whatever is not there any more is no problem; it can be run again.

The operator may still run meanwhile, and must not raise again what was given back. So its Lease is taken away from it,
for much longer than a renewal takes, in the only way that every replica respects already. It goes on by itself after
that time, or at once when nobody holds the Lease.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

from tidecast_operator.api_answers import Outcome
from tidecast_operator.errors import ApiServerUnavailable, TidecastError
from tidecast_operator.forecasters import FIELD_MANAGER, is_from_file
from tidecast_operator.leadership import Candidate
from tidecast_operator.leases import Lease
from tidecast_operator.outlets.floors.floors import FloorReport
from tidecast_operator.resources import DEFAULT_FORECASTER, MANAGED_BY

HOLDER = "tidecast-clean-up"
"""Who holds the Lease while the operator rests."""
REST_SECONDS = 900
"""How long it rests; enough to delete what runs, and little enough if that is not done after all."""

_log = logging.getLogger(__name__)
_TRIES, _PAUSE_SECONDS = 8, 0.5
_GREATEST_PASSES = 3


class HoldsLeases(Protocol):
    """What is needed of `Leases`."""

    def read_lease(self, namespace: str, name: str) -> Lease | None:
        """A Lease; None if it is not there."""

    def write_lease(self, lease: Lease) -> Outcome:
        """Renews a Lease."""


class Deletes(Protocol):
    """What is needed of `Forecasters`."""

    def find(self) -> Mapping[str, Any] | None:
        """The Forecaster `default`; None if there is none."""

    def delete(self, uid: str) -> Outcome:
        """Deletes that very object."""


class CleanUp:
    """
    Cleans up, step by step; a step that fails does not keep the next ones from being tried. Synchronous.

    Args:
        lease: Which Lease the operator holds: of its identity nothing is asked.
        leases: Where it is.
        pause: Waits for some seconds; tests need not.

    Attributes:
        problems: What could not be done, and what to do about it; empty if all was.
    """

    def __init__(self, lease: Candidate, leases: HoldsLeases, *, pause: Callable[[float], None] = time.sleep) -> None:
        self.problems: list[str] = []
        self._lease = lease
        self._leases = leases
        self._pause = pause

    def put_to_rest(self) -> None:
        """Takes the Lease, and returns when nobody who held it before can write any more."""
        try:
            if not self._take():
                return
        except TidecastError as error:
            self._fail(
                f"the operator could not be put to rest, it may raise floors again: {error}; "
                "scale it to 0 and run this again"
            )
            return
        where = f"lease -n {self._lease.namespace} {self._lease.name}"
        _log.info(
            "the operator rests for %d s; to let it go on: kubectl patch %s --type=merge -p '%s'",
            *(REST_SECONDS, where, '{"spec":{"holderIdentity":""}}'),
        )

    def give_floors_back(self, release: Callable[[], FloorReport]) -> None:
        """Gives floors back until there are none; *release* does it once."""
        restored, messages = 0, dict[str, bool]()
        for _ in range(_GREATEST_PASSES):
            report = release()
            restored += report.restored
            messages |= {problem.message: problem.is_final for problem in report.problems}
            # Whatever was on its way when the operator was put to rest has arrived by the next look.
            if report.restored == 0 or not report.is_complete:
                break
        else:
            self._fail(
                "floors are raised again as soon as they are given back; see whether an operator runs with a Lease "
                "elsewhere, scale it to 0 and run this again"
            )
        _log.info("floors given back: %d, left: %d", restored, report.left)
        for message, is_final in messages.items():
            if is_final:  # its marks are gone, and no other run finds it
                self._fail(message)
            else:
                _log.warning("%s", message)
        if report.error is not None:
            self._fail(f"not all floors were looked at: {report.error}")
        elif report.left:
            self._fail(f"{report.left} floors could not be given back; see above, and run this again")

    def delete_forecaster(self, forecasters: Deletes) -> None:
        """Deletes the Forecaster, if it came from a file."""
        try:
            body = forecasters.find()
            if body is None:
                _log.info("there is no Forecaster %s", DEFAULT_FORECASTER)
            elif not is_from_file(body):
                text = "the Forecaster %s stays: without the label %s=%s it came from no file"
                _log.info(text, DEFAULT_FORECASTER, MANAGED_BY, FIELD_MANAGER)
            else:
                forecasters.delete(body["metadata"]["uid"])  # if it is gone or another one by now: all the same
                _log.info("the Forecaster %s is deleted", DEFAULT_FORECASTER)
        except TidecastError as error:
            self._fail(f"the Forecaster could not be deleted: {error}")

    def _take(self) -> bool:
        """Whether the Lease is taken; False if there is none, and so no operator either."""
        for _ in range(_TRIES):
            lease = self._leases.read_lease(self._lease.namespace, self._lease.name)
            if lease is None:
                _log.info("no operator runs: there is no Lease %s/%s", self._lease.namespace, self._lease.name)
                return False
            taken = replace(
                lease,
                holder=HOLDER,
                duration_seconds=REST_SECONDS,
                acquire_time=datetime.now(UTC),
                transitions=lease.transitions + 1,
            )
            outcome = self._leases.write_lease(taken)
            if outcome is Outcome.DONE:
                if lease.holder:
                    _log.info("the Lease is taken from %s, whose last writes are awaited", lease.holder)
                    # By then whoever held it has noticed, or its lead has lapsed.
                    self._pause(self._lease.duration_seconds + 1)
                return True
            self._pause(_PAUSE_SECONDS)  # it was renewed, or deleted, between reading and writing
        raise ApiServerUnavailable("its Lease changes all the time")

    def _fail(self, problem: str) -> None:
        _log.error("%s", problem)
        self.problems.append(problem)
