"""
Others' networks: plain PyTorch Geometric, torch_geometric_temporal, and the methods of `tidecast_predictor.baselines`.
"""

import importlib
import sys
import types
from functools import partial
from typing import Any

import torch
from case import EPOCH_STEPS, FEATURES, HIDDEN, HORIZON, Case, Contender, learning, learning_windows
from torch import Tensor, nn

importlib.import_module("tidecast_predictor.model")  # quiets the import of torch-geometric


class Plain(nn.Module):
    """GCNConv for each slice, nn.GRU with services as the batch, a linear head."""

    def __init__(self, *, cached: bool) -> None:
        super().__init__()
        from torch_geometric.nn import GCNConv  # noqa: PLC0415

        self.convolution = GCNConv(FEATURES, HIDDEN, cached=cached)
        self.gru = nn.GRU(HIDDEN, HIDDEN, batch_first=True)
        self.head = nn.Linear(HIDDEN, HORIZON)

    def forward(self, case: Case, steps: slice = slice(None), state: Tensor | None = None) -> Tensor:
        """Forecasts of a window, or of some of its steps after a state."""
        slices = [self.convolution(step, case.calls_2E, case.weights_E).relu() for step in case.x_TNF[steps]]
        course, _ = self.gru(torch.stack(slices, dim=1), state)
        said: Tensor = self.head(course[:, -1])
        return said


def plain(case: Case, *, cached: bool) -> Contender:
    """With the normalised graph kept from the first pass on, or made for each slice anew."""
    network, learner = Plain(cached=cached), Plain(cached=cached)
    state = torch.zeros(1, case.services, HIDDEN)
    return Contender(
        partial(network, case),
        lambda: network(case, slice(-1, None), state),
        learning_windows(learner, learner, case),
    )


def recurrent_layers() -> types.ModuleType:
    """
    Those of torch_geometric_temporal, whose import wants torch_sparse for a layer that is not used here.

    Raises:
        ImportError: If it is not installed.
    """
    if "torch_sparse" not in sys.modules:
        sparse: Any = types.ModuleType("torch_sparse")
        sparse.SparseTensor = sparse.matmul = object
        sys.modules["torch_sparse"] = sparse
    return importlib.import_module("torch_geometric_temporal.nn.recurrent")


class Cell(nn.Module):
    """A cell of torch_geometric_temporal carried over the window, and a linear head."""

    def __init__(self, name: str, **settings: int) -> None:
        super().__init__()
        self.cell = getattr(recurrent_layers(), name)(FEATURES, HIDDEN, **settings)
        self.head = nn.Linear(HIDDEN, HORIZON)

    def forward(self, case: Case, steps: slice = slice(None), state: Tensor | None = None) -> Tensor:
        """Forecasts of a window, or of some of its steps after a state."""
        for step in case.x_TNF[steps]:
            state = self.cell(step, case.calls_2E, case.weights_E, state)
        said: Tensor = self.head(state)
        return said


def cell(case: Case, name: str, **settings: int) -> Contender:
    """A recurrent cell."""
    network = Cell(name, **settings)
    state = torch.zeros(case.services, HIDDEN)
    return Contender(
        partial(network, case), lambda: network(case, slice(-1, None), state), learning_windows(network, network, case)
    )


class Attention(nn.Module):
    """A3TGCN takes the whole window at once; it carries no state."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.cell = recurrent_layers().A3TGCN(FEATURES, HIDDEN, periods=steps)
        self.head = nn.Linear(HIDDEN, HORIZON)

    def forward(self, case: Case) -> Tensor:
        """Forecasts of a window."""
        said: Tensor = self.head(self.cell(case.x_TNF.permute(1, 2, 0), case.calls_2E, case.weights_E))
        return said


def attention(case: Case) -> Contender:
    """A3TGCN."""
    network = Attention(case.steps)
    return Contender(partial(network, case), epoch=learning_windows(network, network, case))


def baseline(case: Case, module: str, name: str) -> Contender:
    """
    A network of `tidecast_predictor.baselines`; its window has a mask beside every feature.

    Raises:
        ImportError: If there is none of that name.
    """
    neural = importlib.import_module("tidecast_predictor.baselines.neural")
    build = getattr(importlib.import_module(f"tidecast_predictor.baselines.{module}"), name)
    shape = neural.Shape(
        services=case.services,
        channels=2 * FEATURES,
        features=FEATURES,
        window=case.steps,
        horizon=HORIZON,
        step_seconds=60.0,
        calls=case.calls_2E,
        weights=case.weights_E,
    )
    network = build(shape)
    graph = neural.Graph(calls=case.calls_2E, weights=case.weights_E, services=case.services)
    x = torch.cat([case.x_TNF, torch.ones_like(case.x_TNF)], dim=-1)[None]
    learner, copies = build(shape), max(1, 4096 // case.services)
    windows = x.repeat(copies, 1, 1, 1)
    epoch = (learning(learner, lambda: learner(windows, graph)), EPOCH_STEPS / copies)
    return Contender(lambda: network.eval()(x, graph), epoch=(epoch,))
