import numpy as np
import pytest

from tidecast_simulator.demo.charts import draw_forecasts, draw_graph
from tidecast_simulator.demo.forecasts import DiscoveredCall, Measured, RequestForecast
from tidecast_simulator.demo.layout import arrange

DIAMOND = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("a", "d")]


def test_calls_point_to_the_right():
    nodes = arrange(DIAMOND).nodes
    assert all(nodes[caller][0] < nodes[callee][0] for caller, callee in DIAMOND)


def test_two_nodes_of_a_column_keep_their_distance():
    nodes = arrange(DIAMOND).nodes
    assert nodes["b"][0] == nodes["c"][0]
    assert abs(nodes["b"][1] - nodes["c"][1]) >= 1


def test_a_call_that_passes_a_column_is_led_around_its_nodes():
    layout = arrange(DIAMOND)
    (waypoint,) = layout.routes["a", "d"][1:-1]
    assert all(abs(waypoint[1] - layout.nodes[name][1]) > 0.5 for name in ("b", "c"))


@pytest.mark.parametrize("calls", [[("a", "b"), ("b", "a")], [("a", "a")], [("a", "b"), ("b", "c"), ("c", "b")]])
def test_a_circle_does_not_keep_a_graph_from_being_drawn(calls):
    layout = arrange(calls)
    assert set(layout.routes) == set(calls)


def test_a_graph_without_calls_is_empty():
    assert arrange([]).nodes == {}


def test_both_pictures_are_drawn(tmp_path):
    draw_graph([DiscoveredCall(*pair, 3.0) for pair in DIAMOND], tmp_path / "graph.png", title="A graph")
    times = 7200 + np.arange(1, 4) * 600.0
    forecast = RequestForecast("a", "GCN-GRU", 7200, times, np.full(3, 1.0), np.full(3, 2.0), np.full(3, 3.0))
    draw_forecasts([forecast], Measured(0, {"a": np.full(180, 2.0)}), tmp_path / "forecasts.png")
    assert (tmp_path / "graph.png").stat().st_size > 5000
    assert (tmp_path / "forecasts.png").stat().st_size > 5000
