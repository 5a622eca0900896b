"""
A ready server around fakes, a client of it, and a bare channel to it.
"""

from collections.abc import AsyncIterator

import pytest
from grpc import aio

from builders.engines import engine, serving
from tidecast_contract.rpc.limits import MESSAGE_OPTIONS
from tidecast_operator.predictor_client import PredictorClient
from tidecast_predictor.engine import Engine
from tidecast_predictor.server import PredictorServer


@pytest.fixture
def fakes() -> Engine:
    """The engine behind the server."""
    return engine()


@pytest.fixture
async def predictor(fakes: Engine) -> AsyncIterator[PredictorServer]:
    """A server that is ready."""
    async with serving(fakes) as started:
        yield started


@pytest.fixture
async def client(predictor: PredictorServer) -> AsyncIterator[PredictorClient]:
    """The operator's client of that server."""
    connected = PredictorClient(f"127.0.0.1:{predictor.port}", timeout_seconds=20)
    yield connected
    await connected.close()


@pytest.fixture
async def channel(predictor: PredictorServer) -> AsyncIterator[aio.Channel]:
    """A bare channel to that server, as another client would have."""
    async with aio.insecure_channel(f"127.0.0.1:{predictor.port}", options=MESSAGE_OPTIONS) as connected:
        yield connected
