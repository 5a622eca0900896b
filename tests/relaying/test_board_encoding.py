import math
from contextlib import suppress
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.hints import decided, entry
from relaying.replicas import board
from tidecast_contract.features import FEATURES
from tidecast_contract.services import ServiceId
from tidecast_operator.hints.board import Board, Entry
from tidecast_operator.hints.capacity import Capacity
from tidecast_operator.hints.hint import Hint, Limit
from tidecast_operator.relaying import relay_pb2 as pb
from tidecast_operator.relaying.encoding import Unreadable, decode, encode
from tidecast_operator.scaling import Mode, Scaling

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
parts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1, max_size=20)
integers = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(allow_nan=False)
capacities = st.builds(Capacity, floats, integers, st.booleans(), texts)
hints = st.builds(
    Hint,
    integers,
    integers,
    st.none() | integers,
    floats,
    capacities,
    integers,
    texts,
    limited_by=st.sampled_from(Limit),
)
scalings = st.builds(
    Scaling,
    st.sampled_from(Mode),
    st.sampled_from(FEATURES),
    st.none() | floats,
    floats,
    integers,
    integers,
    st.none() | integers,
    texts,
)
services = st.builds(ServiceId, st.just("") | parts, parts, parts)
entries = st.builds(
    Entry, texts, texts, texts, services, st.none() | scalings, st.none() | hints, texts, integers, integers
)


@settings(deadline=None)
@given(st.lists(entries, max_size=4), integers, st.booleans())
def test_a_board_comes_back_as_it_was(some, time, is_known):
    sent = Board(time, {one.key: one for one in some}, is_known=is_known)
    came = decode(encode(sent))
    assert (came.time, came.is_known) == (sent.time, sent.is_known)
    assert list(came.entries.items()) == list(sent.entries.items())


@pytest.mark.parametrize(
    ("kind", "message"),
    [(Board, pb.Board), (Entry, pb.Entry), (Scaling, pb.Scaling), (Hint, pb.Hint), (Capacity, pb.Capacity)],
)
def test_no_field_is_left_behind(kind, message):
    assert {one.name for one in fields(kind)} == set(message.DESCRIPTOR.fields_by_name)


def test_a_load_that_is_no_number_stays_none():
    hint = replace(decided(750.0), load=math.nan)
    came = decode(encode(board(1, entry(hint=hint))))
    assert math.isnan(came.entries["shop", "checkout"].hint.load)


@pytest.mark.parametrize(
    ("path", "named"),
    [(("scaling", "mode"), "mode"), (("scaling", "signal"), "signal")],
)
def test_a_word_that_is_not_known_is_named(path, named):
    message = pb.Board.FromString(encode(board()))
    setattr(getattr(message.entries[0], path[0]), path[1], "Tomorrow")
    with pytest.raises(Unreadable, match=rf"{named} is 'Tomorrow'"):
        decode(message.SerializeToString())


def test_a_limit_that_only_another_version_knows_is_none():
    message = pb.Board.FromString(encode(board()))
    message.entries[0].hint.limited_by = "Tomorrow"
    came = decode(message.SerializeToString())
    assert came.entries["shop", "checkout"].hint.limited_by is Limit.NONE


def test_a_floor_that_is_not_told_is_that_of_the_replicas():
    message = pb.Board.FromString(encode(board(1, entry())))
    message.entries[0].hint.ClearField("floor")
    assert decode(message.SerializeToString()).entries["shop", "checkout"].hint.floor == 8


def test_an_entry_for_no_workload_is_refused():
    message = pb.Board.FromString(encode(board()))
    message.entries[0].ClearField("target")
    with pytest.raises(Unreadable, match="target of shop/checkout"):
        decode(message.SerializeToString())


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_bytes_that_are_no_board_are_refused_and_nothing_else_happens(data):
    with suppress(Unreadable):
        decode(data)
