import numpy as np

from tidecast_operator.replaying.fleet import Fleet


def counts(fleet):
    return fleet.pods.ready.tolist(), fleet.pods.starting.tolist()


def fleet(*ready, start_ticks=3):
    return Fleet(np.array(ready), start_ticks=start_ticks)


def test_a_new_pod_is_ready_after_its_start():
    made = fleet(2)
    made.scale(np.array([5]))
    seen = []
    for _ in range(3):
        seen.append(counts(made))
        made.tick()

    assert seen == [([2], [3])] * 3
    assert counts(made) == ([5], [0])


def test_without_a_start_a_pod_is_ready_at_once():
    made = fleet(2, start_ticks=0)
    made.scale(np.array([5]))
    made.tick()

    assert counts(made) == ([5], [0])


def test_of_too_many_those_go_first_that_started_last():
    made = fleet(2)
    made.scale(np.array([4]))
    made.tick()
    made.scale(np.array([7]))
    made.scale(np.array([3]))

    assert counts(made) == ([2], [1])
    made.tick()
    made.tick()
    assert counts(made) == ([3], [0])


def test_ready_pods_go_when_none_is_starting():
    made = fleet(6, 2)
    made.scale(np.array([1, 2]))

    assert counts(made) == ([1, 2], [0, 0])


def test_there_are_always_as_many_as_asked_for():
    chance = np.random.default_rng(0)
    made = fleet(3, 3, 3)
    for _ in range(200):
        wanted = chance.integers(1, 20, 3)
        made.scale(wanted)
        assert made.pods.replicas.tolist() == wanted.tolist()
        assert (made.pods.ready >= 0).all()
        made.tick()
