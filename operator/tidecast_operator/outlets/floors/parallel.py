"""
Several requests at once: while one waits for its answer, others are sent.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")


def each(work: Callable[[_Item], None], items: Sequence[_Item], *, threads: int) -> None:
    """
    Does *work* with each of *items*, begun in this order, and returns when all are done.

    What *work* raises is raised here: the first of it, after what was under way is done; what was not begun is not.
    """
    if threads <= 1 or len(items) <= 1:
        for item in items:
            work(item)
        return
    with ThreadPoolExecutor(min(threads, len(items)), thread_name_prefix="floor") as pool:
        for _ in pool.map(work, items):  # the pool's own way to cancel the rest
            pass
