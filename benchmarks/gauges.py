"""
How long the text of the gauges takes to write, and how large it is, when everything is known of every service.

    python benchmarks/gauges.py --services 100 1000 10000

Each size is written twice: with the limit that holds by default, and without one. Numbers are made up.
"""

import argparse
import gzip
import itertools
import statistics
import time

import numpy as np

from tidecast_contract.features import FORECAST_FEATURES
from tidecast_contract.forecast import QUANTILES, Forecast, ModelInfo, ModelKind
from tidecast_contract.services import ServiceId
from tidecast_operator.hints.board import Board, Entry
from tidecast_operator.hints.capacity import Capacity
from tidecast_operator.hints.hint import Hint
from tidecast_operator.outlets.gauges.facts import Facts
from tidecast_operator.outlets.gauges.gauges import SERVICES_LIMIT, Gauges
from tidecast_operator.scaling import Mode, Scaling
from tidecast_operator.trust.record import Record
from tidecast_operator.trust.skills import Skills
from tidecast_operator.trust.sums import Sums

NOW, STEP, HORIZON = 1_800_000_000, 60, 30


def facts(number: int) -> Facts:
    """Of so many services, each with a resource, a verdict and an active hint."""
    chance = np.random.default_rng(0)
    services = tuple(ServiceId(f"team-{n % 100}", "Deployment", f"service-number-{n}") for n in range(number))
    shape = (number, len(FORECAST_FEATURES), HORIZON, len(QUANTILES))
    values = np.sort(chance.gamma(2, 50, shape), axis=3).astype(np.float32)
    kind = ModelKind.GCN_GRU
    record = Record.begin(step_seconds=STEP, horizon_steps=HORIZON, time=NOW).of(services)
    sums = Sums(**{name: 1 + chance.random(each.shape, np.float32) for name, each in record.long.items()})
    past = Record(
        record.step_seconds,
        record.offsets,
        services,
        NOW,
        sums,
        sums,
        sums,
        record.drifts,
        (ModelKind.GCN_GRU,) * len(services),
    )
    keys = [(one.namespace, one.name) for one in services]
    return Facts(
        board=Board(NOW, {key: entry(key, one) for key, one in zip(keys, services, strict=True)}, is_known=True),
        forecast=Forecast(NOW, STEP, services, QUANTILES, values, (kind,) * number, ModelInfo(kind)),
        expire_time=NOW + 600,
        metrics=tuple(feature.name for feature in FORECAST_FEATURES),
        skills=Skills(past),
        trusted=dict.fromkeys(keys, True),
    )


def entry(key: tuple[str, str], target: ServiceId) -> Entry:
    """On the board, offered."""
    hint = Hint(9, 9, 6, 1080.0, Capacity(120.0), NOW + 180, "p90 of 1080 requests/s by 10:07 at 120 a replica")
    return Entry(*key, f"uid-of-{key}", target, Scaling(mode=Mode.ACTIVE), hint, expire_time=NOW + 600)


def measure(number: int, limit: int, repeats: int) -> str:
    """A line of the table."""
    known, seconds, body = facts(number), [], b""
    for _ in range(repeats):
        gauges = Gauges(services_limit=limit, clock=lambda: NOW + 1)
        gauges.show(known)
        began = time.perf_counter()
        body = gauges.exposition()
        seconds.append(time.perf_counter() - began)
    series = sum(not line.startswith(b"#") for line in body.splitlines())
    squeezed = len(gzip.compress(body, 6))
    return (
        f"{number:>8} {limit:>7} {series:>9} {len(body) / 2**20:>8.2f} {squeezed / 2**20:>8.2f} "
        f"{1e3 * statistics.median(seconds):>8.0f}"
    )


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--services", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print("services   limit    series      MiB  gzipped       ms")
    for number, limit in itertools.product(options.services, (SERVICES_LIMIT, max(options.services))):
        print(measure(number, limit, options.repeats))


if __name__ == "__main__":
    main()
