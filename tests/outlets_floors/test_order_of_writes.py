from threading import Barrier

import pytest

from builders.autoscalers import autoscaler, entry, unavailable
from builders.following_floors import Following


def following(names, **settings):
    return Following(*(autoscaler(name) for name in names), **settings)


def asking(names):
    return [entry(name, autoscaler=name) for name in names]


class TestTheOrderOfWrites:
    names = tuple(f"service-{number}" for number in range(3))

    def raised(self, **settings):
        one = following((*self.names, "cart"), **settings)
        one.follow(*asking(self.names))
        one.fake.calls.clear()
        return one

    def test_all_floors_are_given_back_then_others_raised_and_marks_are_removed_last(self):
        one, carts = self.raised(), []
        one.fake.after = lambda _: carts.append(one.fake["cart"].min_replicas)

        report = one.follow(*asking(["cart"]))

        assert one.fake.calls == ["labelled", "read"] + ["apply"] * 4 + ["release"] * 3
        assert carts == [2] * 5 + [9] * 4
        assert (report.restored, report.raised, report.left) == (3, 1, 0)

    def test_marks_that_there_is_no_time_for_are_removed_in_the_next_cycle(self):
        one = self.raised(budget_seconds=20.0)
        one.fake.after = lambda number: setattr(one, "now", one.now + (0 if number == 1 else 6))

        report = one.follow()
        assert (report.restored, report.left) == (1, 2)
        assert {one.fake[name].min_replicas for name in self.names} == {2}
        report = one.follow()

        assert (report.restored, report.left) == (2, 0)
        assert not any(one.fake[name].labels for name in self.names)

    def test_marks_that_changed_under_our_hands_are_read_again_and_removed(self):
        one = self.raised()
        one.fake.before = lambda number: one.fake.edit("service-0", target_name="x") if number == 5 else None

        report = one.follow()

        assert one.fake.calls[4:] == ["release", "read", "release", "release", "release"]
        assert (report.restored, report.left) == (3, 0)


class TestSeveralAtOnce:
    names = tuple(f"service-{number}" for number in range(40))

    @pytest.mark.parametrize("threads", [2, 5])
    def test_as_many_writes_are_under_way_as_there_are_threads(self, threads):
        one = following(self.names, threads=threads)
        # Breaks, and the test with it, unless so many wait at the same time.
        barrier = Barrier(threads, timeout=10)
        one.fake.before = lambda number: number > 1 and barrier.wait()

        report = one.follow(*asking(self.names))

        assert (report.raised, one.fake.writes, len(report.floors)) == (40, 40, 40)

    def test_after_as_many_that_were_not_answered_as_there_are_threads_none_is_begun(self):
        one = following(self.names, threads=4)
        one.fake.before = lambda number: unavailable() if number > 1 else None

        report = one.follow(*asking(self.names))

        assert (report.raised, report.left) == (0, 40)
        assert len(one.fake.calls) <= 1 + 4 + 3

    def test_an_api_server_that_turns_some_away_gets_all_others_and_those_in_the_next_cycle(self):
        one = following(self.names, threads=4)
        one.fake.before = lambda number: unavailable() if number % 5 == 0 else None

        first = one.follow(*asking(self.names))
        one.fake.before = lambda _: None
        second = one.follow(*asking(self.names))

        assert (first.raised, first.left, first.is_complete) == (32, 8, False)
        assert (second.raised, second.is_complete) == (8, True)

    def test_every_single_one_is_counted_over_many_cycles(self):
        one = following(self.names, threads=8)

        reports = [one.follow(*asking(names)) for names in (self.names, (), self.names[::2], ())]

        counts = [(report.raised, report.restored, report.left) for report in reports]
        assert counts == [(40, 0, 0), (0, 40, 0), (20, 0, 0), (0, 20, 0)]
        assert {found.min_replicas for found in one.fake.objects.values()} == {2}

    def test_what_nobody_expected_ends_the_cycle_and_the_next_one_looks_at_all(self):
        one = following(self.names, threads=4)
        one.follow()
        one.fake.calls.clear()

        def breaks(number):
            if number > 20:
                raise ZeroDivisionError

        one.fake.before = breaks
        with pytest.raises(ZeroDivisionError):
            one.follow(*asking(self.names))
        one.fake.before = lambda _: None
        one.fake.calls.clear()
        one.follow()

        assert one.fake.calls[0] == "pages"
        assert {found.min_replicas for found in one.fake.objects.values()} == {2}
