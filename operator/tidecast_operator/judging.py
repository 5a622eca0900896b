"""
Judges past forecasts by what is measured, but for services whose traffic fell because a caller fails.

A cycle of the operator and a replay of past days judge by the same object, so that they say the same.
"""

from collections.abc import Sequence

import numpy as np

from tidecast_contract.forecast import Forecast
from tidecast_contract.services import ServiceId
from tidecast_contract.snapshot import Snapshot
from tidecast_operator.hints.domino import Lee, without
from tidecast_operator.hints.hint import GUARD_SECONDS
from tidecast_operator.trust.keeper import Keeper, Pasts
from tidecast_operator.trust.skills import Skills
from tidecast_operator.trust.storing import Store


class Judge:
    """
    Not safe to use from several threads at once.

    Args:
        store: Where what is known outlives a restart; None for nowhere.
        services: Who alone is judged; None for all that are measured.
    """

    def __init__(self, store: Store | None = None, *, services: Sequence[ServiceId] | None = None) -> None:
        self._keeper = Keeper(store)
        self._lee = Lee()
        self._services = None if services is None else tuple(services)

    def after(self, window: Snapshot, forecast: Forecast | None, pasts: Pasts) -> Skills | None:
        """
        How good forecasts were, once *window* was measured and *forecast* was made from it; None before the first one.

        Who is called by a failing service is not judged: what was to come did not, and that is no fault of a forecast.

        Args:
            window: What was measured, of all services: who fails may be one that is not judged.
            forecast: What was forecast from it; None if nothing was.
            pasts: As of `Keeper.after`.
        """
        judged = without(window, self._lee.lately(window, longest_seconds=GUARD_SECONDS))
        if self._services is not None:
            judged = _of(judged, self._services)
        return self._keeper.after(judged, forecast, pasts)

    def forget(self) -> None:
        """Another replica leads: when this one leads again, it begins from what that one has told by then."""
        self._keeper.forget()


def _of(window: Snapshot, services: tuple[ServiceId, ...]) -> Snapshot:
    """The measurements of *services* alone, which are all there; who calls whom is not asked any more."""
    row = {service: place for place, service in enumerate(window.services)}
    return Snapshot(
        window.end_time,
        window.step_seconds,
        services,
        window.values[:, [row[service] for service in services]],
        np.zeros((2, 0), np.int64),
        np.zeros(0, np.float32),
    )
