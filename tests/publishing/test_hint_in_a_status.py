from builders.hints import decided_in_turn
from tidecast_operator.hints.keeper import Hinted
from tidecast_operator.published import Published, digest
from tidecast_operator.publishing.hinted import hint_block
from tidecast_operator.scaling import Scaling


def block(hint):
    return hint_block(Hinted(Scaling(), hint))


def test_a_floor_is_told_while_it_is_held_above_the_replicas():
    rising, falling = decided_in_turn(900.0, 200.0)

    assert block(rising)["hint"].get("floorReplicas") is None
    assert block(falling)["hint"]["floorReplicas"] == 9
    assert block(falling)["hint"]["replicas"] == 2


def test_a_floor_that_falls_is_worth_a_write():
    _, held, *_, fallen = decided_in_turn(900.0, *[200.0] * 6)

    assert held.replicas == fallen.replicas
    assert digest(block(held)) != digest(block(fallen))


def test_a_floor_is_read_back_from_where_it_was_written():
    told = [Published.parse(block(hint)).hint for hint in decided_in_turn(900.0, 200.0)]

    assert [(hint.replicas, hint.floor) for hint in told] == [(9, 9), (2, 9)]
