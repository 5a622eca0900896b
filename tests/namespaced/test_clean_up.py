from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tidecast_operator.api_answers import Outcome
from tidecast_operator.clean_up import HOLDER, REST_SECONDS, CleanUp
from tidecast_operator.errors import ApiServerUnavailable, Misconfigured
from tidecast_operator.leadership import Candidate, Leadership
from tidecast_operator.leases import Lease
from tidecast_operator.outlets.floors.floors import FloorReport
from tidecast_operator.outlets.floors.plan import FloorProblem

NAMESPACE, NAME, DURATION = "tidecast-system", "tidecast-operator", 15
FORBIDDEN = Misconfigured("permissions", "cannot update leases", "grant it")


class FakeLeases:
    """One Lease, whose version counts its writes."""

    def __init__(self, lease=None):
        self.lease, self.error, self.conflicts, self.writes = lease, None, 0, 0

    def read_lease(self, *_):
        if self.error is not None:
            raise self.error
        return self.lease

    def write_lease(self, lease):
        if self.conflicts:
            self.conflicts -= 1
            return Outcome.CONFLICT
        if (self.lease.version if self.lease else "") != lease.version:
            return Outcome.CONFLICT
        self.writes += 1
        self.lease = replace(lease, version=str(self.writes))
        return Outcome.DONE


class FakeForecasters:
    """One Forecaster, or none."""

    def __init__(self, *, managed_by=None, error=None):
        labels = {} if managed_by is None else {"app.kubernetes.io/managed-by": managed_by}
        self.body = {"metadata": {"uid": "u", "labels": labels}}
        self.error = error

    def find(self):
        if self.error is not None:
            raise self.error
        return self.body

    def delete(self, uid):
        assert uid == "u"
        self.body = None
        return Outcome.DONE


def held(holder="pod-1"):
    return Lease(NAMESPACE, NAME, holder, DURATION, datetime.now(UTC), transitions=3, version="0")


def cleaning(leases, pauses=None):
    return CleanUp(Candidate("", NAMESPACE), leases, pause=([] if pauses is None else pauses).append)


def test_the_lease_is_taken_for_long_and_the_last_writes_are_awaited():
    leases, pauses = FakeLeases(held()), []
    cleaning(leases, pauses).put_to_rest()

    assert (leases.lease.holder, leases.lease.duration_seconds, leases.lease.transitions) == (HOLDER, REST_SECONDS, 4)
    assert pauses == [DURATION + 1]
    assert REST_SECONDS >= 600, "an uninstall may take as long as Helm waits"


def test_a_replica_that_led_stands_by_until_the_rest_is_over():
    leases, now = FakeLeases(), 0.0
    replica = Leadership(leases, Candidate("pod-1", NAMESPACE), clock=lambda: now)
    assert replica.step()
    cleaning(leases).put_to_rest()

    while now < REST_SECONDS:
        assert not replica.step(), f"after {now:g} s"
        assert not replica.is_leader
        now += 3
    now += 3
    assert replica.step()


def test_a_replica_that_starts_meanwhile_stands_by_too():
    leases = FakeLeases(held())
    cleaning(leases).put_to_rest()

    assert not Leadership(leases, Candidate("pod-2", NAMESPACE)).step()


def test_an_operator_that_is_to_go_on_does_so_when_nobody_holds_the_lease():
    leases = FakeLeases(held())
    cleaning(leases).put_to_rest()
    leases.lease = replace(leases.lease, holder="")

    assert Leadership(leases, Candidate("pod-2", NAMESPACE)).step()


def test_a_lease_that_nobody_holds_is_taken_without_waiting():
    leases, pauses = FakeLeases(held("")), []
    cleaning(leases, pauses).put_to_rest()

    assert (leases.lease.holder, pauses) == (HOLDER, [])


def test_without_a_lease_there_is_nobody_to_put_to_rest():
    leases, pauses = FakeLeases(), []
    clean = cleaning(leases, pauses)
    clean.put_to_rest()

    assert (leases.writes, pauses, clean.problems) == (0, [], [])


def test_a_renewal_in_between_is_met():
    leases = FakeLeases(held())
    leases.conflicts = 3
    clean = cleaning(leases)
    clean.put_to_rest()

    assert (leases.lease.holder, clean.problems) == (HOLDER, [])


@pytest.mark.parametrize("error", [FORBIDDEN, ApiServerUnavailable("no answer")])
def test_an_operator_that_cannot_be_put_to_rest_is_a_problem_with_a_remedy(error):
    leases = FakeLeases(held())
    leases.error = error
    clean = cleaning(leases)
    clean.put_to_rest()

    assert "scale it to 0" in clean.problems[0]
    assert str(error) in clean.problems[0]


def test_a_lease_that_changes_all_the_time_is_given_up_on():
    leases = FakeLeases(held())
    leases.conflicts = 1000
    clean = cleaning(leases)
    clean.put_to_rest()

    assert len(clean.problems) == 1


def test_floors_are_looked_for_until_there_are_none():
    reports = [FloorReport(restored=2), FloorReport(restored=1), FloorReport()]
    clean = cleaning(FakeLeases())
    clean.give_floors_back(lambda: reports.pop(0))

    assert (reports, clean.problems) == ([], [])


@pytest.mark.parametrize(
    ("report", "told"),
    [
        (FloorReport(left=2, restored=1), "2 floors"),
        (FloorReport(error=FORBIDDEN), "grant it"),
        (FloorReport(problems=[FloorProblem(("shop", ""), "AnnotationsGarbled", "shop/checkout")]), "shop/checkout"),
    ],
)
def test_a_floor_that_cannot_be_given_back_is_a_problem(report, told):
    clean = cleaning(FakeLeases())
    clean.give_floors_back(lambda: report)

    assert told in clean.problems[0]


def test_the_forecaster_of_a_file_is_deleted_and_then_gone():
    forecasters, clean = FakeForecasters(managed_by="tidecast-file"), cleaning(FakeLeases())

    for _ in range(2):
        clean.delete_forecaster(forecasters)
        assert forecasters.body is None
    assert clean.problems == []


@pytest.mark.parametrize("managed_by", [None, "Helm", "tidecast"])
def test_any_other_forecaster_stays(managed_by):
    forecasters, clean = FakeForecasters(managed_by=managed_by), cleaning(FakeLeases())
    clean.delete_forecaster(forecasters)

    assert forecasters.body is not None
    assert clean.problems == []


def test_a_forecaster_that_cannot_be_deleted_is_a_problem():
    clean = cleaning(FakeLeases())
    clean.delete_forecaster(FakeForecasters(error=FORBIDDEN))

    assert "could not be deleted" in clean.problems[0]
