"""
What is to be ended after a test, in order.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest


@pytest.fixture
async def serving_stack() -> AsyncIterator[AsyncExitStack]:
    """Ends what was entered."""
    async with AsyncExitStack() as stack:
        yield stack
