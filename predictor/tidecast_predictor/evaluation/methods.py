"""
All methods by name; what one needs is imported when it is made.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from tidecast_predictor.baselines.method import Method
from tidecast_predictor.evaluation.rewiring import no_calls, rewired

_PREDICTOR = "tidecast_predictor"
_BASELINES = f"{_PREDICTOR}.baselines"
_SHARED = tuple(f"{_BASELINES}.{name}" for name in ("method", "cutting", "residuals", "standardising"))
_SIMPLE = tuple(f"{_BASELINES}.{name}" for name in ("naive", "regressors"))
_TRAINER = tuple(f"{_BASELINES}.{name}" for name in ("neural", "batching", "walking"))
_OWN = (
    *(f"{_PREDICTOR}.evaluation.{name}" for name in ("ours", "grid", "rewiring")),
    *(
        f"{_PREDICTOR}.{name}"
        for name in (
            "model",
            "convolution",
            "recurrence",
            "recurrence_training",
            "compiled",
            "native",
            "batch",
            "levels",
            "windows",
            "scaling",
            "config",
            "straight_line",
        )
    ),
    *(f"{_PREDICTOR}.{name}" for name in ("time_encoding", "recording", "subgraphs", "fitting")),
    *(f"{_PREDICTOR}.{name}" for name in ("sampling", "learning", "calibrating", "predicting", "scores", "validation")),
    *(f"{_PREDICTOR}.{name}" for name in ("conformal", "maturing", "track_record")),
    "tidecast_contract.bands",
)


class UnknownMethod(Exception):
    """There is no method of that name; the text lists those there are."""


@dataclass(frozen=True, slots=True)
class Effort:
    """
    What every network may spend, the same for all.

    Attributes:
        updates: Steps of the optimiser.
        seconds: Processor time, whichever ends first: not wall time, lest what runs beside a training decides how good it
            gets. Runs that time cut short differ from machine to machine all the same.
    """

    updates: int = 1500
    seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class Entry:
    """
    A method that can be evaluated.

    Attributes:
        make: Makes it.
        modules: Whose code its numbers come from.
        simple: Whether skill is measured against the best of those like it; they learn without chance.
    """

    make: Callable[[Effort], Method]
    modules: tuple[str, ...]
    simple: bool = False


def _simple(module: str, kind: str, **arguments: object) -> Entry:
    """A method that learns without chance; *kind* is its class."""

    def make(_effort: Effort) -> Method:
        method: Method = getattr(import_module(f"{_BASELINES}.{module}"), kind)(**arguments)
        return method

    return Entry(make, (f"{_BASELINES}.{module}", *_SIMPLE, *_SHARED), simple=True)


def _network(module: str, function: str | None = None) -> Entry:
    """A network that is measured against; *function* of its module makes it, by default that of the same name."""

    def make(effort: Effort) -> Method:
        from tidecast_predictor.baselines.neural import Budget  # noqa: PLC0415

        budget = Budget(updates=effort.updates, seconds=effort.seconds)
        method: Method = getattr(import_module(f"{_BASELINES}.{module}"), function or module)(budget)
        return method

    return Entry(make, (f"{_BASELINES}.{module}", *_TRAINER, *_SHARED))


def _own(name: str, **ablated: Any) -> Entry:
    """Our own model, something of it taken away."""

    def make(effort: Effort) -> Method:
        from tidecast_predictor.evaluation.ours import GcnGruMethod, Settings  # noqa: PLC0415

        settings = Settings(updates=effort.updates, seconds=effort.seconds)
        return GcnGruMethod(name, settings, **ablated)

    return Entry(make, _OWN)


METHODS: Mapping[str, Entry] = {
    "last-value": _simple("last_value", "LastValue"),
    "window-mean": _simple("window_mean", "WindowMean"),
    "history-mean": _simple("history_mean", "HistoryMean"),
    "seasonal-naive": _simple("seasonal_naive", "SeasonalNaive"),
    "ridge": _simple("ridge", "Ridge", neighbours=False),
    "ridge-neighbours": _simple("ridge", "Ridge", neighbours=True),
    "dlinear": _network("dlinear"),
    "gru": _network("gru"),
    "stid": _network("stid"),
    "t-gcn": _network("t_gcn"),
    "dcrnn": _network("dcrnn"),
    "astgcn": _network("astgcn"),
    "graph-wavenet": _network("graph_wavenet"),
    "graph-wavenet-fixed": _network("graph_wavenet", "graph_wavenet_fixed"),
    "gcn-gru": _own("gcn-gru"),
    "gcn-gru-no-graph": _own("gcn-gru-no-graph", rewire=no_calls),
    "gcn-gru-placebo-graph": _own("gcn-gru-placebo-graph", rewire=rewired),
    "gcn-gru-no-time": _own("gcn-gru-no-time", timed=False),
    "gcn-gru-no-gru": _own("gcn-gru-no-gru", recurrent=False),
    "gcn-gru-no-record": _own("gcn-gru-no-record", online=False),
}
"""By name, in the order of tables."""


def chosen(text: str, methods: Mapping[str, Entry] = METHODS) -> dict[str, Entry]:
    """
    The methods that are named in *text*, separated by commas, or `all`.

    Raises:
        UnknownMethod: If there is none of that name.
    """
    asked = [name.strip() for name in text.split(",")]
    names: Sequence[str] = list(methods) if "all" in asked else asked
    for name in names:
        if name not in methods:
            raise UnknownMethod(f"there is no method {name!r}; there are {', '.join(methods)}")
    return {name: methods[name] for name in names}
