import asyncio
import threading
from dataclasses import replace

import pytest

from builders.waiting import eventually
from tidecast_operator.api_answers import Outcome
from tidecast_operator.errors import ApiServerUnavailable, Misconfigured
from tidecast_operator.fencing import WRITE_SECONDS, Fence
from tidecast_operator.leadership import Candidate, Leadership
from tidecast_operator.leases import Lease


class FakeLeases:
    """One Lease, with optimistic locking as the API server does it."""

    def __init__(self):
        self.lease: Lease | None = None
        self.version = 0
        self.error = None
        self.outcome = None
        self.between = lambda: None

    def read_lease(self, *_):
        if self.error:
            raise self.error
        found = self.lease
        self.between()
        return found

    def touch(self):
        """What somebody does who annotates the Lease."""
        self.between = lambda: None
        self.version += 1
        self.lease = replace(self.lease, version=str(self.version))

    def write_lease(self, lease):
        if self.error:
            raise self.error
        if self.outcome:
            return self.outcome
        if lease.version != (self.lease.version if self.lease else ""):
            return Outcome.CONFLICT
        self.version += 1
        self.lease = replace(lease, version=str(self.version))
        return Outcome.DONE


@pytest.fixture
def leases():
    return FakeLeases()


@pytest.fixture
def time():
    return [0.0]


@pytest.fixture
def replica(leases, time):
    def make(name, fence=None):
        return Leadership(leases, Candidate(name, "tidecast-system"), fence, clock=lambda: time[0])

    return make


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


def test_what_a_leader_began_is_over_before_another_replica_leads(replica, time):
    candidate = Candidate("first", "tidecast-system")
    first = replica("first")
    first.step()
    while first.is_leader:
        time[0] += 0.5

    assert time[0] + WRITE_SECONDS < candidate.duration_seconds


def test_the_fence_is_open_exactly_as_long_as_a_replica_leads(replica, time):
    fence = Fence(clock=lambda: time[0])
    first = replica("first", fence)
    assert not fence.is_open

    first.step()
    assert fence.is_open
    time[0] = 10
    assert not fence.is_open


def test_a_cycle_that_slept_through_another_term_may_not_write_though_its_replica_leads_again(replica, time):
    first, second = replica("first"), replica("second")
    first.step()
    assert first.enter()
    assert first.may_write
    second.step()
    time[0] = 15
    second.step()
    second.release()

    assert first.step()
    assert (first.is_leader, first.may_write) == (True, False)
    assert not first.enter()  # once: what it knew is of before the other's term
    assert first.enter()
    assert first.may_write


def test_a_cycle_may_write_through_renewals_and_a_lapse_that_nobody_used(replica, time):
    first = replica("first")
    first.step()
    first.enter()
    for seconds in (3, 6, 40):
        time[0] = seconds
        first.step()
        assert first.may_write


def test_a_cycle_that_began_on_standby_may_not_write(replica):
    first, second = replica("first"), replica("second")
    first.step()
    second.step()
    assert not second.enter()
    first.release()
    second.step()

    assert second.is_leader
    assert not second.may_write


def test_a_lease_that_somebody_deletes_is_not_taken_while_its_holder_may_not_know(replica, leases, time):
    first, second = replica("first"), replica("second")
    first.step()
    second.step()
    leases.lease = None

    assert not second.step()
    assert first.step()
    leases.lease = None
    time[0] = 15
    assert second.step()


def test_a_lease_that_somebody_annotates_meanwhile_is_renewed_all_the_same(replica, leases):
    first = replica("first")
    first.step()
    leases.between = leases.touch

    assert first.step()
    assert first.is_leader


def test_a_leader_whose_lease_was_taken_while_it_renewed_leads_no_more(replica, leases, time):
    first, second = replica("first"), replica("second")
    first.step()
    second.step()

    def take():
        leases.between = lambda: None
        time[0] = 15
        assert second.step()
        time[0] = 9

    time[0] = 9
    leases.between = take
    assert not first.step()
    assert not first.is_leader


def test_a_lease_is_not_given_back_before_the_last_write_is_over(replica, leases, time):
    fence = Fence(clock=lambda: time[0])
    first = replica("first", fence)
    first.step()
    fence.enter()
    releasing = threading.Thread(target=first.release)
    releasing.start()

    releasing.join(0.1)
    assert leases.lease.holder == "first"
    assert not fence.is_open
    fence.leave()
    releasing.join(5)
    assert leases.lease.holder == ""


def test_a_lease_is_left_to_lapse_when_a_write_hangs(replica, leases, time, monkeypatch):
    fence = Fence(clock=lambda: time[0])
    first = replica("first", fence)
    first.step()
    fence.enter()
    monkeypatch.setattr(fence, "wait_until_clear", lambda _: False)

    first.release()

    assert leases.lease.holder == "first"
    assert not first.is_leader


def test_a_lease_that_was_given_back_is_not_taken_again_by_a_step_under_way(replica, leases):
    first = replica("first")
    first.step()

    def give_back():
        leases.between = lambda: None
        first.release()

    leases.between = give_back
    assert not first.step()
    assert leases.lease.holder == ""
    assert not first.step()
    assert not first.is_leader


def test_a_lease_is_given_back_though_it_is_renewed_meanwhile(replica, leases):
    first = replica("first")
    first.step()
    leases.between = leases.touch

    first.release()

    assert leases.lease.holder == ""


def test_a_replica_on_standby_looks_again_when_the_lease_lapses_and_not_later(replica, time):
    first, second = replica("first"), replica("second")
    first.step()
    time[0] = 1.0
    second.step()
    assert second.seconds_until_next() == 3
    time[0] = 14.0
    second.step()
    assert second.seconds_until_next() == 2


def test_an_attempt_that_failed_is_repeated_soon_enough_to_keep_the_lead(replica):
    first = replica("first")

    assert first.seconds_until_next(failed=True) == 1
    assert first.seconds_until_next() == 3


async def test_the_lease_is_taken_renewed_and_its_change_told(leases):
    leadership, changed = Leadership(leases, Candidate("first", "tidecast-system", duration_seconds=1)), asyncio.Event()
    leadership.on_change = changed.set
    running = asyncio.create_task(leadership.run())
    await changed.wait()
    assert leadership.is_leader
    first = leases.version
    await asyncio.to_thread(eventually, lambda: leases.version >= first + 2)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
