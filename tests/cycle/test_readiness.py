import pytest

from tidecast_operator.readiness import PATIENCE_SECONDS, Readiness

WHY = "metrics API: no certificate is there"


class Replica:
    """Whose port waits for a certificate, as a test says."""

    def __init__(self, *, is_issued_by_leader):
        self.why, self.leads, self.now = WHY, False, 1000.0
        self.readiness = Readiness(
            lambda: self.why,
            is_issued_by_leader=is_issued_by_leader,
            leads=lambda: self.leads,
            clock=lambda: self.now,
        )

    def why_not(self, *, after):
        self.now = 1000.0 + after
        return self.readiness.why_not()


@pytest.mark.parametrize("is_issued_by_leader", [False, True])
@pytest.mark.parametrize("leads", [False, True])
def test_a_replica_is_not_ready_while_a_certificate_is_awaited_and_is_when_it_is_there(is_issued_by_leader, leads):
    replica = Replica(is_issued_by_leader=is_issued_by_leader)
    replica.leads = leads
    assert replica.why_not(after=PATIENCE_SECONDS - 1) == WHY

    replica.why = ""

    assert replica.why_not(after=PATIENCE_SECONDS - 1) == ""


def test_one_that_stands_by_does_not_wait_for_ever_for_a_leader_that_may_issue_none():
    assert Replica(is_issued_by_leader=True).why_not(after=PATIENCE_SECONDS) == ""


def test_one_whose_certificate_comes_from_elsewhere_waits_for_it_as_long_as_it_takes():
    assert Replica(is_issued_by_leader=False).why_not(after=100 * PATIENCE_SECONDS) == WHY


def test_the_leader_that_issues_it_waits_for_it_as_long_as_it_takes():
    replica = Replica(is_issued_by_leader=True)
    replica.leads = True

    assert replica.why_not(after=100 * PATIENCE_SECONDS) == WHY
