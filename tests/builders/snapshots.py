"""
Valid snapshots and forecasts, changed where a test says so.
"""

from typing import Any

import numpy as np

from tidecast_contract.features import FEATURES, FORECAST_FEATURES
from tidecast_contract.forecast import QUANTILES, Forecast, ModelInfo, ModelKind
from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot

FRONTEND = ServiceId("shop", "Deployment", "frontend")
CHECKOUT = ServiceId("shop", "Deployment", "checkout")

MIDDAY = 1_800_014_400
"""2027-01-15 12:00:00 UTC, a multiple of every step that the tests use."""


def snapshot(**changes: Any) -> Snapshot:
    """Three one-minute steps of two services; the first calls the second."""
    services = changes.get("services", (FRONTEND, CHECKOUT))
    valid = {
        "end_time": MIDDAY,
        "step_seconds": 60,
        "services": services,
        "values": np.full((3, len(services), len(FEATURES)), 0.5, dtype=np.float32),
        "calls": np.array([[0], [1]], dtype=np.int64),
        "rates": np.array([2.0], dtype=np.float32),
    }
    return Snapshot(**(valid | changes))


def forecast(**changes: Any) -> Forecast:
    """A forecast of two services and four steps by a trained model, rising along the quantiles."""
    services = changes.get("services", (FRONTEND, CHECKOUT))
    shape = (len(services), len(FORECAST_FEATURES), 4, len(QUANTILES))
    valid = {
        "issued_time": MIDDAY,
        "step_seconds": 60,
        "services": services,
        "quantiles": QUANTILES,
        "values": np.broadcast_to(np.array([0.25, 0.5, 0.75], dtype=np.float32), shape).copy(),
        "kinds": (ModelKind.GCN_GRU,) * len(services),
        "model": ModelInfo(
            ModelKind.GCN_GRU, version="v1", trained_time=MIDDAY - 3600, reason="beats both", error=0.3, naive_error=0.4
        ),
    }
    return Forecast(**(valid | changes))
