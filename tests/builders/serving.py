"""
What flags ask to be served, on a cluster with one ConfigMap, and certificates for it.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import requests

from builders.waiting import eventually
from tidecast_operator import serving
from tidecast_operator.certificates import signing
from tidecast_operator.hints.board import Noticeboard
from tidecast_simulator.testbed.process import free_port


@dataclass
class FakeCluster:
    """
    As `Cluster`.

    Attributes:
        config_map: The values of the only one; None for none.
    """

    config_map: Mapping[str, str] | None = None

    def read_config_map(self, *_: str) -> Mapping[str, str] | None:
        """See `Cluster`."""
        return self.config_map


def served(
    *flags: str, noticeboard: Noticeboard | None = None, leads: bool = False, cluster: FakeCluster | None = None
) -> serving.Serving:
    """What these flags ask for."""
    parser = argparse.ArgumentParser()
    serving.add_flags(parser)
    return serving.Serving(
        parser.parse_args(flags), noticeboard or Noticeboard(), cluster or FakeCluster(), leads=lambda: leads
    )


@asynccontextmanager
async def running(*serves: serving.Serving) -> AsyncIterator[None]:
    """All of them, until the end."""
    tasks = [asyncio.create_task(one.run()) for one in serves]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def comes_true(check: Callable[[], object]) -> None:
    """Returns as soon as it does."""
    await asyncio.to_thread(eventually, check)


def write_certificate(folder: Path, *, is_empty: bool = False) -> None:
    """As a Secret of type kubernetes.io/tls, which has both keys from the start, if without a value."""
    now = datetime.now(UTC)
    issued = signing.issue(signing.new_authority(now), ["localhost"], now)
    (folder / "tls.key").write_bytes(b"" if is_empty else issued.key)
    (folder / "tls.crt").write_bytes(b"" if is_empty else issued.certificate)


class Probed:
    """
    A port for probes, which a process that a test starts is told to listen on.
    """

    def __init__(self) -> None:
        self.address = f"127.0.0.1:{free_port()}"

    def answers(self, path: str, code: int, text: str = "") -> bool:
        """Whether that is what comes back now."""
        with suppress(requests.ConnectionError):
            answer = requests.get(f"http://{self.address}{path}", timeout=10)
            return answer.status_code == code and text in answer.text
        return False
