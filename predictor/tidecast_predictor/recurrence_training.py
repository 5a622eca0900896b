"""
The model's recurrence where it is learnt: as `recurrence`, but with the states after all steps, and with gradients.

nn.GRU on a CPU works on one step of all rows after the other and keeps what each of its dozen operations gave; most of its
time goes into memory. The compiled code keeps the states only, and on the way back computes a step's gates anew while
they are in the processor's cache. Where it cannot be used, nn.GRU does the same.

Shapes, as suffixes: `R` rows, `T` steps, `C` channels, `D` hidden, `X` as many channels as all parts have together.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from tidecast_predictor.compiled import Backend, call, choose

_GATES = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
_WEIGHTS = 2 + len(_GATES)


def course(
    parts_RTC: Sequence[Tensor],
    layers: Sequence[nn.Linear],
    bias_D: Tensor,
    gru: nn.GRU | None,
    *,
    backend: Backend | None = None,
) -> Tensor:
    """
    The state after every step, from no state before the first.

    Args:
        parts_RTC: What the convolution takes. The compiled code has no gradients for them.
        layers: The convolution: of each part one, which are added up. Their own biases are not looked at.
        bias_D: Of the convolution.
        gru: Has one layer. None: the convolution and its ReLU are all there is.
        backend: None takes the compiled code where it can be used.

    Returns:
        (R, T, D).

    Raises:
        ValueError: If the compiled code is asked for where it cannot be used.
    """
    convolution_DX = torch.cat([layer.weight for layer in layers], dim=1)
    if gru is not None:
        weights = (bias_D, convolution_DX, *(getattr(gru, name) for name in _GATES))
        if choose(backend, gru.hidden_size, (*weights, *parts_RTC), can=not _is_learnt(parts_RTC)) == "native":
            states_RTD: Tensor = _Course.apply(*weights, *parts_RTC)  # type: ignore[no-untyped-call]
            return states_RTD
    slices_RTD = functional.linear(torch.cat(list(parts_RTC), dim=-1), convolution_DX, bias_D).relu_()
    return slices_RTD if gru is None else gru(slices_RTD)[0]


def _is_learnt(parts_RTC: Sequence[Tensor]) -> bool:
    return torch.is_grad_enabled() and any(part.requires_grad for part in parts_RTC)


class _Course(torch.autograd.Function):
    """Of the convolution's bias and weights and those of the GRU, as `tidecast_recur_back` takes them, then of the parts."""

    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> Tensor:
        bias_D, *weights = (tensor.contiguous() for tensor in tensors[:_WEIGHTS])
        parts_RTC = [part.contiguous() for part in tensors[_WEIGHTS:]]
        rows, steps, _ = parts_RTC[0].shape
        states_RTD = torch.empty((rows, steps, len(bias_D)))
        clock_TD = bias_D.expand(steps, -1).contiguous()
        call("tidecast_recur", parts_RTC, weights[0], [clock_TD, *weights, None, None, states_RTD])
        ctx.save_for_backward(states_RTD, bias_D, *weights, *parts_RTC)
        return states_RTD

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slopes_RTD: Tensor) -> tuple[Tensor | None, ...]:
        states_RTD, *tensors = ctx.saved_tensors
        weights, parts_RTC = tensors[:_WEIGHTS], tensors[_WEIGHTS:]
        slopes_RTD = slopes_RTD.contiguous()  # kept, as only its address is handed over
        slopes = [torch.empty_like(weight) for weight in weights]
        call("tidecast_recur_back", parts_RTC, weights[1], [*weights, states_RTD, slopes_RTD, *slopes])
        return (*slopes, *(None for _ in parts_RTC))
