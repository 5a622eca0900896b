"""
How old what autoscalers are told is, and whether the leader is heard: for whoever watches those who follow it.
"""

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from tidecast_operator.hints.board import Noticeboard
from tidecast_operator.relaying.client import RelayClient


class RelayGauges:
    """
    Safe to use from several threads.

    Args:
        noticeboard: What autoscalers are told.
        client: What hears the leader; None where nobody is followed.
        leads: Whether this replica leads; then its board is its own, and there is nobody to be heard.
        clock: Unix seconds, those by which hints expire here.
    """

    def __init__(
        self,
        noticeboard: Noticeboard,
        client: RelayClient | None,
        *,
        leads: Callable[[], bool],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._noticeboard = noticeboard
        self._client = client
        self._leads = leads
        self._clock = clock

    def exposition(self) -> bytes:
        """Both, as text; neither where another replica leads and is not followed, as what hangs there is told to nobody."""
        leads, board, registry = self._leads(), self._noticeboard.board, CollectorRegistry()
        if self._client is None and not leads:
            return b""
        if self._client is not None and not leads:
            told = "Whether a replica that follows hears the one that leads."
            Gauge("tidecast_relay_connected", told, registry=registry).set(self._client.is_connected)
        if board.is_known:
            # The time itself would be by the clock of this host, and comparing it with another's would compare clocks.
            told = "Since the cycle that what autoscalers are told here comes from."
            age = max(0.0, self._clock() - board.time)
            Gauge("tidecast_board_age_seconds", told, registry=registry).set(age)
        return generate_latest(registry)
