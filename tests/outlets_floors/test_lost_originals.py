"""
Floors that cannot be given back exactly, because somebody has changed what tells the original: everybody who looks at the
floor is told, once, and a command does not end as if all were well.
"""

import pytest

from builders.autoscalers import OURS, OWNERS, autoscaler, entry
from builders.following_floors import Following
from tidecast_operator import cli, hook_commands
from tidecast_operator.outlets.floors.claim import ORIGINAL, RAISED, Claim
from tidecast_operator.outlets.floors.floors import Floors

STANDING = Claim(2, 9, "checkout").to_annotations()
NAMED = "HorizontalPodAutoscaler shop/checkout: annotation tidecast.dev/original-min-replicas"
REMEDY = "the floor of 9 is left as it is; set minReplicas to what it should be"
CHANGED = {"garbled": {**STANDING, ORIGINAL: "two"}, "gone": {}}


def raised(name="checkout", annotations=STANDING):
    marks = {"annotations": annotations, "labels": RAISED, "managers": (OWNERS, OURS)}
    return autoscaler(name, floor=9, **marks)


@pytest.fixture(params=CHANGED.values(), ids=CHANGED)
def following(request):
    """One whose original is lost, beside one that is as it was left."""
    return Following(raised(annotations=request.param), raised("cart"))


def test_releasing_all_names_it_and_gives_the_others_back(following):
    report = following.release_all()

    (problem,) = report.lost
    assert NAMED in problem.message
    assert REMEDY in problem.message
    assert [following.fake[name].min_replicas for name in ("checkout", "cart")] == [9, 2]
    assert following.fake["checkout"].labels == {}


def test_a_second_try_for_others_does_not_forget_it(following):
    following.fake.before = lambda number: following.fake.edit("cart") if number < 12 else None

    report = following.release_all()

    assert following.pauses
    assert report.is_complete
    assert len(report.lost) == 1


@pytest.mark.parametrize("entries", [[], [entry(replicas=9)], [entry(replicas=12)]], ids=["unasked", "asked", "more"])
def test_a_cycle_logs_it_though_nobody_may_ask_for_it(following, caplog, entries):
    following.follow(*entries)

    assert caplog.text.count(NAMED) == 1
    assert REMEDY in caplog.text


@pytest.mark.parametrize("annotations", CHANGED.values(), ids=CHANGED)
def test_what_is_changed_while_it_is_given_back_is_named_too(annotations):
    one = Following(raised())

    def change(_):
        if one.fake.calls[-1] == "apply":
            one.fake.before = lambda _: None
            one.fake.edit(annotations=annotations)

    one.fake.before = change
    report = one.follow()

    assert [NAMED in problem.message for problem in report.lost] == [True]


def test_a_floor_that_somebody_else_wrote_since_is_no_loss():
    one = Following(autoscaler(floor=5, labels=RAISED))

    assert not one.release_all().lost


class Commands:
    """The commands, with the autoscalers of a test and without a Lease."""

    def __init__(self, monkeypatch, fake):
        fake.close = lambda: None
        for module in (cli, hook_commands):
            monkeypatch.setattr(module, "load_configuration", lambda _: None)
            monkeypatch.setattr(module, "Autoscalers", lambda _: fake)
            monkeypatch.setattr(module, "Floors", lambda *a, **k: Floors(*a, **k, threads=1))
        monkeypatch.setattr(cli, "_log_to_stderr", lambda _: None)
        monkeypatch.setattr(hook_commands, "Leases", NoLeases)


class NoLeases:
    """No operator has ever run."""

    def __init__(self, _):
        pass

    def read_lease(self, *_):
        return None

    def close(self):
        pass


@pytest.mark.parametrize("command", ["release-floors", "clean-up"])
def test_a_command_ends_with_1_and_names_it(monkeypatch, following, caplog, command):
    Commands(monkeypatch, following.fake)

    assert cli.main([command]) == 1
    assert NAMED in caplog.text
    assert following.fake["cart"].min_replicas == 2


@pytest.mark.parametrize("command", ["release-floors", "clean-up"])
def test_a_command_that_has_given_all_back_ends_with_0(monkeypatch, command):
    following = Following(raised())
    Commands(monkeypatch, following.fake)

    assert cli.main([command]) == 0
    assert following.fake["checkout"].min_replicas == 2
