"""
How long a forward pass over a whole graph takes, against plain PyTorch Geometric in the same run.

    python benchmarks/inference.py --services 100 1000 10000

Plain is what one would write first: a GCNConv for each time slice, nn.GRU over all services, a linear head of the same
size. Ours has more to compute (two directions, seasons, a convolution on the state) and is timed twice: the network
alone on a batch that is ready, and everything from measurements to quantiles in units.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from tidecast_contract.features import FEATURES, FORECAST_FEATURES
from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot
from tidecast_predictor.batch import assemble, channels
from tidecast_predictor.config import Architecture
from tidecast_predictor.model import GcnGru
from tidecast_predictor.predicting import predict
from tidecast_predictor.windows import Past, recorded

END_TIME = 1_800_014_400


class Plain(nn.Module):
    """GCNConv per slice, then nn.GRU with services as the batch."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        from torch_geometric.nn import GCNConv  # noqa: PLC0415 - after tidecast_predictor, which quiets its import

        self.convolution = GCNConv(channels(architecture), architecture.hidden)
        self.gru = nn.GRU(architecture.hidden, architecture.hidden, batch_first=True)
        outputs = len(FORECAST_FEATURES) * architecture.horizon_steps * len(architecture.quantiles)
        self.head = nn.Sequential(
            nn.Linear(architecture.hidden, architecture.head), nn.ReLU(), nn.Linear(architecture.head, outputs)
        )

    def forward(self, steps: Tensor, calls: Tensor, rates: Tensor) -> Tensor:
        """Of steps (T, N, channels), calls (2, E) and their rates (E,)."""
        slices = [self.convolution(step, calls, rates).relu() for step in steps]
        course, _ = self.gru(torch.stack(slices, dim=1))
        forecast: Tensor = self.head(course[:, -1])
        return forecast


def snapshot(services: int, steps: int) -> Snapshot:
    """A graph with three calls to a service and noise for measurements."""
    chance = np.random.default_rng(0)
    calls = np.unique(chance.integers(0, services, (2, 3 * services)), axis=1)
    return Snapshot(
        end_time=END_TIME,
        step_seconds=60,
        services=tuple(ServiceId("bench", "Deployment", f"s{index}") for index in range(services)),
        values=chance.random((steps, services, len(FEATURES)), dtype=np.float32),
        calls=calls,
        rates=chance.random(calls.shape[1], dtype=np.float32),
    )


def seconds(work: Callable[[], object], repeats: int) -> float:
    """The median time of *work*, after one round to warm up."""
    work()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def compare(services: int, window_steps: int, repeats: int) -> str:
    """A row of the table."""
    architecture = Architecture(step_seconds=60, window_steps=window_steps, horizon_steps=30)
    model, plain = GcnGru(architecture).eval(), Plain(architecture).eval()
    window = snapshot(services, window_steps)
    past = Past(window, recorded(window))
    reference = past.reference(architecture.horizon_steps)
    material = past.material(reference, architecture)
    batch = assemble(material, architecture)
    steps = batch.steps_NBTC[:, 0].transpose(0, 1).contiguous()
    with torch.inference_mode():
        peer = seconds(lambda: plain(steps, batch.calls_2E, batch.rates_E), repeats)
        network = seconds(lambda: model(batch), repeats)
    whole = seconds(lambda: predict(model, past.material(reference, architecture)), repeats)
    return f"{services:>8} {window_steps:>6} {peer:>9.4f} {network:>9.4f} {whole:>9.4f} {peer / network:>13.2f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Times a forward pass against plain PyTorch Geometric.")
    parser.add_argument("--services", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--window-steps", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    flags = parser.parse_args()
    torch.set_num_threads(flags.threads)
    print(f"torch {torch.__version__}, {flags.threads} threads, seconds, median of {flags.repeats}")
    print(f"{'services':>8} {'window':>6} {'plain':>9} {'network':>9} {'whole':>9} {'plain/network':>13}")
    for services in flags.services:
        print(compare(services, flags.window_steps, flags.repeats), flush=True)


if __name__ == "__main__":
    main()
