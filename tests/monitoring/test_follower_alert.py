"""
A board that is old because no cycle runs, or because steps are long, is no follower's fault; on promtool.
"""

import pytest

from builders.alerts import LEADER, OUTLETS, STANDBY, complaints, rising, steady, then, well
from monitoring.test_alerts_fire import HOUR, gone

pytestmark = pytest.mark.real("promtool")


def boards(leading, following, *, connected):
    """Ages of boards and whether the leader is heard, as these change after an hour."""
    ages = {LEADER: leading, STANDBY: following, OUTLETS: following}
    return {f"tidecast_board_age_seconds{{{one}}}": then(steady(20, 60), age) for one, age in ages.items()} | {
        f"tidecast_relay_connected{{{one}}}": then(HOUR, steady(connected)) for one in (STANDBY, OUTLETS)
    }


@pytest.mark.parametrize("connected", [0, 1])
def test_while_no_cycle_runs_that_is_told_and_not_that_boards_grow_old(tmp_path, connected):
    ages = boards(rising(60, 80), rising(60, 80), connected=connected)
    hangs = ages | {f"tidecast_last_cycle_timestamp_seconds{{{LEADER}}}": then(rising(60, 0, 60), steady(3540))}
    away = ages | gone('instance="leader"')

    assert not complaints(well() | hangs, {"70m": set(), "80m": {"TidecastCycleTooOld"}}, tmp_path)
    assert not complaints(well() | away, {"69m": set(), "80m": {"TidecastOperatorDown"}}, tmp_path)


def test_steps_of_an_hour_make_no_follower_cut_off(tmp_path):
    hourly = " ".join([rising(60, 30, 60)] * 11)
    late = then("3630", hourly)  # scraped when the leader has its new board, and this one not yet
    series = well() | boards(hourly, late, connected=1) | {f"tidecast_forecast_step_seconds{{{LEADER}}}": steady(3600)}

    assert not complaints(series, {f"{at}m": set() for at in (61, 66, 90, 121, 126, 300, 700)}, tmp_path)


@pytest.mark.parametrize("unknown", [(LEADER, OUTLETS), (LEADER, STANDBY, OUTLETS)], ids=["to some", "to all"])
def test_a_leader_that_has_no_board_yet_cuts_nobody_off(tmp_path, unknown):
    series = well() | {f"tidecast_board_age_seconds{{{one}}}": "stale" for one in unknown}

    assert not complaints(series, {"30m": set(), "3h": set()}, tmp_path)
