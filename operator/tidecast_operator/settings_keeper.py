"""
Which settings are in use: those of the Forecaster named `default`, or its last valid ones.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from tidecast_operator import settings as parsing
from tidecast_operator.errors import Misconfigured
from tidecast_operator.resources import DEFAULT_FORECASTER, ForecasterResource
from tidecast_operator.settings import Settings


@dataclass(frozen=True, slots=True)
class InUse:
    """
    What the cycle follows.

    Attributes:
        resource: The Forecaster in use; None if there is none.
        settings: Its settings, or the last valid ones; None if there never were any.
        invalid: What is wrong with its spec; None if nothing is.
        others: Forecasters that are not in use.
    """

    resource: ForecasterResource | None = None
    settings: Settings | None = None
    invalid: Misconfigured | None = None
    others: tuple[ForecasterResource, ...] = ()


class SettingsKeeper:
    """
    Remembers the last valid settings of a Forecaster; another object of the same name starts anew.
    """

    def __init__(self) -> None:
        self._uid = ""
        self._last: Settings | None = None

    def in_use(self, forecasters: Iterable[ForecasterResource]) -> InUse:
        """What is to be followed now."""
        every = tuple(forecasters)
        resource = next((one for one in every if one.name == DEFAULT_FORECASTER), None)
        others = tuple(one for one in every if one.name != DEFAULT_FORECASTER)
        if resource is None:
            self._uid, self._last = "", None
            return InUse(others=others)
        if resource.uid != self._uid:
            self._uid, self._last = resource.uid, None
        try:
            self._last = parsing.parse(resource.spec)
        except Misconfigured as error:
            return InUse(resource, self._last, error, others)
        return InUse(resource, self._last, None, others)
