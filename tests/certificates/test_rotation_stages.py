"""
Rotations over simulated days: nobody may refuse anybody at any tick, whatever happens to the issuer.
"""

from dataclasses import replace

import pytest

from builders.certificates import (
    API_SERVICE,
    AUTHORITY,
    DAY,
    NAMES,
    OPERATOR,
    PERIODS,
    PREDICTOR,
    Crashed,
    Rotation,
    authorities,
)
from tidecast_operator.certificates.authority import Periods
from tidecast_operator.errors import Misconfigured

HOUR = 3600.0
ENOUGH = 2600.0
"""Seconds, for a rotation of the authority."""

WRITES = 14
"""Of a rotation of the authority."""


def believed(rotation):
    return [len(authorities(rotation.cluster.data(name)["ca.crt"])) for name in (AUTHORITY, OPERATOR, PREDICTOR)]


def is_rotated(rotation, aged):
    """There is one authority, which is another one, and everything is of it; nobody was refused."""
    assert believed(rotation) == [1, 1, 1]
    assert rotation.cluster.data(AUTHORITY).keys() == {"ca.crt", "ca.key"}
    assert rotation.cluster.bundle.bundle == rotation.cluster.data(AUTHORITY)["ca.crt"]
    assert rotation.cluster.data(AUTHORITY)["ca.crt"] != aged.cluster.data(AUTHORITY)["ca.crt"]
    return not rotation.refused


def test_secrets_of_a_new_installation_are_filled_at_once(cluster):
    rotation = Rotation(cluster, DAY)
    rotation.leader.step()

    assert cluster.written == [AUTHORITY, OPERATOR, PREDICTOR, API_SERVICE]
    assert rotation.leader.step().is_settled


def test_a_certificate_is_renewed_under_the_same_authority(installed):
    before = {name: installed.cluster.data(name) for name in (AUTHORITY, *NAMES)}
    installed.run(5.9 * DAY, tick_seconds=HOUR)
    assert installed.cluster.data(PREDICTOR) == before[PREDICTOR]
    installed.run(0.2 * DAY, tick_seconds=HOUR)

    assert installed.cluster.data(AUTHORITY) == before[AUTHORITY]
    for name in NAMES:
        assert installed.cluster.data(name)["ca.crt"] == before[name]["ca.crt"]
        assert installed.cluster.data(name)["tls.crt"] != before[name]["tls.crt"]
    assert not installed.refused


@pytest.mark.parametrize("seed", range(3))
def test_a_rotation_of_the_authority_refuses_nobody(due, aged, seed):
    due.chance.seed(seed)
    due.run(ENOUGH)

    assert is_rotated(due, aged)
    assert len(due.cluster.written) == WRITES


def test_pods_that_see_changes_later_than_is_waited_for_are_refused(due):
    due.periods = Periods(PERIODS.authority, PERIODS.certificate, PERIODS.propagation / 100)
    due.leader = due.replica()
    due.run(ENOUGH)

    assert due.refused


@pytest.mark.parametrize("moment", ["at_write", "after_write"])
@pytest.mark.parametrize("number", range(WRITES))
def test_a_crash_at_any_write_is_gone_on_from_by_another_replica(due, aged, number, moment):
    due.chance.seed(number)

    def crash(count):
        if count == number:
            setattr(due.cluster, moment, lambda _: None)
            raise Crashed

    setattr(due.cluster, moment, crash)
    with pytest.raises(Crashed):
        due.run(ENOUGH)
    due.leader = due.replica()
    due.clock.now += 17.0
    due.run(ENOUGH)

    assert is_rotated(due, aged)


@pytest.mark.parametrize("number", range(WRITES))
def test_two_replicas_that_both_believe_that_they_lead_refuse_nobody(due, aged, number):
    due.chance.seed(number)
    other = due.replica()

    def both(count):
        if count == number:
            due.cluster.at_write = lambda _: None
            other.step()

    due.cluster.at_write = both
    due.run(ENOUGH)

    assert is_rotated(due, aged)


@pytest.mark.parametrize("pause_seconds", [700.0, 1500.0, 3000.0])
@pytest.mark.parametrize("number", range(0, WRITES, 2))
def test_a_leader_that_goes_on_with_what_it_read_long_ago_changes_nothing(due, aged, number, pause_seconds):
    due.chance.seed(number)
    paused = due.leader

    def sleep(count):
        if count == number:
            due.cluster.at_write = lambda _: None
            due.leader = due.replica()
            due.run(pause_seconds)

    due.cluster.at_write = sleep
    due.run(ENOUGH)

    assert due.leader is not paused
    assert is_rotated(due, aged)


def test_a_rotation_waits_for_a_secret_that_is_missing(due, aged):
    taken = due.cluster.secrets.pop(PREDICTOR)
    for pod in due.pods[:2]:
        pod.look(due.cluster, due.clock.now)
    for _ in range(100):
        due.leader.step()
        due.clock.now += 60
    assert len(authorities(due.cluster.data(AUTHORITY)["ca.crt"])) == 2
    assert "since" not in due.cluster.data(AUTHORITY)

    due.cluster.secrets[PREDICTOR] = taken
    due.run(ENOUGH)

    assert is_rotated(due, aged)


def test_the_former_authority_is_believed_as_long_as_a_certificate_of_it_could_not_be_replaced(due, aged):
    due.run(500)
    due.cluster.errors[PREDICTOR] = Misconfigured("permissions", "forbidden", "grant it")
    due.run(ENOUGH)
    assert believed(due) == [2, 2, 2]  # not even the following one signs
    due.cluster.errors.clear()
    while due.cluster.data(AUTHORITY)["ca.crt"].startswith(aged.cluster.data(AUTHORITY)["ca.crt"]):
        kept = due.cluster.secrets[PREDICTOR]
        due.tick()
    due.cluster.put(PREDICTOR, dict(kept.data), dict(kept.annotations))
    due.cluster.errors[PREDICTOR] = Misconfigured("permissions", "forbidden", "grant it")
    due.run(ENOUGH)
    assert believed(due) == [2, 2, 2]
    due.cluster.errors.clear()
    due.run(ENOUGH)

    assert is_rotated(due, aged)


def test_a_rotation_waits_for_an_api_server_that_cannot_be_told(due, aged):

    def changed_by_another(_):
        held = due.cluster.bundle
        due.cluster.bundle = replace(held, version=str(int(held.version) + 1))

    due.cluster.at_write = changed_by_another
    due.run(2 * ENOUGH)
    assert believed(due) == [2, 2, 2]
    assert not due.refused

    due.cluster.at_write = lambda _: None
    due.run(ENOUGH)
    assert is_rotated(due, aged)


@pytest.mark.parametrize("stage_seconds", [0.0, 400.0, 900.0, 1300.0])
def test_an_authority_whose_secret_was_emptied_is_replaced_and_refuses_nobody(due, aged, stage_seconds):
    due.run(stage_seconds)
    due.cluster.put(AUTHORITY, {})
    due.run(2 * ENOUGH)

    assert is_rotated(due, aged)


def test_an_authority_whose_secret_was_deleted_is_made_anew_once_there_is_one_again(due, aged):
    held = due.cluster.secrets.pop(AUTHORITY)
    leaves = [due.cluster.data(name)["tls.crt"] for name in (OPERATOR, PREDICTOR)]
    due.run(ENOUGH)
    assert [due.cluster.data(name)["tls.crt"] for name in (OPERATOR, PREDICTOR)] == leaves
    due.cluster.secrets[AUTHORITY] = replace(held, data={}, annotations={})
    due.run(2 * ENOUGH)

    assert is_rotated(due, aged)
    assert not {due.cluster.data(name)["tls.crt"] for name in (OPERATOR, PREDICTOR)} & set(leaves)


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_an_authority_whose_key_is_spoilt_is_replaced_and_refuses_nobody(due, aged, content):
    held = due.cluster.secrets[AUTHORITY]
    due.cluster.put(AUTHORITY, {**held.data, "ca.key": content}, dict(held.annotations))
    due.run(2 * ENOUGH)

    assert is_rotated(due, aged)


@pytest.mark.parametrize("stage_seconds", [400.0, 900.0, 2600.0])
def test_an_authority_that_was_put_back_to_a_former_one_refuses_nobody(due, aged, stage_seconds):
    former = due.cluster.secrets[AUTHORITY]
    due.run(stage_seconds)
    due.cluster.put(AUTHORITY, dict(former.data), dict(former.annotations))
    due.run(3 * ENOUGH)

    assert is_rotated(due, aged)


def test_after_everything_has_expired_it_is_issued_anew(due, aged):
    due.clock.now += 400 * DAY
    for pod in due.pods:
        pod.longest_seconds = 0
    due.run(600)
    due.refused.clear()
    due.run(ENOUGH)

    assert is_rotated(due, aged)


def test_a_clock_that_was_ahead_delays_and_breaks_nothing(due, aged):
    due.run(100)
    due.clock.now += DAY / 2
    due.leader.step()
    due.clock.now -= DAY / 2
    due.run(2 * ENOUGH)

    assert is_rotated(due, aged)
