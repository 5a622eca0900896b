"""
What the demo prints on its way: one line for each step with the time it took, and bars for what takes long.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

_WIDTH = 74


@contextmanager
def step(what: str) -> Iterator[None]:
    """Say what is done, and how long it took when it is done; nothing is said of what fails."""
    started = time.monotonic()
    yield
    tqdm.write(f"  {what} {'.' * (_WIDTH - len(what))} {time.monotonic() - started:5.1f} s")


def heading(text: str) -> None:
    """Begin a new part of the output."""
    print(f"\n{text}")


def command(arguments: str, output: str, *, indent: str = "  ") -> None:
    """Show a command as a user would type it, and what it printed."""
    print(f"\n{indent}$ kubectl {arguments}")
    print("\n".join(f"{indent}{line}" for line in output.rstrip().splitlines()))


def bar(what: str) -> "tqdm[Any]":
    """A bar from 0 to 1; it is not drawn where the output is no terminal."""
    shape = "  {desc} {bar:30} {percentage:3.0f} % {postfix}"
    drawn: tqdm[Any] = tqdm(total=1.0, desc=what, bar_format=shape, leave=False, disable=None)
    return drawn
