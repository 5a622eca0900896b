"""
The model's recurrence where nothing is learnt: a convolution's linear part, a ReLU and a GRU, block by block of services.

A block's state stays in the processor's cache through all steps, and memory does not grow with the number of steps. Two
backends give the same states but for rounding: compiled code that is part of wheels for Linux on x86-64, and PyTorch
everywhere else. No compiler is needed where it runs.

Shapes, as suffixes: `N` services, `T` steps, `C` channels, `D` hidden, `X` as many channels as all parts have together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from tidecast_predictor.compiled import Backend, call, choose, native_is_there, suits

BLOCK_ROWS = 2048
"""Of PyTorch; the compiled code has blocks of its own."""

_WORTH = 8192  # numbers of a block's state


@dataclass(frozen=True, slots=True, eq=False)
class RecurrentWeights:
    """
    What one step takes, float32 and contiguous.

    Attributes:
        convolution_DX: Of the parts of the input, side by side.
        input_3DD: Of the step's input, gates in nn.GRU's order: reset, update, new.
        state_3DD: Of the state.
        input_bias_3D: Beside them.
        state_bias_3D: Beside them.
    """

    convolution_DX: Tensor
    input_3DD: Tensor
    state_3DD: Tensor
    input_bias_3D: Tensor
    state_bias_3D: Tensor

    @classmethod
    def of(cls, parts: Sequence[nn.Linear], gru: nn.GRU) -> Self:
        """
        Those of a convolution whose *parts* are added up, and of a GRU with one layer.

        The biases of the parts belong into the clock that `recur` is given.
        """
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        convolution = torch.cat([part.weight.detach() for part in parts], dim=1)
        return cls(convolution, *(getattr(gru, name).detach().contiguous() for name in names))


def recur(  # noqa: PLR0913
    weights: RecurrentWeights,
    parts_NTC: Sequence[Tensor],
    clock_TD: Tensor,
    state_ND: Tensor | None = None,
    *,
    block: int = BLOCK_ROWS,
    backend: Backend | None = None,
) -> Tensor:
    """
    Carry the state of every service through the steps. No gradients.

    Args:
        weights: Of the model.
        parts_NTC: What the convolution takes: of each service itself and what was propagated to it. float32.
        clock_TD: Is added to the convolution's output at each step, before the ReLU; its bias belongs in here.
        state_ND: The state before the first step; None is zero.
        block: How many services PyTorch works on at a time.
        backend: None takes the compiled code where it can be used.

    Returns:
        The state after the last step, float32 of shape (N, D).

    Raises:
        ValueError: If the compiled code is asked for where it cannot be used.
    """
    given = (weights.convolution_DX, weights.input_3DD, weights.state_3DD, *parts_NTC)
    chosen = choose(backend, weights.state_3DD.shape[1], given)
    with torch.no_grad():
        if chosen == "native":
            return _natively(weights, parts_NTC, clock_TD, state_ND)
        return _with_torch(weights, parts_NTC, clock_TD, state_ND, block)


def is_faster(rows: int, hidden: int) -> bool:
    """Whether `recur` beats nn.GRU on a number of services: on few, PyTorch's many small steps cost more than they save."""
    return (native_is_there() and suits(hidden)) or rows * hidden > _WORTH


def _with_torch(
    weights: RecurrentWeights, parts_NTC: Sequence[Tensor], clock_TD: Tensor, state_ND: Tensor | None, block: int
) -> Tensor:
    """
    In buffers that are made once: half of what nn.GRU costs here is memory that it asks for at each step.

    Reset and update gates of a step are one product, as the input and the state lie side by side.
    """
    services, steps, _ = parts_NTC[0].shape
    hidden = weights.state_3DD.shape[1]
    two = 2 * hidden
    convolution = weights.convolution_DX.T
    gates = torch.cat([weights.input_3DD[:two], weights.state_3DD[:two]], dim=1).T.contiguous()
    gates_bias = weights.input_bias_3D[:two] + weights.state_bias_3D[:two]
    after = clock_TD.new_empty((services, hidden))
    rows = max(1, min(block, services))
    both, opened = clock_TD.new_empty((rows, two)), clock_TD.new_empty((rows, two))
    new, held = clock_TD.new_empty((rows, hidden)), clock_TD.new_empty((rows, hidden))
    for begin in range(0, services, rows):
        here = slice(begin, min(begin + rows, services))
        if (count := here.stop - here.start) < rows:
            both, opened, new, held = both[:count], opened[:count], new[:count], held[:count]
        x, state = both[:, :hidden], both[:, hidden:]
        state.copy_(state_ND[here]) if state_ND is not None else state.zero_()
        for step in range(steps):
            inputs = torch.cat([part[here, step] for part in parts_NTC], dim=-1)
            torch.addmm(clock_TD[step], inputs, convolution, out=x)
            x.relu_()
            torch.addmm(gates_bias, both, gates, out=opened).sigmoid_()
            torch.addmm(weights.input_bias_3D[two:], x, weights.input_3DD[two:].T, out=new)
            torch.addmm(weights.state_bias_3D[two:], state, weights.state_3DD[two:].T, out=held)
            new.addcmul_(opened[:, :hidden], held).tanh_()
            torch.lerp(new, state, opened[:, hidden:], out=state)
        after[here] = state
    return after


def _natively(
    weights: RecurrentWeights, parts_NTC: Sequence[Tensor], clock_TD: Tensor, state_ND: Tensor | None
) -> Tensor:
    after = torch.empty((len(parts_NTC[0]), weights.state_3DD.shape[1]))
    before = None if state_ND is None else state_ND.contiguous()
    matrices = (weights.convolution_DX, weights.input_3DD, weights.state_3DD)
    biases = (weights.input_bias_3D, weights.state_bias_3D)
    given = (clock_TD.contiguous(), *matrices, *biases, before)
    call("tidecast_recur", [part.contiguous() for part in parts_NTC], weights.convolution_DX, (*given, after, None))
    return after
