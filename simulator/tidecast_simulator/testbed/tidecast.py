"""
The command lines of Tidecast's own programs; knows nothing of their insides.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import requests

from tidecast_simulator.testbed.process import free_port
from tidecast_simulator.testbed.program import Program


def predictor(directory: Path, address: str, arguments: Sequence[str] = ()) -> Program:
    """
    A predictor, not started yet.

    Args:
        directory: For its log and, under `predictor`, its data.
        address: host:port for gRPC.
        arguments: More flags for its command line.
    """
    http = f"127.0.0.1:{free_port()}"
    command = [
        _script("tidecast-predictor"),
        "serve",
        f"--address={address}",
        f"--http-address={http}",
        f"--data-dir={directory / 'predictor'}",
        *arguments,
    ]
    return Program(command, directory / "predictor.log", lambda: _is_ok(f"http://{http}/readyz"))


def operator(directory: Path, kubeconfig: Path, name: str = "operator", arguments: Sequence[str] = ()) -> Program:
    """
    An operator, not started yet.

    Args:
        directory: For its log.
        kubeconfig: How it reaches the API server.
        name: Its identity, which also names its log.
        arguments: More flags for its command line.
    """
    http = f"127.0.0.1:{free_port()}"
    command = [
        _script("tidecast-operator"),
        "run",
        f"--kubeconfig={kubeconfig}",
        f"--http-address={http}",
        f"--identity={name}",
        *arguments,
    ]
    return Program(command, directory / f"{name}.log", lambda: _is_ok(f"http://{http}/healthz"))


def _script(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _is_ok(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False
