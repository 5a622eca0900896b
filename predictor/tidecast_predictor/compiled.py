"""
The compiled recurrence, where it was built for this processor. Linux on x86-64; `scripts/build-native.sh` makes it.
"""

import ctypes
import functools
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

Backend = Literal["native", "torch"]

_LANES = 16  # of the widest registers; narrower ones divide them
_LEVELS = {"AVX2": ("v3",), "AVX512": ("v4", "v3")}  # as torch and as x86-64's levels name them
_NATIVE = Path(__file__).parent / "native"


def native_is_there() -> bool:
    """Whether the compiled code was built for this processor."""
    return library() is not None


def suits(hidden: int) -> bool:
    """Whether the compiled code, if it is there, knows a state of that width."""
    return hidden % _LANES == 0


def choose(asked: Backend | None, hidden: int, tensors: Iterable[Tensor], *, can: bool = True) -> Backend:
    """
    Which backend works on these *tensors*.

    Args:
        asked: None takes the compiled code where it can be used.
        hidden: The state's width.
        tensors: All that it is given.
        can: Whether the compiled code can do what is wanted.

    Raises:
        ValueError: If the compiled code is asked for where it cannot be used.
    """
    if asked == "torch":
        return "torch"
    fits = all(tensor.device.type == "cpu" and tensor.dtype == torch.float32 for tensor in tensors)
    if can and fits and suits(hidden) and native_is_there():
        return "native"
    if asked == "native":
        raise ValueError("the compiled recurrence is not there for this processor, device or width; use torch")
    return "torch"


def call(function: str, parts_NTC: Sequence[Tensor], convolution_DX: Tensor, tensors: Sequence[Tensor | None]) -> None:
    """
    Run a function of the compiled code on contiguous tensors.

    Args:
        function: Its name.
        parts_NTC: The inputs of the steps. They may differ in C only.
        convolution_DX: What they are multiplied with, side by side.
        tensors: Its further arguments in order; None where one is not given or not asked for.

    Raises:
        ValueError: If the inputs do not fit one another.
        MemoryError: If it got no memory.
    """
    count, (services, steps, _), (hidden, width) = len(parts_NTC), parts_NTC[0].shape, convolution_DX.shape
    widths = [part.shape[2] for part in parts_NTC]
    if sum(widths) != width or any(part.shape[:2] != (services, steps) for part in parts_NTC):
        raise ValueError(f"parts of the input must be alike but for their channels, and have {width} of these together")
    refused = getattr(library(), function)(
        (ctypes.c_void_p * count)(*(part.data_ptr() for part in parts_NTC)),
        (ctypes.c_int * count)(*widths),
        count,
        services,
        steps,
        hidden,
        *(None if tensor is None else tensor.data_ptr() for tensor in tensors),
        torch.get_num_threads(),
    )
    if refused:
        raise MemoryError("the compiled recurrence got no memory")


@functools.cache
def library() -> ctypes.CDLL | None:
    """The compiled code for this processor; None if there is none, or if it does not load."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return None
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    inputs: list[Any] = [pointer, pointer, integer, ctypes.c_int64, integer, integer]
    for level in _LEVELS.get(torch.backends.cpu.get_cpu_capability(), ()):
        try:
            found = ctypes.CDLL(str(_NATIVE / f"librecurrence-x86-64-{level}.so"))
            found.tidecast_recur.argtypes = [*inputs, *[pointer] * 9, integer]
            found.tidecast_recur_back.argtypes = [*inputs, *[pointer] * 14, integer]
        except (OSError, AttributeError):
            continue  # not built, built from sources of old, or for a newer C library
        return found
    return None
