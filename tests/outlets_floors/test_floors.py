import pytest

from builders.autoscalers import OWNERS, autoscaler, entry, unavailable
from builders.following_floors import Following
from tidecast_operator.api_answers import WriteRefused
from tidecast_operator.errors import ApiServerUnavailable, Misconfigured
from tidecast_operator.hints.hint import HOLD_SECONDS
from tidecast_operator.outlets.floors.claim import Claim


def test_a_floor_is_raised_by_one_write_and_given_back_to_what_it_was():
    one = Following()

    report = one.follow(entry())
    assert (report.raised, one.fake.writes, one.fake["checkout"].min_replicas) == (1, 1, 9)
    assert report.floors == {("shop", "checkout"): Claim(2, 9, "checkout")}
    report = one.follow()

    assert (report.restored, report.floors, report.is_complete) == (1, {}, True)
    assert one.fake["checkout"].min_replicas == 2
    found = one.fake["checkout"]
    assert (found.annotations, found.labels, found.managers) == ({}, {}, (OWNERS,))


def test_a_floor_that_stands_is_looked_at_and_not_written():
    one = Following()
    one.follow(entry())

    report = one.follow(entry())

    assert (report.raised, one.fake.writes) == (0, 1)
    assert report.floors == {("shop", "checkout"): Claim(2, 9, "checkout")}


def test_a_process_that_begins_to_lead_lowers_no_floor_before_what_is_held_is_over():
    """Floors are written before statuses: what the one before asked for last may be told by the floor alone."""
    one = Following()
    one.follow(entry())
    one.restart()

    one.follow(entry(replicas=4))
    assert one.fake["checkout"].min_replicas == 9
    one.now += HOLD_SECONDS
    one.follow(entry(replicas=4))

    assert one.fake["checkout"].min_replicas == 4


def test_a_process_that_leads_again_lowers_no_floor_at_once_either():
    one = Following()
    one.follow(entry())
    one.now += HOLD_SECONDS
    one.may_write = False
    one.follow(entry())
    one.may_write = True

    one.follow(entry(replicas=4))

    assert one.fake["checkout"].min_replicas == 9


def test_a_new_process_gives_back_what_the_one_before_has_raised():
    one = Following()
    one.follow(entry())
    one.restart()

    one.follow()

    assert (one.fake["checkout"].min_replicas, one.fake["checkout"].annotations) == (2, {})


class TestErrors:
    def test_an_api_server_that_does_not_answer_is_reported_and_tried_again(self):
        one = Following()
        one.fake.before = unavailable
        report = one.follow(entry())
        one.fake.before = lambda _: None

        assert isinstance(report.error, ApiServerUnavailable)
        assert one.follow(entry()).raised == 1

    def test_after_a_write_that_was_not_answered_the_others_wait_for_the_next_cycle(self):
        one = Following(autoscaler(), autoscaler("cart"))
        one.fake.before = lambda number: unavailable() if number == 2 else None

        report = one.follow(entry(), entry("cart", autoscaler="cart"))

        assert (report.raised, report.left, one.fake.writes) == (0, 2, 0)

    @pytest.mark.parametrize(
        "error", [WriteRefused("a webhook forbids it"), Misconfigured("permissions", "no", "grant")]
    )
    def test_one_that_is_refused_does_not_keep_others_from_being_raised(self, error):
        one = Following(autoscaler(), autoscaler("cart"))

        def refuse(number):
            if number == 2:
                raise error

        one.fake.before = refuse

        report = one.follow(entry(), entry("cart", autoscaler="cart"))

        assert (report.raised, report.left, report.is_complete) == (1, 1, False)
        assert {found.min_replicas for found in one.fake.objects.values()} == {2, 9}

    def test_a_refusal_is_reported_to_who_asked(self):
        one = Following()

        def refuse(number):
            if number == 2:
                raise WriteRefused("a webhook forbids it")

        one.fake.before = refuse

        (problem,) = one.follow(entry("mine")).problems

        assert (problem.key, problem.reason) == (("shop", "mine"), "AutoscalerWriteRefused")
        assert "a webhook forbids it" in problem.message

    def test_the_problems_of_the_plan_are_in_the_report(self):
        (problem,) = Following(autoscaler("cart")).follow(entry()).problems

        assert problem.reason == "AutoscalerNotFound"


class TestConflicts:
    def test_one_that_changed_since_it_was_listed_is_read_again_and_raised_from_what_it_is_now(self):
        one = Following()
        one.fake.before = lambda number: one.fake.edit(min_replicas=4) if number == 2 else None

        report = one.follow(entry())

        assert (report.raised, report.left, one.fake.calls) == (1, 0, ["pages", "apply", "read", "apply"])
        assert one.fake["checkout"].annotations == Claim(4, 9, "checkout").to_annotations()

    def test_one_that_changed_so_that_nothing_is_to_be_done_is_left(self):
        one = Following()
        one.fake.before = lambda number: one.fake.edit(target_name="cart") if number == 2 else None

        report = one.follow(entry())

        assert (report.raised, report.left, one.fake.writes) == (0, 0, 0)

    def test_one_that_is_deleted_meanwhile_is_no_error(self):
        one = Following()
        one.fake.before = lambda number: one.fake.objects.clear() if number == 2 else None

        assert one.follow(entry()).is_complete

    def test_one_that_always_changes_waits_for_the_next_cycle(self):
        one = Following()
        one.fake.before = lambda _: one.fake.edit()

        report = one.follow(entry())

        assert (report.raised, report.left, one.fake["checkout"].min_replicas) == (0, 1, 2)

    def test_a_change_between_the_two_writes_of_giving_back_is_kept(self):
        one = Following()
        one.follow(entry())
        one.fake.calls.clear()
        one.fake.before = lambda number: one.fake.edit(min_replicas=6) if number == 3 else None

        report = one.follow()

        assert (report.restored, one.fake["checkout"].min_replicas, one.fake["checkout"].annotations) == (1, 6, {})


class TestStopping:
    def test_nothing_is_written_after_leadership_is_lost(self):
        one = Following(autoscaler(), autoscaler("cart"))

        def lose(number):
            if number == 2:
                one.may_write = False

        one.fake.after = lose

        report = one.follow(entry(), entry("cart", autoscaler="cart"))

        assert (report.raised, report.left, one.fake.writes) == (1, 1, 1)

    def test_leadership_is_asked_between_the_two_writes_of_giving_back(self):
        one = Following()
        one.follow(entry())
        one.fake.calls.clear()
        one.fake.after = lambda number: setattr(one, "may_write", number != 2)

        assert (one.follow().left, one.fake.calls) == (1, ["labelled", "apply"])

    def test_what_there_is_no_time_for_comes_in_the_next_cycle(self):
        names = [f"service-{number}" for number in range(9)]
        one = Following(*(autoscaler(name) for name in names), budget_seconds=20.0)

        def slow(_):
            one.now += 6

        one.fake.after = slow
        entries = [entry(name, autoscaler=name) for name in names]

        first, second = one.follow(*entries), one.follow(*entries)

        assert (first.raised, first.left, second.raised) == (4, 5, 4)

    def test_a_cycle_may_have_a_budget_of_its_own(self):
        one = Following(autoscaler(), autoscaler("cart"))
        one.fake.after = lambda _: setattr(one, "now", one.now + 6)

        report = one.follow(entry(), entry("cart", autoscaler="cart"), budget_seconds=5)

        assert (report.raised, report.left) == (1, 1)

    def test_a_look_that_takes_too_long_raises_nothing_and_is_reported(self):
        one = Following()
        one.fake.after = lambda _: setattr(one, "now", one.now + 100)

        report = one.follow(entry())

        assert isinstance(report.error, ApiServerUnavailable)
        assert one.fake.writes == 0


class TestReleasingAll:
    def test_every_floor_is_given_back_without_any_board(self):
        one = Following(autoscaler(), autoscaler("cart", floor=3))
        one.follow(entry(), entry("cart", autoscaler="cart"))
        one.restart()

        report = one.release_all()

        assert (report.restored, report.is_complete, one.pauses) == (2, True, [])
        assert [one.fake[name].min_replicas for name in ("checkout", "cart")] == [2, 3]

    def test_only_the_given_namespaces_are_looked_at(self):
        annotations = Claim(2, 9, "checkout").to_annotations()
        one = Following(
            *(autoscaler(floor=9, annotations=annotations, namespace=name) for name in ("shop", "bank", "mail"))
        )

        one.release_all("shop", "mail")

        assert {key[0]: found.min_replicas for key, found in one.fake.objects.items()} == {
            "shop": 2,
            "bank": 9,
            "mail": 2,
        }

    def test_what_fails_is_tried_again(self):
        one = Following()
        one.follow(entry())
        one.fake.calls.clear()
        one.fake.before = lambda number: unavailable() if number < 3 else None

        report = one.release_all()

        assert (report.restored, report.is_complete, len(one.pauses)) == (1, True, 2)

    def test_what_fails_for_good_is_reported(self):
        one = Following()
        one.follow(entry())
        one.fake.before = unavailable

        report = one.release_all()

        assert not report.is_complete
        assert isinstance(report.error, ApiServerUnavailable)
