"""
Looks at forecasts and floors again and again while something else happens, and remembers what was ever wrong.
"""

import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from chart_real.shop import Shop
from tidecast_operator.published import to_time

_PAUSE_SECONDS = 0.5


class Watching:
    """
    A context manager; looks in a thread of its own.

    Attributes:
        looks: How often it has looked.
        problems: What was lost, at any look.

    Args:
        shop: Where forecasts are; those that are there at the beginning must stay.
        floors: Autoscalers, as in mesh-0/service, and how high each floor must stay.
    """

    def __init__(self, shop: Shop, floors: Mapping[str, int]) -> None:
        self.looks = 0
        self.problems: list[str] = []
        self._shop = shop
        self._floors = floors
        self._uids = _uids(shop.forecasts())
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._look_on, name="watching")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.set()
        self._thread.join()

    def _look_on(self) -> None:
        while not self._ends.wait(_PAUSE_SECONDS):
            self.look()

    def look(self) -> None:
        """Looks once."""
        forecasts = self._shop.forecasts()
        found = _uids(forecasts)
        self.problems += [f"{name}: {found.get(name)}" for name, uid in self._uids.items() if found.get(name) != uid]
        floors = {name: self._shop.floor(name) for name in self._floors}
        self.problems += [
            f"{name}: {floors[name]} at {to_time(time.time())}, as is told: {_told(forecasts.get(name, {}))}"
            for name, least in self._floors.items()
            if floors[name] < least
        ]
        self.looks += 1


def _told(forecast: Mapping[str, Any]) -> dict[str, Any]:
    """
    What may have a floor given back: a forecast that has expired on a slow host, one that is not trusted, or a hint that
    nobody asks for any more, as the spec, every condition and who wrote when tell.
    """
    status, metadata = forecast.get("status", {}), forecast.get("metadata", {})
    written = {one["manager"]: one.get("time") for one in metadata.get("managedFields", ())}
    return {
        "conditions": {one["type"]: (one["reason"], one["lastTransitionTime"]) for one in status.get("conditions", ())},
        "issuedTime": status.get("issuedTime"),
        "scaling": forecast.get("spec", {}).get("scaling"),
        "written": written,
        "hint": status.get("hint"),
    }


def _uids(forecasts: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {name: str(one["metadata"]["uid"]) for name, one in forecasts.items()}
