"""
Random walks along the calls, in sparse products: what networks that diffuse over a graph have in common.
"""

import warnings

import torch
from torch import Tensor

from tidecast_predictor.baselines.batching import Graph

with warnings.catch_warnings():
    # Importing torch-geometric and the first compressed sparse matrix each warn once about torch's own plans.
    warnings.simplefilter("ignore")
    from torch_geometric.utils import scatter, spmm, to_torch_csr_tensor

    to_torch_csr_tensor(torch.zeros((2, 1), dtype=torch.int64), size=(1, 1))


def transition(graph: Graph, calls_2E: Tensor) -> Tensor:
    """A step from the first of each pair to the second, sparse (N, N); rows add up to one, or to none without a pair."""
    total_N = scatter(graph.weights, calls_2E[0], dim=0, dim_size=graph.services, reduce="sum")
    size = (graph.services, graph.services)
    matrix: Tensor = to_torch_csr_tensor(calls_2E, graph.weights / total_N[calls_2E[0]], size=size)
    return matrix


def walk(matrix_NN: Tensor, x: Tensor) -> Tensor:
    """What (N, ...) there is a step away by a matrix, sparse or dense: all samples and steps in one product."""
    flat = x.flatten(1)
    there: Tensor = spmm(matrix_NN, flat) if matrix_NN.layout == torch.sparse_csr else matrix_NN @ flat
    return there.view_as(x)
