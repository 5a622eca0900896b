"""
How few requests find what is to be done, on the real API server.
"""

import json

import pytest

from builders.autoscaled_shop import EVERYTHING, HPA, NOTHING, Shop, leading
from builders.autoscalers import board
from builders.waiting import eventually
from tidecast_operator.autoscalers import FIELD_MANAGER
from tidecast_operator.outlets.floors.claim import RAISED, SELECTOR

pytestmark = pytest.mark.real


@pytest.fixture
def shops(control_plane, new_namespace):
    """Three namespaces, each with an autoscaler."""
    made = [Shop(control_plane, new_namespace()) for _ in range(3)]
    for one in made:
        one.apply()
    return made


class Counting:
    """Passes calls on, and keeps what was asked."""

    def __init__(self, autoscalers):
        self._autoscalers = autoscalers
        self.calls = []

    def __getattr__(self, name):
        def call(*arguments, **options):
            self.calls.append((name, options.get("selector", "")))
            return getattr(self._autoscalers, name)(*arguments, **options)

        return call


def labelled(autoscalers, **options):
    return {one.namespace for page in autoscalers.pages(selector=SELECTOR, **options) for one in page}


@pytest.mark.parametrize("is_cached", [False, True])
def test_a_raised_floor_is_found_by_its_label_until_it_is_given_back(shops, autoscalers, floors, is_cached):
    spaces = [one.namespace for one in shops]
    floors.follow(board(shops[0].entry(), shops[1].entry()))
    assert labelled(autoscalers).intersection(spaces) == set(spaces[:2])

    floors.follow(board(shops[0].entry()))
    eventually(lambda: labelled(autoscalers, is_cached=is_cached).intersection(spaces) == {spaces[0]})
    floors.follow(board())

    eventually(lambda: not labelled(autoscalers, is_cached=is_cached).intersection(spaces))


def test_a_cycle_in_which_nothing_changes_is_one_list_by_label(shops, autoscalers):
    door = Counting(autoscalers)
    floors = leading(door)
    floors.follow(board(*(one.entry() for one in shops)))
    eventually(lambda: labelled(autoscalers, is_cached=True) >= {one.namespace for one in shops})
    door.calls.clear()

    report = floors.follow(board(*(one.entry() for one in shops)))

    assert (door.calls, len(report.floors)) == ([("pages", SELECTOR)], 3)


def test_the_label_is_written_and_removed_with_the_floor_and_is_ours_alone(shop, floors):
    shop.apply()
    floors.follow(board(shop.entry()))

    ours = next(fields for (manager, _), fields in shop.managers().items() if manager == FIELD_MANAGER)
    (label,) = RAISED
    assert (list(ours["f:metadata"]["f:labels"]), shop.marks) == ([f"f:{label}"], EVERYTHING)
    floors.follow(board())

    assert shop.marks == NOTHING


def test_labels_of_the_owner_stay(shop, floors):
    shop.apply()
    shop.kubectl("label", HPA, "checkout", "-n", shop.namespace, "team=payments")
    floors.follow(board(shop.entry()))
    assert shop.get()["metadata"]["labels"] == {"team": "payments", **RAISED}

    floors.follow(board())

    assert shop.get()["metadata"]["labels"] == {"team": "payments"}


def test_whoever_replaces_the_whole_object_sets_a_new_original(shop, floors):
    shop.apply()
    floors.follow(board(shop.entry()))

    shop.kubectl("replace", "-f", "-", stdin=json.dumps(shop.body(floor=4)))
    assert (shop.floor, shop.marks) == (4, NOTHING)
    floors.follow(board(shop.entry()))
    assert (shop.floor, shop.marks) == (9, EVERYTHING)
    floors.follow(board())

    assert (shop.floor, shop.marks) == (4, NOTHING)


class TestWithoutTheLabel:
    """As a release before has left it, or where somebody took it away."""

    @pytest.fixture
    def unlabelled(self, shop, floors):
        shop.apply()
        floors.follow(board(shop.entry()))
        (label,) = RAISED
        shop.kubectl("label", HPA, "checkout", "-n", shop.namespace, f"{label}-")
        return shop

    def test_a_new_process_writes_it_where_the_floor_is_still_wanted(self, unlabelled, autoscalers):
        leading(autoscalers).follow(board(unlabelled.entry()))

        assert (unlabelled.floor, unlabelled.marks) == (9, EVERYTHING)

    def test_a_new_process_gives_the_floor_back_where_it_is_not(self, unlabelled, autoscalers):
        leading(autoscalers).follow(board())

        assert (unlabelled.floor, unlabelled.marks) == (2, NOTHING)

    def test_the_same_process_gives_it_back_though_nobody_names_it_any_more(self, unlabelled, floors):
        floors.follow(board())

        assert (unlabelled.floor, unlabelled.marks) == (2, NOTHING)

    def test_releasing_all_gives_it_back(self, unlabelled, autoscalers):
        leading(autoscalers).release_all()

        assert (unlabelled.floor, unlabelled.marks) == (2, NOTHING)


def test_many_floors_are_given_back_at_once(shop, autoscalers):
    names = [f"service-{number:02d}" for number in range(30)]
    items = [shop.body() | {"metadata": {"name": name, "namespace": shop.namespace}} for name in names]
    shop.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    floors = leading(autoscalers)
    entries = [shop.entry(name=name) for name in names]

    assert floors.follow(board(*entries)).raised == 30
    report = floors.follow(board())

    assert (report.restored, report.left) == (30, 0)
    found = [one for page in autoscalers.pages(shop.namespace) for one in page]
    assert {(one.min_replicas, one.is_held, len(one.labels)) for one in found} == {(2, False, 0)}
    floors.release_all([shop.namespace])


def test_all_pages_are_listed(control_plane, new_namespace, autoscalers, monkeypatch):
    monkeypatch.setattr("tidecast_operator.autoscalers._PAGE_SIZE", 2)
    shops = [Shop(control_plane, new_namespace()) for _ in range(3)]
    for one in shops:
        one.apply()

    pages = list(autoscalers.pages())

    found = {autoscaler.namespace for page in pages for autoscaler in page}
    assert found >= {one.namespace for one in shops}
    assert len(pages) > 1


def test_a_version_that_the_api_server_ends_is_left_for_one_that_it_serves(shop, autoscalers):
    shop.apply()
    autoscalers._version = "v0"

    names = [found.name for page in autoscalers.pages(shop.namespace) for found in page]

    assert names == ["checkout"]
