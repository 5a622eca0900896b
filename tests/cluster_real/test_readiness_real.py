"""
The process that runs cycles, against the real API server: alive without the certificate of its metrics API, and not ready.
"""

import sys

import pytest

from builders.serving import Probed, write_certificate
from builders.waiting import eventually
from tidecast_simulator.testbed.process import Process

pytestmark = pytest.mark.real


def test_a_replica_is_not_ready_before_the_metrics_api_has_its_certificate(definitions, namespace, tmp_path):
    probed, folder = Probed(), tmp_path / "tls"
    folder.mkdir()
    flags = [
        f"--kubeconfig={definitions.kubeconfig}",
        f"--namespace={namespace}",
        f"--http-address={probed.address}",
        "--metrics-api-address=127.0.0.1:0",
        f"--metrics-api-tls-folder={folder}",
    ]
    process = Process.start([sys.executable, "-m", "tidecast_operator", "run", *flags], log=tmp_path / "log")
    try:
        eventually(lambda: probed.answers("/readyz", 503, f"not ready: metrics API: {folder}"), 120)
        assert probed.answers("/healthz", 200)
        write_certificate(folder)
        eventually(lambda: probed.answers("/readyz", 200), 120)
    finally:
        process.stop(timeout_seconds=60)

    assert process.exit_code == 0
