"""
Days of the demo's shop under its usual load, as an observer with steps of a minute has them. SIMULATED.
"""

import numpy as np

from tidecast_contract.features import CPU, ERRORS, REQUESTS, index_of
from tidecast_contract.snapshot import Snapshot
from tidecast_predictor.config import DAY_SECONDS
from tidecast_simulator.load import usual_load
from tidecast_simulator.shop import shop
from tidecast_simulator.traffic import Simulation
from tidecast_simulator.truth import call_rates, features

STEP_SECONDS = 60
STEPS_A_DAY = DAY_SECONDS // STEP_SECONDS


def recording(now: int, *, seed: int, days: int, future: int, horizon: int) -> Snapshot:
    """
    The shop around a moment; rates are means over two steps, as Prometheus tells them.

    Args:
        now: Unix seconds, whole minutes.
        seed: Of load and traffic.
        days: Before *now*.
        future: Days after it.
        horizon: Steps that are added to the end.
    """
    simulation = Simulation(shop(), usual_load(seed), seed=seed)
    end = now + future * DAY_SECONDS + horizon * STEP_SECONDS
    truth = features(simulation, start=now - days * DAY_SECONDS, end=end, step_seconds=STEP_SECONDS)
    values = truth.values.copy()
    for feature in (REQUESTS, ERRORS, CPU):
        column = truth.values[:, :, index_of(feature)]
        values[1:, :, index_of(feature)] = (column[1:] + column[:-1]) / 2
    rates = call_rates(simulation, start=now - DAY_SECONDS, end=now)
    rows = {service: row for row, service in enumerate(truth.services)}
    calls = np.array([(rows[caller], rows[callee]) for caller, callee in rates], dtype=np.int64).T
    weights = np.array(list(rates.values()), dtype=np.float32)
    return Snapshot(end, STEP_SECONDS, truth.services, values, np.ascontiguousarray(calls), weights)
