"""
One task at a time that nobody waits for.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Background:
    """
    Whatever was started last. Not safe to use from several threads.

    Args:
        name: Of the task, for whoever looks at what runs.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        """Whether something is under way."""
        return self._task is not None and not self._task.done()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Begins *work*; what was under way is cancelled."""
        self.cancel()
        self._task = asyncio.create_task(work, name=self._name)

    def cancel(self) -> None:
        """Has what is under way end, and does not wait for that."""
        if self._task is not None:
            self._task.cancel()

    async def idle(self) -> None:
        """Returns when nothing is under way."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def stop(self) -> None:
        """Ends what is under way, and returns when it has ended."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
