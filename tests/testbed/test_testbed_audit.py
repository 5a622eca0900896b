import json
from datetime import UTC, datetime

import pytest

from tidecast_simulator.testbed.audit import AuditLog

MIDDAY = 1_795_348_800


def event(user, second, *, resource="serviceperformanceforecasts", code=200, stage="ResponseComplete", seconds=0.01):
    def text(moment):
        return datetime.fromtimestamp(MIDDAY + moment, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

    return {
        "stage": stage,
        "verb": "patch",
        "user": {"username": user},
        "objectRef": {"resource": resource, "subresource": "status", "namespace": "shop", "name": "checkout"},
        "responseStatus": {"code": code},
        "requestReceivedTimestamp": text(second - seconds),
        "stageTimestamp": text(second),
    }


def lease(user, second, **changes):
    body = event(user, second, **changes)
    body["objectRef"] = {"resource": "leases", "namespace": "tidecast-system", "name": "tidecast-operator"}
    return body


@pytest.fixture
def log(tmp_path):
    def of(*events):
        (tmp_path / "audit.log").write_text("".join(json.dumps(one) + "\n" for one in events))
        made = AuditLog(tmp_path / "audit.log", ("a", "b"))
        made.read_on()
        return made

    return of


def test_what_is_written_is_told_with_who_and_when(log):
    (write,) = log(event("a", 2, seconds=0.5)).writes

    assert (write.user, write.verb, write.name, write.is_done) == ("a", "patch", "shop/checkout", True)
    assert write.resource == "serviceperformanceforecasts/status"
    assert (write.received_time, write.answered_time) == (MIDDAY + 1.5, MIDDAY + 2)


def test_a_term_begins_with_another_users_write_of_the_lease_and_not_with_a_renewal(log):
    found = log(lease("a", 1), lease("a", 4), lease("b", 20), lease("b", 23))

    assert found.terms == [(MIDDAY + 1, "a"), (MIDDAY + 20, "b")]
    assert found.holder == "b"


def test_writes_of_each_in_its_own_term_are_no_second_writers(log):
    assert not log(lease("a", 1), event("a", 2), lease("b", 20), event("b", 21)).foreign_writes()


def test_a_write_in_anothers_term_is_one_of_a_second_writer(log):
    found = log(lease("a", 1), lease("b", 20), event("a", 20.5), event("b", 21), event("a", 40)).foreign_writes()

    assert [(write.user, write.answered_time - MIDDAY) for write in found] == [("a", 20.5), ("a", 40)]


def test_a_write_before_the_lease_was_taken_is_one_of_a_second_writer(log):
    found = log(lease("a", 1), event("b", 19), lease("b", 20)).foreign_writes()

    assert [write.user for write in found] == ["b"]


def test_a_write_that_was_refused_is_none(log):
    assert not log(lease("a", 1), lease("b", 20), event("a", 40, code=409)).foreign_writes()


def test_a_lease_that_was_refused_begins_no_term(log):
    assert not log(lease("a", 1), lease("b", 2, code=409), event("a", 3)).foreign_writes()


def test_others_and_requests_that_have_no_answer_yet_are_left_out(log):
    assert not log(event("admin", 1), event("a", 1, stage="RequestReceived")).writes


def test_a_log_is_read_on_from_where_it_was_read_to_and_half_a_line_waits(tmp_path):
    path = tmp_path / "audit.log"
    log = AuditLog(path, ("a",))
    assert not log.read_on()
    line = json.dumps(event("a", 1)) + "\n"
    path.write_text(line + line[:20])
    assert len(log.read_on()) == 1
    path.write_text(line + line)
    assert len(log.read_on()) == 1
    assert len(log.writes) == 2
