import pytest

from builders.hints import NOW, entry
from tidecast_operator.hints.board import Board, Noticeboard, Unknown, Withheld


def board(*entries, **changes):
    return Board(NOW, {one.key: one for one in entries}, **({"is_known": True} | changes))


def test_a_hint_that_is_offered_is_told():
    _, hint = board(entry()).offered("shop", "checkout", NOW)

    assert hint.replicas == 8


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        pytest.param({"withheld": "NotTrusted: it lies."}, "it lies", id="withheld"),
        pytest.param({"hint": None}, "no hint", id="without a hint"),
        pytest.param({"expire_time": NOW}, "expired", id="expired"),
    ],
)
def test_what_must_not_be_acted_on_is_withheld_with_a_reason(changes, why):
    with pytest.raises(Withheld, match=why):
        board(entry(**changes)).offered("shop", "checkout", NOW)


def test_a_name_that_nobody_asked_for_is_unknown():
    with pytest.raises(Unknown, match="no ServicePerformanceForecast cart"):
        board(entry()).offered("shop", "cart", NOW)


def test_the_same_name_in_another_namespace_is_unknown():
    with pytest.raises(Unknown):
        board(entry()).offered("other", "checkout", NOW)


def test_before_the_first_cycle_nothing_is_unknown_but_withheld():
    with pytest.raises(Withheld, match="no cycle"):
        Noticeboard().board.offered("shop", "checkout", NOW)


def test_listeners_are_told_of_every_board_until_they_stop():
    noticeboard, seen = Noticeboard(), []
    stop = noticeboard.listen(seen.append)
    first, second = board(entry()), board()

    noticeboard.show(first)
    stop()
    noticeboard.show(second)

    assert seen == [first]
    assert noticeboard.board is second


def test_a_board_that_comes_late_does_not_replace_a_newer_one():
    noticeboard, newer = Noticeboard(), board(entry())
    noticeboard.show(newer)

    assert not noticeboard.show_if_newer(Board(NOW, {}, is_known=True))
    assert noticeboard.board is newer
    assert noticeboard.show_if_newer(Board(NOW + 1, {}, is_known=True))
