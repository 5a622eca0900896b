"""
Places the nodes of a directed graph in columns and leads its calls around them: Sugiyama's method, in its plain form.

Calls point to the right; where the graph has a circle, one of its calls points back. Knows nothing of drawing.
"""

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Call = tuple[str, str]
Point = tuple[float, float]
_SWEEPS = 12


@dataclass(frozen=True, slots=True)
class Layout:
    """
    Where everything is; columns are 1 apart, and so are two nodes of one column, at least.

    Attributes:
        nodes: (column, height) of each node.
        routes: The points of each call from the caller to the callee, one in each column on the way.
    """

    nodes: Mapping[str, Point]
    routes: Mapping[Call, Sequence[Point]]


def arrange(calls: Sequence[Call]) -> Layout:
    """A layout of the nodes that *calls* name, each a (caller, callee)."""
    column = _columns(calls)
    chains = {call: _chain(call, column) for call in calls}
    # A waypoint is a tuple (caller, callee, column): it keeps a place free for a call that passes a column.
    rows: defaultdict[int, list[object]] = defaultdict(list)
    for name, number in column.items():
        rows[number].append(name)
    for chain in chains.values():
        for place, number in chain[1:-1]:
            rows[number].append(place)
    heights = _heights([rows[number] for number in range(max(column.values(), default=0) + 1)], _neighbours(chains))
    nodes = {name: (float(number), heights[name]) for name, number in column.items()}
    routes = {call: [(float(number), heights[place]) for place, number in chain] for call, chain in chains.items()}
    return Layout(nodes, routes)


def _columns(calls: Sequence[Call]) -> dict[str, int]:
    """Each node one column right of its rightmost caller; a call that closes a circle has no say."""
    column = {name: 0 for call in sorted(calls) for name in call}
    forward = [call for call in sorted(calls) if not _reaches(call[1], call[0], calls)]
    for _ in column:
        for caller, callee in forward:
            column[callee] = max(column[callee], column[caller] + 1)
    return column


def _reaches(start: str, goal: str, calls: Sequence[Call]) -> bool:
    seen, waiting = {start}, [start]
    while waiting:
        current = waiting.pop()
        if current == goal:
            return True
        following = {callee for caller, callee in calls if caller == current} - seen
        seen |= following
        waiting += following
    return False


def _chain(call: Call, column: Mapping[str, int]) -> list[tuple[object, int]]:
    first, last = column[call[0]], column[call[1]]
    between = range(first + 1, last) if first < last else range(first - 1, last, -1)
    return [(call[0], first), *(((*call, number), number) for number in between), (call[1], last)]


def _neighbours(chains: Mapping[Call, Sequence[tuple[object, int]]]) -> dict[object, list[object]]:
    near: defaultdict[object, list[object]] = defaultdict(list)
    for chain in chains.values():
        for (left, _), (right, _) in itertools.pairwise(chain):
            near[left].append(right)
            near[right].append(left)
    return near


def _heights(rows: Sequence[list[object]], near: Mapping[object, Sequence[object]]) -> dict[object, float]:
    """Pulls everything towards its neighbours and apart again, column by column, there and back."""
    heights = {place: float(position) for row in rows for position, place in enumerate(row)}
    for sweep in range(_SWEEPS):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            wanted = {place: _mean([heights[other] for other in near.get(place, ())], heights[place]) for place in row}
            row.sort(key=lambda place: wanted[place])
            _spread(row, wanted, heights)
    return heights


def _spread(row: Sequence[object], wanted: Mapping[object, float], heights: dict[object, float]) -> None:
    """Sets the heights of a column as near to the wanted ones as its gaps allow."""
    placed: list[float] = []
    for index, place in enumerate(row):
        gap = 0.5 * (_size(place) + _size(row[index - 1]))
        placed.append(wanted[place] if index == 0 else max(wanted[place], placed[-1] + gap))
    shift = _mean([wanted[place] - height for place, height in zip(row, placed, strict=True)], 0.0)
    for place, height in zip(row, placed, strict=True):
        heights[place] = height + shift


def _size(place: object) -> float:
    return 1.0 if isinstance(place, str) else 0.4


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
