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

_BESIDE = 16  # columns at either side, of which one is taken: the others keep what lies between where vectors begin
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

    A row has a one, the step's input, the state and a one side by side: each product is of neighbouring columns, and adds
    its bias as one more of them, not in passes of its own. The state is kept as (1 + h) / 2, so that a sigmoid of twice the
    new value takes the place of the tanh, which costs PyTorch three times as much.
    """
    services, steps, _ = parts_NTC[0].shape
    hidden = weights.state_3DD.shape[1]
    gates, new_weights, held_weights = _side_by_side(weights)
    convolution = torch.cat([weights.convolution_DX.T, clock_TD[:1]])
    after = clock_TD.new_empty((services, hidden))
    size = max(1, min(block, services))
    rows = clock_TD.new_ones((size, 2 * (hidden + _BESIDE)))
    opened, new, held = (clock_TD.new_empty((size, width)) for width in (2 * hidden, hidden, hidden))
    for begin in range(0, services, size):
        here = slice(begin, min(begin + size, services))
        if (count := here.stop - here.start) < size:
            rows, opened, new, held = rows[:count], opened[:count], new[:count], held[:count]
        x, state = rows[:, _BESIDE : _BESIDE + hidden], rows[:, _BESIDE + hidden : -_BESIDE]
        one_x, x_state_one, state_one = (
            rows[:, _BESIDE - 1 : _BESIDE + hidden],
            rows[:, _BESIDE : 1 - _BESIDE],
            rows[:, _BESIDE + hidden : 1 - _BESIDE],
        )
        state.fill_(0.5)
        if state_ND is not None:
            state.add_(state_ND[here], alpha=0.5)
        for step in range(steps):
            inputs = torch.cat([*(part[here, step] for part in parts_NTC), rows[:, :1]], dim=-1)
            convolution[-1] = clock_TD[step]
            torch.mm(inputs, convolution, out=x).relu_()
            torch.mm(x_state_one, gates, out=opened).sigmoid_()
            torch.mm(one_x, new_weights, out=new)
            torch.mm(state_one, held_weights, out=held)
            new.addcmul_(opened[:, :hidden], held).sigmoid_()
            torch.lerp(new, state, opened[:, hidden:], out=state)
        torch.sub(state, 0.5, out=after[here]).mul_(2)
    return after


def _side_by_side(weights: RecurrentWeights) -> tuple[Tensor, Tensor, Tensor]:
    """
    What rows are multiplied with, for a state that is kept as (1 + h) / 2: h = 2 * kept - 1.

    Returns:
        Of the input, the state and a one, to reset and update; of a one and the input, to twice the new value; of the state
        and a one, to twice what the state adds to it.
    """
    two = 2 * weights.state_3DD.shape[1]
    state, state_bias = 2 * weights.state_3DD, weights.state_bias_3D - weights.state_3DD.sum(1)
    bias = weights.input_bias_3D[:two] + state_bias[:two]
    gates = [weights.input_3DD[:two], state[:two], bias[:, None]]
    new = [weights.input_bias_3D[two:, None], weights.input_3DD[two:]]
    held = [state[two:], state_bias[two:, None]]
    return torch.cat(gates, dim=1).T.contiguous(), 2 * torch.cat(new, dim=1).T, 2 * torch.cat(held, dim=1).T


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
