from dataclasses import replace

import pytest

from builders.autoscalers import MARKS_ALONE, NOW, OURS, OWNERS, autoscaler, board, entry, hint
from tidecast_operator.hints.board import Board
from tidecast_operator.outlets.floors.claim import BY, FLOOR, ORIGINAL, RAISED, Claim
from tidecast_operator.outlets.floors.plan import Raise, Restore, plan
from tidecast_operator.scaling import Mode, Scaling


def raised(floor=9, original=2, *, ceiling=20, now=None, **changes):
    """An autoscaler whose floor was raised, and has been changed to *now* since."""
    annotations = changes.pop("annotations", Claim(original, floor, "checkout").to_annotations())
    marks = {"annotations": annotations, "labels": RAISED, "managers": (OWNERS, OURS)}
    return autoscaler(floor=floor if now is None else now, ceiling=ceiling, **marks | changes)


def only_step(shown, *autoscalers, now=NOW):
    (step,) = plan(shown, autoscalers, now).steps
    return step


@pytest.mark.parametrize(
    ("asked", "floor"),
    [(9, 9), (3, 3), (20, 20), (21, 20), (1000, 20)],
)
def test_a_hint_raises_the_floor_to_what_it_asks_for_but_not_above_the_ceiling(asked, floor):
    step = only_step(board(entry(replicas=asked)), autoscaler())

    assert step == Raise(autoscaler(), Claim(2, floor, "checkout"))


def test_a_floor_follows_what_is_held_and_not_what_metrics_are_told():
    step = only_step(board(entry(hint=hint(3, floor=9))), autoscaler())

    assert step == Raise(autoscaler(), Claim(2, 9, "checkout"))


@pytest.mark.parametrize("asked", [1, 2])
def test_an_autoscaler_whose_floor_is_high_enough_is_not_touched(asked):
    assert plan(board(entry(replicas=asked)), [autoscaler()], NOW).steps == ()


def test_a_floor_that_stands_as_asked_is_not_written_again():
    planned = plan(board(entry()), [raised()], NOW)

    assert planned.steps == ()
    assert planned.standing == {("shop", "checkout"): Claim(2, 9, "checkout")}


def test_a_changed_hint_moves_a_raised_floor_and_keeps_the_original():
    assert only_step(board(entry(replicas=7)), raised()).claim == Claim(2, 7, "checkout")


def test_before_floors_may_fall_one_that_stands_is_not_lowered():
    for asked in (7, 2):
        planned = plan(board(entry(replicas=asked)), [raised()], NOW, falls_from=NOW + 1)
        assert (planned.steps, planned.standing) == ((), {("shop", "checkout"): Claim(2, 9, "checkout")})

    (step,) = plan(board(entry(replicas=7)), [raised()], NOW, falls_from=NOW).steps
    assert step == Raise(raised(), Claim(2, 7, "checkout"))


def test_before_floors_may_fall_one_may_rise_and_is_given_back_where_nobody_asks():
    (rises,) = plan(board(entry(replicas=12)), [raised()], NOW, falls_from=NOW + 1).steps
    (restored,) = plan(board(), [raised()], NOW, falls_from=NOW + 1).steps

    assert rises == Raise(raised(), Claim(2, 12, "checkout"))
    assert isinstance(restored, Restore)


def test_before_floors_may_fall_the_value_that_somebody_else_wrote_is_not_held():
    (step,) = plan(board(entry(replicas=7)), [raised(now=5)], NOW, falls_from=NOW + 1).steps

    assert step.claim == Claim(5, 7, "checkout")


def test_another_forecast_that_takes_over_is_written_beside_the_floor():
    assert only_step(board(entry("second")), raised()).claim == Claim(2, 9, "second")


def test_a_hint_that_falls_to_the_original_gives_the_floor_back():
    step = only_step(board(entry(replicas=2)), raised())

    assert (type(step), step.claim) == (Restore, Claim(2, 2, "checkout"))


@pytest.mark.parametrize(
    "shown",
    [
        board(),
        board(entry(replicas=None)),
        board(entry(withheld="it is not trusted")),
        board(entry(expire_time=NOW)),
        board(entry(mode=Mode.PREVIEW)),
        board(entry(scaling=None)),
        board(entry(scaling=Scaling(mode=Mode.ACTIVE))),
        board(entry(autoscaler="another", workload="checkout")),
    ],
    ids=["deleted", "no hint", "withheld", "expired", "Preview", "not valid", "names none", "names another"],
)
class TestWhenNobodyMayAskForIt:
    def test_a_raised_floor_is_given_back(self, shown):
        step = only_step(shown, raised())

        assert (type(step), step.claim) == (Restore, Claim(2, 2, "checkout"))
        assert step.reason

    def test_a_floor_that_was_not_raised_is_not_touched(self, shown):
        assert plan(shown, [autoscaler()], NOW).steps == ()

    def test_what_somebody_else_wrote_since_is_left_and_only_our_marks_go(self, shown):
        step = only_step(shown, raised(now=5))

        assert (type(step), step.claim) == (Restore, None)


@pytest.mark.parametrize("theirs", [1, 5, 8])
def test_what_somebody_else_wrote_since_is_the_new_original(theirs):
    assert only_step(board(entry()), raised(now=theirs)).claim == Claim(theirs, 9, "checkout")


def test_what_somebody_else_wrote_above_the_hint_is_left_and_only_our_marks_go():
    step = only_step(board(entry()), raised(now=12))

    assert (type(step), step.claim) == (Restore, None)


def test_nothing_is_done_before_a_cycle_has_completed():
    assert plan(Board(), [raised(), autoscaler("cart")], NOW).steps == ()


def test_a_floor_is_given_back_when_its_autoscaler_scales_another_workload_now():
    step = only_step(board(entry()), raised(target_name="cart"))

    assert (type(step), step.claim) == (Restore, Claim(2, 2, "checkout"))


def test_marks_without_annotations_are_given_up():
    planned = plan(board(), [autoscaler(labels=RAISED, managers=(OWNERS, MARKS_ALONE))], NOW)

    (step,) = planned.steps
    assert (type(step), step.claim) == (Restore, None)
    assert not planned.problems


def test_a_floor_that_we_do_not_own_any_more_is_written_again():
    assert isinstance(only_step(board(entry()), raised(managers=(OWNERS,))), Raise)


def test_floors_are_given_back_before_others_are_raised():
    shown = board(entry("cart", autoscaler="cart"))

    steps = plan(shown, [autoscaler("cart"), raised()], NOW).steps

    assert [type(step) for step in steps] == [Restore, Raise]


@pytest.mark.parametrize(
    "annotations",
    [
        {},
        {ORIGINAL: "2"},
        {FLOOR: "9"},
        {BY: "checkout"},
        {ORIGINAL: "two", FLOOR: "9"},
        {ORIGINAL: "2", FLOOR: "9.5"},
        {ORIGINAL: "-2", FLOOR: "9"},
        {ORIGINAL: "0", FLOOR: "9"},
        {ORIGINAL: "", FLOOR: "9"},
        {ORIGINAL: "12", FLOOR: "9"},
        {ORIGINAL: "2", FLOOR: "9" * 40},
        {ORIGINAL: "٢", FLOOR: "9"},
    ],
)
@pytest.mark.parametrize("shown", [board(), board(entry(replicas=4))], ids=["unasked", "asked"])
def test_annotations_that_make_no_sense_are_dropped_and_the_floor_is_left(annotations, shown):
    planned = plan(shown, [raised(annotations=annotations)], NOW)

    (step,), (problem,) = planned.steps, planned.problems
    assert (type(step), step.claim) == (Restore, None)
    assert problem.reason == "AnnotationsGarbled"
    assert "tidecast.dev/" in problem.message


def problems(shown, *autoscalers):
    return {one.key[1]: one.reason for one in plan(shown, autoscalers, NOW).problems}


class TestProblems:
    @pytest.mark.parametrize("mode", list(Mode))
    def test_an_autoscaler_that_is_not_there_is_reported_in_any_mode(self, mode):
        assert problems(board(entry(mode=mode)), autoscaler("cart")) == {"checkout": "AutoscalerNotFound"}

    @pytest.mark.parametrize(
        "changes",
        [
            {"target_name": "cart"},
            {"target_kind": "StatefulSet"},
            {"target_group": "example.com"},
            {"target_group": ""},
        ],
    )
    def test_one_that_scales_another_workload_is_reported_and_not_touched(self, changes):
        found = autoscaler(**changes)

        assert problems(board(entry()), found) == {"checkout": "AutoscalerScalesAnother"}
        assert plan(board(entry()), [found], NOW).steps == ()

    def test_one_of_keda_is_reported_and_not_touched(self):
        found = autoscaler(controllers=(("keda.sh", "checkout"),))

        assert problems(board(entry()), found) == {"checkout": "AutoscalerOfKeda"}
        assert plan(board(entry()), [found], NOW).steps == ()

    def test_one_that_may_scale_to_zero_is_reported_and_not_touched(self):
        found = autoscaler(floor=0)

        assert problems(board(entry()), found) == {"checkout": "AutoscalerScalesToZero"}
        assert plan(board(entry()), [found], NOW).steps == ()

    def test_a_floor_set_to_zero_while_it_was_raised_is_left_at_zero(self):
        step = only_step(board(entry()), raised(now=0))

        assert (type(step), step.claim) == (Restore, None)

    def test_one_that_two_active_forecasts_name_is_reported_to_both_and_given_back(self):
        shown = board(entry("first"), entry("second"))

        assert problems(shown, autoscaler()) == {"first": "AutoscalerNamedTwice", "second": "AutoscalerNamedTwice"}
        assert isinstance(only_step(shown, raised()), Restore)

    def test_a_second_forecast_in_preview_or_of_another_workload_does_no_harm(self):
        shown = board(entry("first"), entry("second", mode=Mode.PREVIEW), entry("third", workload="cart"))

        assert only_step(shown, autoscaler()).claim.by == "first"
        assert problems(shown, autoscaler()) == {"third": "AutoscalerScalesAnother"}

    def test_an_autoscaler_of_the_same_name_in_another_namespace_is_not_meant(self):
        elsewhere = replace(autoscaler(), namespace="other")

        assert problems(board(entry()), elsewhere) == {"checkout": "AutoscalerNotFound"}
        assert plan(board(entry()), [elsewhere], NOW).steps == ()

    def test_without_a_problem_nothing_is_reported(self):
        assert problems(board(entry(), entry("cart", autoscaler="", workload="cart")), autoscaler()) == {}


def test_a_hint_of_nothing_raises_nothing():
    assert plan(board(replace(entry(), hint=hint(0))), [autoscaler(floor=1)], NOW).steps == ()
