"""
What every contender is given: the same noise on the same graph.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

FEATURES, HIDDEN, HORIZON = 6, 64, 12
CALLS_OF_A_SERVICE = 3
EPOCH_STEPS = 7 * 24 * 60
"""Of an epoch: a week of minutes."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """
    A graph of services and a window of measurements.

    Attributes:
        x_TNF: The window.
        calls_2E: Callers and callees, int64.
        weights_E: Of the calls, positive.
    """

    x_TNF: Tensor
    calls_2E: Tensor
    weights_E: Tensor

    @classmethod
    def of(cls, services: int, steps: int, calls_of_a_service: int = CALLS_OF_A_SERVICE) -> "Case":
        """Noise; so many calls to a service in the mean, to and from any other. The same on every device."""
        device, generator = torch.get_default_device(), torch.Generator("cpu").manual_seed(services)
        calls = torch.randint(0, services, (2, calls_of_a_service * services), generator=generator, device="cpu")
        calls = calls[:, calls[0] != calls[1]].unique(dim=1)
        x_TNF = torch.randn(steps, services, FEATURES, generator=generator, device="cpu")
        weights = torch.rand(calls.shape[1], generator=generator, device="cpu") + 0.01
        return cls(x_TNF.to(device), calls.to(device), weights.to(device))

    @property
    def services(self) -> int:
        """N."""
        return self.x_TNF.shape[1]

    @property
    def steps(self) -> int:
        """T."""
        return len(self.x_TNF)

    def copied(self, copies: int) -> "Case":
        """Several windows at once, as PyTorch Geometric batches them: one graph whose parts do not touch."""
        shift = self.services * torch.arange(copies)
        return Case(
            self.x_TNF.repeat(1, copies, 1),
            (self.calls_2E[:, None, :] + shift[None, :, None]).flatten(1),
            self.weights_E.repeat(copies),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Contender:
    """
    What is measured of a method.

    Attributes:
        forward: From a window to forecasts, (N, HORIZON).
        step: From the carried state and the newest slice to forecasts; None where a method carries none.
        epoch: What an epoch over `EPOCH_STEPS` is made of: something to do, and how often.
    """

    forward: Callable[[], Tensor]
    step: Callable[[], Tensor] | None = None
    epoch: tuple[tuple[Callable[[], object], float], ...] = ()


Network = Callable[[Case], Tensor]


def learning_windows(module: nn.Module, network: Network, case: Case) -> tuple[tuple[Callable[[], object], float], ...]:
    """An optimiser step for every window, small graphs several at a time."""
    copies = max(1, 4096 // case.services)
    batch = case.copied(copies)
    return ((learning(module, lambda: network(batch)), EPOCH_STEPS / copies),)


def learning(module: nn.Module, forecast: Callable[[], Tensor]) -> Callable[[], object]:
    """An optimiser step towards a target that costs nothing to make."""
    optimizer = torch.optim.Adam(module.parameters())

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        forecast().square().mean().backward()
        optimizer.step()

    return step
