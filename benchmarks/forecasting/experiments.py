"""
The paper's experiments (arXiv:2508.07122) and ours, as data: what each compares, on which recordings, by which methods.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from catalogue import MESHES, SIZES

# A longer one costs the peers updates at the same price, and gains ours 1 to 2 percent: `meshes` has 60, `windows` varies it.
WINDOW, HORIZON = 12, 30
PEERS = ("gru", "stid", "t-gcn", "dcrnn", "astgcn", "graph-wavenet")
STRONGEST = ("gru", "stid", "astgcn", "graph-wavenet")
ABLATIONS = ("gcn-gru", "gcn-gru-no-graph", "gcn-gru-placebo-graph", "gcn-gru-no-time", "gcn-gru-no-gru")
OURS = "gcn-gru"
GRAPH = ("gcn-gru-no-graph", "gcn-gru-placebo-graph")
_ALL_MESHES = tuple(f"mesh-{plan.seed}" for plan in MESHES)
_THREE_MESHES = _ALL_MESHES[:3]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """
    One point on the axis of an experiment.

    Attributes:
        label: Of the point, unique in the experiment.
        recordings: By name; the i-th belongs to the i-th of every other point of the experiment.
        window: Steps that networks look back on.
        horizon: Steps ahead that are forecast.
        holes: Share of what methods are shown that is taken away, in training and test; what came true stays whole.
        learnt_from: The recordings that networks learn from, but for the one that is forecast; empty for that one.
    """

    label: str
    recordings: tuple[str, ...]
    window: int = WINDOW
    horizon: int = HORIZON
    holes: float = 0.0
    learnt_from: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Experiment:
    """
    Points that differ in one thing.

    Attributes:
        name: On the command line and of the folder of results.
        question: What it answers.
        axis: What the points differ in.
        evaluations: The points.
        methods: By the names that the command `evaluate` knows; the simple methods are run always.
        base: The label of the point that errors are compared with, series by series; empty for none.
        measured: The steps ahead that are told of; those beyond a point's horizon are left out for it.
        offsets_differ: Whether each point is told of at its own last step only.
        drawn: The kind of services that lines of the picture are about.
        top: Up to which error, in last value's, the picture reaches; what is beyond would flatten all others.
    """

    name: str
    question: str
    axis: str
    evaluations: tuple[Evaluation, ...]
    methods: tuple[str, ...] = (*STRONGEST, OURS)
    base: str = ""
    measured: tuple[int, ...] = (1, 15, 30)
    offsets_differ: bool = False
    drawn: str = "all"
    top: float = 2.0

    def of_point(self, evaluation: Evaluation) -> tuple[int, ...]:
        """The steps ahead that are told of at a point, rising."""
        if self.offsets_differ:
            return (evaluation.horizon,)
        return tuple(step for step in self.measured if step <= evaluation.horizon)

    def by(self, methods: tuple[str, ...]) -> "Experiment":
        """The same with other methods."""
        return replace(self, methods=methods)

    def among(self, first: int) -> "Experiment":
        """The same on the *first* recordings of each point; what is learnt from stays."""
        points = tuple(replace(point, recordings=point.recordings[:first]) for point in self.evaluations)
        return replace(self, evaluations=points)

    def quick(self) -> "Experiment":
        """The same with few methods and one recording a point, learnt from one other where others are learnt from."""
        points = tuple(replace(point, learnt_from=point.learnt_from[:2]) for point in self.among(1).evaluations)
        return replace(self, evaluations=points, methods=("gru", OURS))


def _all() -> Iterator[Experiment]:
    yield Experiment(
        "meshes",
        "How far off is each method under a moving load, and where does the graph earn its keep?",
        "recordings",
        (Evaluation("meshes", _ALL_MESHES, window=60),),
        methods=("dlinear", *PEERS, *ABLATIONS),
    )
    yield Experiment(
        "meshes-window-12",
        "And with a window of twelve steps, which costs the peers least: each gets more updates at the same price?",
        "recordings",
        (Evaluation("meshes", _ALL_MESHES),),
        methods=("dlinear", *PEERS, *ABLATIONS, "gcn-gru-no-record"),
    )
    yield Experiment(
        "windows",
        "How much past does a forecast need?",
        "window, steps of a minute",
        tuple(Evaluation(str(window), _THREE_MESHES, window=window) for window in (12, 24, 60, 120)),
        base="60",
    )
    yield Experiment(
        "horizons",
        "How far ahead does a forecast reach?",
        "horizon, steps of a minute",
        tuple(Evaluation(str(horizon), _THREE_MESHES, horizon=horizon) for horizon in (1, 3, 6, 12, 30)),
        offsets_differ=True,
    )
    yield Experiment(
        "load-levels",
        "What becomes of a forecast under a load that was never seen?",
        "load in the test; known are days of low and of middle load",
        tuple(
            Evaluation(level, tuple(f"level-{level}-{plan.seed}" for plan in MESHES[:3]))
            for level in ("low", "middle", "high")
        ),
        methods=(*STRONGEST, OURS, *GRAPH),
    )
    yield _structure("services", "size", SIZES)
    yield _structure("depth", "depth", (2, 4, 8))
    yield _structure("fan-out", "fan-out", (1, 2, 4))
    for kind in ("sparse", "queue", "hidden"):
        yield _structure(f"{kind} services, percent", kind, (0, 25, 50))
    yield Experiment(
        "missing",
        "What becomes of a forecast when measurements are missing?",
        "measurements taken away, percent",
        tuple(Evaluation(str(share), _THREE_MESHES, holes=share / 100) for share in (0, 10, 20, 30, 45, 60)),
        base="0",
    )
    yield Experiment(
        "unseen-services",
        "How much worse are forecasts of services without history than of the same services with one?",
        "a fifth of the services",
        (
            Evaluation("seen", _THREE_MESHES),
            Evaluation("unseen", tuple(f"unseen-{plan.seed}" for plan in MESHES[:3])),
        ),
        methods=(*STRONGEST, OURS, *GRAPH),
        base="seen",
        drawn="new",
        top=4.0,
    )
    yield Experiment(
        "unseen-graphs",
        "How much worse are forecasts of a mesh by a model that learnt from other meshes only?",
        "learnt from",
        (Evaluation("itself", _ALL_MESHES), Evaluation("other meshes", _ALL_MESHES, learnt_from=_ALL_MESHES)),
        methods=(*STRONGEST, OURS, *GRAPH),
        base="itself",
    )
    yield Experiment(
        "drift",
        "What becomes of a forecast when a release makes one service slower, a quarter into the test?",
        "release",
        (
            Evaluation("none", _THREE_MESHES),
            Evaluation("slower", tuple(f"release-{plan.seed}" for plan in MESHES[:3])),
        ),
        base="none",
        drawn="released",
        top=4.0,
    )


def _structure(axis: str, prefix: str, values: tuple[int, ...]) -> Experiment:
    return Experiment(
        f"structure-{prefix}",
        f"How does accuracy depend on the structure of the mesh: {axis}?",
        axis,
        tuple(Evaluation(str(value), (f"{prefix}-{value}",)) for value in values),
        methods=(*STRONGEST, OURS, *GRAPH),
    )


EXPERIMENTS = {experiment.name: experiment for experiment in _all()}
