"""
Tells streams that something has changed, without a queue: who is slow looks once at the newest, and misses nothing.
"""

import asyncio


class Bell:
    """
    Rings for all who wait; to be used on one event loop.

    Whoever waits takes `next_ring` first, then looks, then waits: a ring between is not lost.
    """

    def __init__(self) -> None:
        self._ring = asyncio.Event()
        self._is_over = False

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self._is_over

    @property
    def next_ring(self) -> asyncio.Event:
        """Set at the next ring."""
        return self._ring

    def ring(self) -> None:
        """Wakes all who wait."""
        ring, self._ring = self._ring, asyncio.Event()
        ring.set()

    def end(self) -> None:
        """Wakes all who wait, for the last time."""
        self._is_over = True
        self.ring()
