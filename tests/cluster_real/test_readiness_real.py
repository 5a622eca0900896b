"""
The process that runs cycles, against the real API server: alive without the certificate of its metrics API, and not ready.
"""

import subprocess
import sys

import pytest

from builders.serving import Probed, write_certificate
from builders.waiting import eventually

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
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-m", "tidecast_operator", "run", *flags], stderr=log)
        try:
            eventually(lambda: probed.answers("/readyz", 503, f"not ready: metrics API: {folder}"), 120)
            assert probed.answers("/healthz", 200)
            write_certificate(folder)
            eventually(lambda: probed.answers("/readyz", 200), 120)
        finally:
            process.terminate()
            process.wait(60)

    assert process.returncode == 0
