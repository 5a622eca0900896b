"""
Inputs, graphs and shapes for tests of single networks, without series around them.
"""

import torch

from tidecast_predictor.baselines.neural import Graph, Shape


def of_shape(*, services=0, channels=3, features=1, window=6, horizon=3, step_seconds=300.0):
    """What a network is built for; `services` only for those that hold weights of single ones."""
    return Shape(
        services=services,
        channels=channels,
        features=features,
        window=window,
        horizon=horizon,
        step_seconds=step_seconds,
        calls=torch.zeros((2, 0), dtype=torch.int64),
        weights=torch.zeros(0),
    )


def inputs(*, samples=3, steps=6, services=4, channels=3, seed=0):
    """Windows (B, T, N, C) of noise."""
    return torch.randn((samples, steps, services, channels), generator=torch.Generator().manual_seed(seed))


def graph(calls, *, services, weights=None):
    """Of (caller, callee) pairs, of weight 1."""
    pairs = torch.tensor(calls, dtype=torch.int64).reshape(-1, 2).T.contiguous()
    return Graph(pairs, torch.tensor(weights or [1.0] * len(calls), dtype=torch.float32), services)


def shuffled(of, order):
    """The same graph where the service at `order[i]` stands at i."""
    return Graph(torch.argsort(torch.tensor(order))[of.calls], of.weights, of.services)


def parameters(network):
    """How many numbers it learns."""
    return sum(weights.numel() for weights in network.parameters())


@torch.no_grad()
def answer(network, x, of):
    """Forecasts (B, H, N, F)."""
    return network(x, of)
