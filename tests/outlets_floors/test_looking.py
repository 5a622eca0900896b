from collections import Counter

import pytest

from builders.autoscalers import OURS, OWNERS, autoscaler, entry, unavailable
from builders.following_floors import Following
from tidecast_operator.errors import Misconfigured
from tidecast_operator.hints.board import Board
from tidecast_operator.outlets.floors.claim import RAISED, Claim
from tidecast_operator.scaling import Mode

STANDING = Claim(2, 9, "checkout").to_annotations()


def names(count, prefix="service"):
    return [f"{prefix}-{number}" for number in range(count)]


def many(count, **changes):
    return [autoscaler(name, **changes) for name in names(count)]


def raised(name="checkout", **changes):
    """As a process before has left it."""
    marks = {"annotations": STANDING, "labels": RAISED, "managers": (OWNERS, OURS)}
    return autoscaler(name, **{"floor": 9} | marks | changes)


def asking(*named):
    return [entry(name, autoscaler=name) for name in named]


class TestWhatIsRead:
    def test_all_are_listed_once_and_then_only_those_that_are_raised(self):
        one = Following(autoscaler(), *many(50))
        one.follow(entry())
        one.fake.calls.clear()

        for _ in range(3):
            one.follow(entry())

        assert one.fake.calls == ["labelled"] * 3

    def test_a_few_that_are_named_and_not_raised_are_read_one_by_one(self):
        one = Following(*many(50))
        one.follow()
        one.fake.calls.clear()

        report = one.follow(*asking("service-1", "service-2"))

        assert Counter(one.fake.calls) == {"labelled": 1, "read": 2, "apply": 2}
        assert report.raised == 2

    def test_many_that_are_named_are_listed_with_all_of_their_namespace(self):
        one = Following(*many(20), *many(500, namespace="bank"))
        one.follow()
        one.fake.calls.clear()

        report = one.follow(*asking(*names(9)))

        assert Counter(one.fake.calls) == {"labelled": 1, "pages of shop": 1, "apply": 9}
        assert report.raised == 9

    def test_a_namespace_that_is_much_larger_than_what_is_named_there_is_not_listed(self):
        one = Following(*many(500))
        one.follow()
        one.fake.calls.clear()

        one.follow(*asking(*names(9)))

        assert Counter(one.fake.calls) == {"labelled": 1, "read": 9, "apply": 9}

    def test_where_nearly_all_are_named_in_many_namespaces_all_are_listed(self):
        spaces = names(30, "space")
        one = Following(*(found for space in spaces for found in many(2, namespace=space)))
        one.follow()
        one.fake.calls.clear()

        one.follow(
            *(entry(namespace=space, autoscaler=name, mode=Mode.PREVIEW) for space in spaces for name in names(2))
        )

        assert one.fake.calls == ["labelled", "pages"]

    def test_what_is_named_is_found_though_it_was_made_after_all_were_listed(self):
        one = Following()
        one.follow(entry())
        one.fake.put(*many(12))

        assert one.follow(entry(), *asking(*names(12))).raised == 12

    def test_one_that_is_named_and_not_there_is_a_problem_and_the_others_are_raised(self):
        one = Following()
        one.follow()

        report = one.follow(entry(), *asking("missing"))

        assert [(problem.key, problem.reason) for problem in report.problems] == [
            (("shop", "missing"), "AutoscalerNotFound")
        ]
        assert report.raised == 1

    def test_where_it_is_not_allowed_to_read_one_the_others_are_raised_and_who_asks_is_told(self):
        one = Following(autoscaler(), autoscaler("cart", namespace="bank"), *many(50))
        one.follow()

        def forbid(_):
            if one.fake.calls[-1] == "read" and one.fake.reading == ("bank", "cart"):
                raise Misconfigured("permissions", "403 in bank", "grant them")

        one.fake.before = forbid
        report = one.follow(entry(), entry("cart", namespace="bank", autoscaler="cart"))

        (problem,) = report.problems
        assert (problem.key, problem.reason) == (("bank", "cart"), "AutoscalerNotFound")
        assert "403 in bank" in problem.message
        assert (report.raised, report.is_complete, type(report.error)) == (1, False, Misconfigured)


class TestWhenThereIsNothingToLookAt:
    def test_the_first_cycle_looks_for_floors_of_a_process_before_and_the_next_ones_do_not(self):
        one = Following()

        for _ in range(3):
            one.follow()

        assert one.fake.calls == ["pages"]

    def test_nothing_is_asked_before_a_cycle_has_completed(self):
        one = Following()

        one.floors.follow(Board())

        assert one.fake.calls == []

    def test_an_entry_that_names_an_autoscaler_is_looked_at_in_every_cycle(self):
        one = Following()

        for _ in range(3):
            one.follow(entry(mode=Mode.PREVIEW))

        assert one.fake.calls == ["pages", "labelled", "read", "labelled", "read"]

    def test_it_is_looked_again_until_every_floor_is_given_back(self):
        one = Following()
        one.follow(entry())
        one.fake.before = lambda _: unavailable() if one.fake.calls[-1] == "release" else None
        one.follow()
        one.fake.before = lambda _: None
        one.fake.calls.clear()

        assert one.follow().restored == 1
        one.follow()
        assert one.fake.calls == ["labelled", "release"]

    def test_it_is_looked_again_while_some_namespaces_may_not_be_looked_into(self):
        one = Following()
        one.fake.is_partial = True
        for _ in range(2):
            assert one.follow().is_complete
        one.fake.put(raised("cart"))  # of a namespace that may be looked into from now on
        one.fake.is_partial = False

        assert [one.follow().restored for _ in range(2)] == [1, 0]
        assert one.fake["cart"].min_replicas == 2


class TestWhenAllAreListedAgain:
    def test_after_another_replica_has_led(self):
        one = Following()
        one.follow()
        one.may_write = False
        one.follow()
        one.fake.put(raised(labels={}))
        one.may_write = True

        assert one.follow().restored == 1
        assert (one.fake["checkout"].min_replicas, one.fake["checkout"].annotations) == (2, {})

    def test_after_leadership_was_lost_within_a_cycle(self):
        one = Following(autoscaler(), autoscaler("cart"))
        one.follow(entry())
        one.fake.after = lambda _: setattr(one, "may_write", False)
        one.follow(entry(), *asking("cart"))
        one.fake.after, one.may_write = (lambda _: None), True
        one.fake.calls.clear()

        one.follow(entry())

        assert one.fake.calls == ["pages"]

    def test_not_after_an_api_server_that_did_not_answer_for_a_while(self):
        one = Following()
        one.follow(entry())
        one.fake.before = unavailable
        one.follow(entry())
        one.fake.before = lambda _: None
        one.fake.calls.clear()

        one.follow(entry())

        assert one.fake.calls == ["labelled"]

    def test_until_it_has_worked_once(self):
        one = Following(raised(labels={}))
        one.fake.before = unavailable
        one.follow()
        one.fake.before = lambda _: None

        assert one.follow().restored == 1


class TestMarksWithoutTheLabel:
    """As of a release before there was one, or of somebody who took it away."""

    def test_a_floor_that_is_still_wanted_gets_it(self):
        one = Following(raised(labels={}))

        report = one.follow(entry())

        assert (report.raised, one.fake["checkout"].labels, one.fake["checkout"].min_replicas) == (1, RAISED, 9)
        assert one.fake["checkout"].annotations == STANDING

    def test_a_floor_that_nobody_wants_is_given_back(self):
        one = Following(raised(labels={}))

        assert one.follow().restored == 1
        assert (one.fake["checkout"].min_replicas, one.fake["checkout"].annotations) == (2, {})

    def test_a_label_that_is_taken_away_is_written_again(self):
        one = Following()
        one.follow(entry())
        one.fake.edit(labels={})

        one.follow(entry())

        assert one.fake["checkout"].labels == RAISED

    def test_a_floor_whose_label_is_taken_away_is_given_back_when_nobody_names_it_any_more(self):
        one = Following()
        one.follow(entry())
        one.fake.edit(labels={})

        assert one.follow().restored == 1
        assert one.fake["checkout"].min_replicas == 2

    def test_a_floor_that_may_not_be_read_for_a_while_is_not_forgotten(self):
        one = Following(autoscaler(), autoscaler("cart"), *many(50))
        one.follow(*asking("cart"))
        one.fake.edit("cart", labels={})

        def forbid(_):
            if one.fake.calls[-1] == "read":
                raise Misconfigured("permissions", "403", "grant them")

        one.fake.before = forbid
        assert not one.follow().is_complete
        one.fake.before = lambda _: None

        assert one.follow().restored == 1
        assert one.fake["cart"].min_replicas == 2

    def test_releasing_all_finds_them(self):
        one = Following(raised(labels={}))

        assert one.release_all().restored == 1
        assert one.fake["checkout"].min_replicas == 2


@pytest.mark.parametrize("labels", [RAISED, {"tidecast.dev/floor": "else"}])
def test_a_label_that_stands_alone_is_removed_and_the_floor_left_as_it_is(labels):
    one = Following(autoscaler(floor=5, labels=labels))

    report = one.follow()

    assert (report.restored, one.fake["checkout"].min_replicas, one.fake["checkout"].labels) == (1, 5, {})


class TestAnApiServerThatIsBehind:
    """It may answer a list by label from a memory of earlier, but never a read nor a write."""

    def behind(self, *autoscalers):
        one = Following(*autoscalers)
        one.follow()
        one.fake.cache = dict(one.fake.objects)
        return one

    def test_a_floor_that_it_does_not_show_yet_is_not_raised_twice(self):
        one = self.behind()
        one.follow(entry())

        report = one.follow(entry())

        assert (report.raised, report.floors) == (0, {("shop", "checkout"): Claim(2, 9, "checkout")})

    def test_a_floor_that_it_does_not_show_yet_is_given_back(self):
        one = self.behind(autoscaler(), autoscaler("cart"))
        one.follow(entry())

        one.follow(*asking("cart"))

        assert one.fake["checkout"].min_replicas == 2

    def test_a_floor_that_it_still_shows_is_not_given_back_twice(self):
        one = Following(autoscaler(), autoscaler("cart"))
        one.follow(entry())
        one.fake.cache = dict(one.fake.objects)
        one.follow(*asking("cart"))
        one.fake.edit(min_replicas=5)

        report = one.follow(*asking("cart"))

        assert (report.restored, one.fake["checkout"].min_replicas) == (0, 5)

    def test_while_nobody_asks_it_must_not_be_behind(self):
        one = Following(raised())
        one.fake.cache = {}

        assert one.follow(entry(withheld="not trusted", replicas=1)).restored == 1
        one.fake.put(raised("cart"))
        one.follow(entry(withheld="not trusted"))
        assert one.follow().restored == 1
