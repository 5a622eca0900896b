import pytest

from tidecast_operator.api_answers import Outcome
from tidecast_operator.cluster import Lease
from tidecast_operator.errors import ApiServerUnavailable, Misconfigured
from tidecast_operator.leadership import Candidate, Leadership


class FakeLeases:
    """One Lease, with optimistic locking as the API server does it."""

    def __init__(self):
        self.lease: Lease | None = None
        self.version = 0
        self.error = None
        self.outcome = None

    def read_lease(self, *_):
        if self.error:
            raise self.error
        return self.lease

    def write_lease(self, lease):
        if self.error:
            raise self.error
        if self.outcome:
            return self.outcome
        if lease.version != (self.lease.version if self.lease else ""):
            return Outcome.CONFLICT
        self.version += 1
        self.lease = Lease(
            lease.namespace,
            lease.name,
            lease.holder,
            lease.duration_seconds,
            lease.acquire_time,
            lease.transitions,
            str(self.version),
        )
        return Outcome.DONE


@pytest.fixture
def leases():
    return FakeLeases()


@pytest.fixture
def time():
    return [0.0]


@pytest.fixture
def replica(leases, time):
    return lambda name: Leadership(leases, Candidate(name, "tidecast-system"), clock=lambda: time[0])


def test_the_first_replica_leads_and_the_second_stands_by(replica):
    first, second = replica("first"), replica("second")

    assert first.step()
    assert not second.step()
    assert (first.is_leader, second.is_leader, second.holder) == (True, False, "first")


def test_of_two_that_find_no_lease_one_leads(replica, leases):
    first, second = replica("first"), replica("second")
    leases.read_lease = lambda *_: None

    assert [first.step(), second.step()] == [True, False]


def test_leadership_lapses_before_another_replica_can_take_it(replica, leases, time):
    first, second = replica("first"), replica("second")
    first.step()
    second.step()
    leases.error = ApiServerUnavailable("away")
    with pytest.raises(ApiServerUnavailable):
        first.step()

    time[0] = 10.0
    assert not first.is_leader

    leases.error = None
    time[0] = 14.9
    assert not second.step()
    time[0] = 15.0
    assert second.step()


def test_a_holder_that_renews_stays(replica, time):
    first, second = replica("first"), replica("second")
    for seconds in range(0, 100, 3):
        time[0] = float(seconds)
        assert first.step()
        assert not second.step()


def test_a_lease_that_was_given_back_is_free_at_once(replica):
    first, second = replica("first"), replica("second")
    first.step()

    first.release()

    assert second.step()
    assert not first.is_leader


def test_a_change_of_hands_is_counted_and_a_renewal_is_not(replica, leases):
    first, second = replica("first"), replica("second")
    first.step()
    first.step()
    first.release()
    second.step()

    assert leases.lease.transitions == 1


def test_a_namespace_that_is_not_there_is_named(replica, leases):
    leases.outcome = Outcome.GONE

    with pytest.raises(Misconfigured, match="no namespace tidecast-system"):
        replica("first").step()
