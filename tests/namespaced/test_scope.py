import asyncio
import logging

import pytest

from builders.access import FakeAccess
from builders.operating import forecast_body
from builders.telemetry import service_body, workload_body
from tidecast_operator.errors import ApiServerUnavailable, Misconfigured
from tidecast_operator.picture import Picture
from tidecast_operator.scope import KINDS, NEEDED, NEEDED_FOR_FLOORS, Scope, parse_names


def scope(access, *names, **options):
    picture = Picture()
    return Scope(names or ("shop", "payments"), access=access, cluster=access, picture=picture, **options), picture


def known(picture):
    return set(picture.workloads().namespace_labels)


@pytest.mark.parametrize(
    ("text", "names"),
    [("shop", ("shop",)), ("shop,payments", ("shop", "payments")), (" shop , payments,,shop", ("shop", "payments"))],
)
def test_a_list_names_namespaces(text, names):
    assert parse_names(text) == names


@pytest.mark.parametrize("text", ["", ",", "shop,Payments", "shop/*", "!shop", "a" * 64, "shop-", "shop,pay ments"])
def test_a_list_that_names_something_else_is_refused_with_the_flag(text):
    with pytest.raises(Misconfigured, match="--watch-namespaces"):
        parse_names(text)


async def test_the_namespaces_of_the_list_exist_without_being_read():
    chosen, picture = scope(FakeAccess())

    assert await chosen.namespaces() == ("shop", "payments")
    assert known(picture) == {"shop", "payments"}


@pytest.mark.parametrize("permission", [str(permission) for permission in NEEDED])
async def test_a_namespace_without_a_permission_is_left_out_by_name_and_the_others_go_on(caplog, permission):
    chosen, picture = scope(FakeAccess(forbidden={"payments": {permission}}))

    assert await chosen.namespaces() == ("shop",)
    assert known(picture) == {"shop"}
    [told] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert "namespace payments" in told
    assert permission in told
    assert "RoleBinding" in told


async def test_floors_need_more_permissions():
    access = FakeAccess(forbidden={"payments": {"patch horizontalpodautoscalers.autoscaling"}})

    assert await scope(access)[0].namespaces() == ("shop", "payments")
    assert await scope(access, needed=NEEDED + NEEDED_FOR_FLOORS)[0].namespaces() == ("shop",)


async def test_what_stays_forbidden_is_told_once(caplog):
    chosen, _ = scope(FakeAccess(forbidden={"payments": {"list services"}}))

    for _ in range(3):
        await chosen.look()

    assert caplog.text.count("payments is left out") == 1


async def test_a_namespace_that_is_granted_later_is_taken_in():
    access = FakeAccess(forbidden={"payments": {"list services"}})
    chosen, picture = scope(access)
    await chosen.look()

    access.forbidden.clear()

    assert await chosen.look()
    assert chosen.open == ("shop", "payments")
    assert known(picture) == {"shop", "payments"}
    assert not await chosen.look(), "nothing is other than before"


async def test_a_namespace_that_is_forbidden_later_is_forgotten_with_all_in_it():
    access = FakeAccess()
    chosen, picture = scope(access)
    await chosen.look()
    for body in (workload_body("checkout"), service_body("checkout"), forecast_body()):
        chosen.observe(None, body)

    access.forbidden = {"shop": {"watch services"}}
    await chosen.look()

    assert await chosen.look()
    assert known(picture) == {"payments"}
    assert {name for name in picture.names().values() if name} == {frozenset({("", "payments")})}


async def test_a_permission_that_is_away_for_one_look_closes_nothing(caplog):
    access = FakeAccess()
    chosen, picture = scope(access)
    await chosen.look()
    chosen.observe(None, forecast_body())
    lacking = {"shop": {"watch services"}}

    for forbidden in (lacking, {}, lacking):
        access.forbidden = forbidden
        assert not await chosen.look()

    assert chosen.open == ("shop", "payments")
    assert len(picture.forecasts()) == 1
    assert "is left out" not in caplog.text


async def test_a_late_event_of_a_namespace_that_is_left_out_is_dropped():
    chosen, picture = scope(FakeAccess(forbidden={"shop": {"watch services"}}))
    await chosen.look()

    chosen.observe("ADDED", forecast_body())

    assert picture.forecasts() == ()


async def test_definitions_that_are_installed_later_open_the_watches_anew(caplog):
    access = FakeAccess(served=False)
    chosen, _ = scope(access)
    await chosen.look()
    assert "manifests/crds" in caplog.text

    access.served = True

    assert await chosen.look()


async def test_an_api_server_that_does_not_answer_changes_nothing():
    access = FakeAccess()
    chosen, picture = scope(access)
    await chosen.look()

    access.is_down = True

    with pytest.raises(ApiServerUnavailable):
        await chosen.look()
    assert chosen.open == ("shop", "payments")
    assert known(picture) == {"shop", "payments"}


async def test_nothing_is_complete_before_it_is_known_what_is_permitted():
    chosen, _ = scope(FakeAccess())
    waiting = asyncio.create_task(chosen.ready())
    await asyncio.sleep(0)
    assert not waiting.done()

    await chosen.look()

    await waiting


async def test_a_kind_that_is_not_known_in_a_namespace_is_not_known():
    access = FakeAccess()
    access.names = {(kind, "shop"): {} for kind in KINDS} | {(kind, "payments"): None for kind in KINDS}
    chosen, _ = scope(access)
    await chosen.look()

    assert {chosen.list_names(kind) for kind in KINDS} == {None}


async def test_objects_are_listed_in_open_namespaces_alone():
    access = FakeAccess(forbidden={"payments": {"list services"}})
    for namespace in ("shop", "payments", "another"):
        for kind in KINDS:
            access.names[kind, namespace] = {(namespace, "checkout"): 1}
    chosen, _ = scope(access)
    await chosen.look()

    assert {kind: chosen.list_names(kind) for kind in KINDS} == {kind: {("shop", "checkout"): 1} for kind in KINDS}
    assert access.asked == {"shop", "payments"}
