"""
Whoever tells people a number tells it in the same way: the status, the reason of a hint, what it rests on, and a replay.
"""

import pytest

from builders.hints import decided
from builders.replays import waves, write_npz
from tidecast_operator.figures import figure
from tidecast_operator.hints.capacity import Capacity
from tidecast_operator.hints.past import Past
from tidecast_operator.publishing.quantities import quantity
from tidecast_operator.replaying import command


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1_234_567.0, "1230000"),
        (1234.0, "1230"),
        (999.6, "1000"),
        (412.4, "412"),
        (100.0, "100"),
        (99.96, "100"),
        (12.34, "12.3"),
        (9.996, "10"),
        (1.8, "1.8"),
        (0.9996, "1"),
        (0.0834, "0.0834"),
        (0.00002, "0.00002"),
        (0.0, "0"),
        (-1234.0, "-1230"),
        (-0.5, "-0.5"),
    ],
)
def test_a_figure_has_three_significant_digits_and_no_power_of_ten(value, text):
    assert figure(value) == text


@pytest.mark.parametrize("value", [12_345.6, 1234.0, 123.45, 12.345, 1.2345])
def test_the_reason_of_a_hint_says_numbers_as_the_status_does(value):
    hint = decided(10 * value, per_replica=value)

    assert f" of {quantity(10 * value)} requests/s " in hint.reason
    assert hint.reason.endswith(f" at {quantity(value)} a replica")


def test_what_was_carried_before_is_written_without_a_power_of_ten():
    past = Past(carried=(("Requests", 12_345.0),))

    learned, _ = past.capacity(Capacity(1234.0, samples=60, is_limit=False, evidence="p95 held"), "Requests")

    assert learned.evidence == "12300 a replica was carried before; since then p95 held"


def test_a_replay_writes_what_a_replica_carries_without_a_power_of_ten(tmp_path, capsys):
    path = write_npz(tmp_path / "week.npz", waves(120))

    assert command.main(["replay", "--recording", str(path), "--per-replica", "12345"]) == 0
    assert "| 12300 requests/s |" in capsys.readouterr().out
