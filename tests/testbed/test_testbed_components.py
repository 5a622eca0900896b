import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from kubernetes import client

from tidecast_simulator.testbed import binaries
from tidecast_simulator.testbed.control_plane import CommandFailed
from tidecast_simulator.testbed.process import POLL_SECONDS

pytestmark = pytest.mark.real


def eventually(check, seconds=30):
    event = threading.Event()
    for _ in range(int(seconds / POLL_SECONDS)):
        if result := check():
            return result
        event.wait(POLL_SECONDS)
    raise AssertionError("did not come true")


@pytest.mark.real(*binaries.ALL)
def test_a_deployment_gets_its_pods_and_they_go_with_it(control_plane, namespace):
    def pods():
        return control_plane.kubectl("get", "pods", "-n", namespace, "-o", "name").split()

    control_plane.kubectl("create", "deployment", "web", "--image=none", "--replicas=2", "-n", namespace)
    eventually(lambda: len(pods()) == 2)
    control_plane.kubectl("delete", "deployment", "web", "-n", namespace)
    eventually(lambda: not pods())


def test_a_restarted_api_server_still_has_what_it_had(control_plane, namespace):
    control_plane.restart_api_server()
    assert namespace in control_plane.kubectl("get", "namespaces", "-o", "name")


def test_a_stopped_api_server_answers_nobody(control_plane):
    control_plane.stop_api_server()
    try:
        with pytest.raises(CommandFailed, match="refused"):
            control_plane.kubectl("get", "namespaces")
    finally:
        control_plane.start_api_server()


def test_the_kubernetes_client_trusts_the_certificate(api_client):
    assert client.VersionApi(api_client).get_code().major == "1"


class Metrics(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f'requests{{path="{self.path}"}} 7\n'.encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def target():
    with ThreadingHTTPServer(("127.0.0.1", 0), Metrics) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_prometheus_scrapes_each_target_at_its_path(start_prometheus, target):
    prometheus = start_prometheus(targets={"mesh": [target, f"{target}/istio"]})
    found = eventually(lambda: len(result := prometheus.query("requests")) == 2 and result)
    assert {series["metric"]["path"] for series in found} == {"/metrics", "/istio"}


def test_a_restarted_prometheus_keeps_its_address_and_samples(start_prometheus, target):
    prometheus = start_prometheus(targets=[target])
    eventually(lambda: prometheus.query("requests"))
    url = prometheus.url
    prometheus.restart()
    assert prometheus.url == url
    assert prometheus.query("count_over_time(requests[5m])")


def test_the_configuration_is_readable(start_prometheus):
    prometheus = start_prometheus()
    assert "scrape_configs" in json.loads((prometheus.directory / "prometheus.yml").read_text())
