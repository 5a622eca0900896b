"""
Which forecasts a request speaks of. Pure.
"""

from http import HTTPStatus

from tidecast_operator.hints.board import Board, Unknown, Withheld
from tidecast_operator.outlets.metrics_api import label_selectors
from tidecast_operator.outlets.metrics_api.answers import Refused
from tidecast_operator.selectors import Selector

LABEL = "forecast"
"""The only label there is: the name of the ServicePerformanceForecast."""

_SHOWN = 5


def picked(board: Board, namespace: str, text: str) -> str:
    """
    The one forecast that a label selector picks in a namespace; it need not exist, where the selector gives its name.

    Raises:
        Refused: If the selector breaks the grammar, or leaves open which forecast.
        Withheld: If that cannot be told yet.
        Unknown: If none matches.
    """
    selector = parsed(text)
    if not any(one.key == LABEL for one in selector.requirements or ()):
        raise Refused(
            HTTPStatus.BAD_REQUEST,
            f"which forecast is not said: write a selector as in matchLabels: {{{LABEL}: checkout}}",
        )
    named = _names(board, namespace, selector)
    known = [name for name in named if (namespace, name) in board.entries]
    if len(known) > 1:
        shown = ", ".join(known[:_SHOWN]) + (", ..." if len(known) > _SHOWN else "")
        raise Refused(
            HTTPStatus.BAD_REQUEST,
            f"label selector {text!r} picks {len(known)} forecasts ({shown}), and their sum means nothing: pick one",
        )
    if known or named:
        return (known or named)[0]
    raise _nothing(board, namespace, text)


def all_picked(board: Board, namespace: str, text: str) -> list[str]:
    """
    All forecasts that a label selector picks in a namespace, in order; an empty one picks all.

    Raises:
        Refused: If the selector breaks the grammar.
        Withheld: If that cannot be told yet.
        Unknown: If none matches.
    """
    names = [name for name in _names(board, namespace, parsed(text)) if (namespace, name) in board.entries]
    if not names:
        raise _nothing(board, namespace, text)
    return names


def parsed(text: str) -> Selector:
    """
    A label selector.

    Raises:
        Refused: If it breaks the grammar.
    """
    try:
        return label_selectors.parse(text)
    except ValueError as error:
        raise Refused(HTTPStatus.BAD_REQUEST, str(error)) from error


def _names(board: Board, namespace: str, selector: Selector) -> list[str]:
    """Those that match, in order; of names that the selector gives, without looking whether there are such."""
    requirements = selector.requirements or ()
    given = [one.values for one in requirements if (one.key, one.operator) == (LABEL, "In")]
    # Ten thousand entries are not searched for a name that is given.
    names = set(given[0]) if given else {name for space, name in board.entries if space == namespace}
    return sorted(name for name in names if name and selector.matches({LABEL: name}))


def _nothing(board: Board, namespace: str, text: str) -> Unknown | Withheld:
    if not board.is_known:
        return Withheld("no cycle has completed since the start")
    matching = f" matches {text!r}; the only label is {LABEL}, its name" if text else ""
    return Unknown(f"no ServicePerformanceForecast with spec.scaling in namespace {namespace}{matching}")
