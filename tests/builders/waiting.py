"""
Waiting for what comes true by itself.
"""

import threading
from collections.abc import Callable
from typing import TypeVar

from tidecast_simulator.testbed.process import POLL_SECONDS

_Answer = TypeVar("_Answer")


def eventually(check: Callable[[], _Answer], seconds: float = 30) -> _Answer:
    """What *check* answers as soon as it is true; fails when the time is over."""
    event = threading.Event()
    for _ in range(int(seconds / POLL_SECONDS)):
        if result := check():
            return result
        event.wait(POLL_SECONDS)
    raise AssertionError(f"did not come true in {seconds:g} s")
