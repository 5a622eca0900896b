"""
What a part of ours is worth: beside the seeds' spread, recording by recording.
"""

import pytest
from ablating import ablations, document, worths

WITHOUT = "gcn-gru-no-graph"


def row(method, recording, relative, **differing):
    place = {"point": "meshes", "kind": "all", "target": "rps", "step": 1}
    return place | differing | {"recording": recording, "method": method, "relative_rmse": relative}


def only(rows):
    ((_, found),) = worths(rows)
    return found[WITHOUT]


def test_a_part_is_worth_the_mean_over_recordings_of_what_its_loss_adds_to_the_error():
    rows = [
        row("gcn-gru", "a", [0.8, 0.79, 0.81]),
        row("gcn-gru", "b", [0.5, 0.5, 0.5]),
        row(WITHOUT, "a", [0.88, 0.88, 0.88]),
        row(WITHOUT, "b", [0.51, 0.49, 0.53]),
    ]
    worth = only(rows)
    assert worth.gain == pytest.approx((0.10 + 0.02) / 2)
    assert worth.spread == pytest.approx((0.025 + 0.08) / 2)


def test_a_gain_counts_as_won_only_where_it_is_more_than_the_spread_of_either():
    rows = [
        row("gcn-gru", "clear", [0.80, 0.79, 0.81]),
        row(WITHOUT, "clear", [0.84, 0.83, 0.85]),
        row("gcn-gru", "ours differs", [0.80, 0.77, 0.83]),
        row(WITHOUT, "ours differs", [0.84, 0.84, 0.84]),
        row("gcn-gru", "the other differs", [0.80, 0.80, 0.80]),
        row(WITHOUT, "the other differs", [0.84, 0.81, 0.87]),
        row("gcn-gru", "worse", [0.80, 0.79, 0.81]),
        row(WITHOUT, "worse", [0.76, 0.76, 0.76]),
    ]
    worth = only(rows)
    assert (worth.won, worth.lost, worth.recordings) == (1, 1, 4)
    assert str(worth).endswith("1 of 4, lower in 1")


def test_a_recording_without_both_is_left_out_and_does_not_count_as_nothing_gained():
    rows = [
        row("gcn-gru", "a", [0.8, 0.8, 0.8]),
        row(WITHOUT, "a", [0.88, 0.88, 0.88]),
        row("gcn-gru", "b", [0.8, 0.8, 0.8]),
        row(WITHOUT, "b", [None, None, None]),
        row("gcn-gru", "c", [0.8, 0.8, 0.8]),
    ]
    assert only(rows).gain == pytest.approx(0.1)
    assert only(rows).recordings == 1


def test_only_ours_with_something_taken_away_is_an_ablation():
    rows = [row(name, "a", [1.0, 1.0, 1.0]) for name in ("gru", "gcn-gru", WITHOUT, "astgcn")]
    assert ablations(rows) == (WITHOUT,)
    assert ablations(rows[:1] + rows[2:]) == ()


def test_the_document_has_a_table_for_each_kind_of_service_with_targets_in_their_order():
    rows = [
        row(name, "a", [value] * 3, kind=kind, target=target)
        for name, value in (("gcn-gru", 0.8), (WITHOUT, 0.84))
        for kind in ("all", "queued")
        for target in ("cpu", "rps")
    ]
    text = document("meshes", rows)
    assert "SIMULATED" in text
    assert text.index("## meshes, all services") < text.index("## meshes, queued services")
    assert text.index("| rps, 1 | +5.0, spread 0.0, 1 of 1 |") < text.index("| cpu, 1 | +5.0, spread 0.0, 1 of 1 |")
