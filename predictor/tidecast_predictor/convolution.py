"""
The graph as it is multiplied with: who calls whom, kept apart by direction, weighted by the share of the requests.

Shapes: `N` services, `E` calls.
"""

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor, nn

with warnings.catch_warnings():
    # Importing torch-geometric and the first compressed sparse matrix each warn once about torch's own plans.
    warnings.simplefilter("ignore")
    from torch_geometric.utils import scatter, spmm, to_torch_csr_tensor

    to_torch_csr_tensor(torch.zeros((2, 1), dtype=torch.int64), size=(1, 1))

GRAPH_NUMBERS = 4
"""How many numbers tell of a service's place in the graph."""


@dataclass(frozen=True, slots=True, eq=False)
class CallGraph:
    """
    Who calls whom, ready to multiply with.

    Attributes:
        callees_NN: Sparse; row i holds the share of i's outgoing requests that goes to each of its callees.
        callers_NN: Sparse; row i holds the share of i's incoming requests that comes from each of its callers.
        numbers_N4: Of each service: requests per second in and out, callers and callees, each as log(1 + x) / 4.
    """

    callees_NN: Tensor
    callers_NN: Tensor
    numbers_N4: Tensor

    @classmethod
    def of(cls, calls_2E: Tensor, rates_E: Tensor, services: int) -> "CallGraph":
        """The graph of *services* services."""
        caller_E, callee_E = calls_2E
        rates_E = rates_E.clamp(min=1e-6)  # a call that was seen counts, however rare
        ones_E = torch.ones_like(rates_E)
        sums = [
            scatter(of_E, by_E, dim=0, dim_size=services, reduce="sum")
            for of_E in (rates_E, ones_E)
            for by_E in (callee_E, caller_E)
        ]
        return cls(
            callees_NN=to_torch_csr_tensor(calls_2E, rates_E / sums[1][caller_E], size=(services, services)),
            callers_NN=to_torch_csr_tensor(calls_2E.flip(0), rates_E / sums[0][callee_E], size=(services, services)),
            numbers_N4=torch.log1p(torch.stack(sums, dim=1)) / 4,
        )


class DirectedConvolution(nn.Module):
    """
    A graph convolution with a path of its own for the service, one for its callees and one for its callers.

    What is propagated is the input, not the output: inputs are narrower, and all steps go through one sparse product.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.own = nn.Linear(inputs, outputs)
        self.callees = nn.Linear(inputs, outputs, bias=False)
        self.callers = nn.Linear(inputs, outputs, bias=False)

    def forward(self, x: Tensor, from_callees: Tensor, from_callers: Tensor) -> Tensor:
        """Combine (..., inputs) of the services with what their neighbours have there."""
        combined: Tensor = self.own(x) + self.callees(from_callees) + self.callers(from_callers)
        return combined


def propagate(graph: CallGraph, x: Tensor) -> tuple[Tensor, Tensor]:
    """What the callees and the callers of each service have there, for all samples and steps in one product each."""
    flat = x.flatten(1)
    return spmm(graph.callees_NN, flat).view_as(x), spmm(graph.callers_NN, flat).view_as(x)
