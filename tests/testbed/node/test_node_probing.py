import ssl
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from builders.node_pods import probe, web
from builders.waiting import eventually
from tidecast_simulator.testbed import binaries
from tidecast_simulator.testbed.node.probing import Asked, Launch, Probe, check, patient
from tidecast_simulator.testbed.process import free_port


class Answering(BaseHTTPRequestHandler):
    """Answers with the status that the path names."""

    def do_GET(self):
        self.send_response(int(self.path.strip("/")))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


@contextmanager
def serving(context=None):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def http():
    with serving() as port:
        yield port


@pytest.fixture
def https(tmp_path):
    certificate = f"-x509 -nodes -newkey rsa:2048 -subj /CN=foreign -keyout {tmp_path}/key -out {tmp_path}/crt"
    subprocess.run([binaries.find("openssl"), "req", *certificate.split()], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    with serving(context) as port:
        yield port


@pytest.fixture
def asked(tmp_path):
    launch = Launch((), {"PATH": "/usr/bin:/bin"}, tmp_path)
    return Asked(int, lambda command: Launch(command, launch.environment, launch.folder))


@pytest.mark.parametrize(("status", "is_well"), [(200, True), (204, True), (302, True), (404, False), (503, False)])
def test_an_answer_below_400_is_well(http, asked, status, is_well):
    assert (check({"httpGet": {"port": http, "path": f"/{status}"}}, asked) == "") is is_well


def test_a_foreign_certificate_does_not_matter(https, asked):
    assert not check({"httpGet": {"port": https, "path": "/200", "scheme": "HTTPS"}}, asked)
    assert check({"httpGet": {"port": https, "path": "/500", "scheme": "HTTPS"}}, asked)


def test_nobody_listening_is_a_failure(http, asked):
    nobody = free_port()
    assert not check({"tcpSocket": {"port": http}}, asked)
    for spec in ({"tcpSocket": {"port": nobody}}, {"httpGet": {"port": nobody}}, {"grpc": {"port": nobody}}):
        assert check(spec, asked)


def test_a_command_is_well_when_it_ends_with_0_in_time(asked):
    assert not check({"exec": {"command": ["true"]}}, asked)
    assert "ended with 3: no" in check({"exec": {"command": ["sh", "-c", "echo no; exit 3"]}}, asked)
    assert "no end after 0.2 s" in check({"exec": {"command": ["sleep", "60"]}, "timeoutSeconds": 0.2}, asked)
    assert check({"exec": {"command": ["no-such-program"]}}, asked)


def test_a_command_ends_with_its_probe(asked):
    stopped = threading.Event()
    stopped.set()
    assert check({"exec": {"command": ["sleep", "600"]}, "timeoutSeconds": 600}, asked, stopped)


def test_grpc_is_well_while_it_serves(asked):
    states = health.HealthServicer()
    server = grpc.server(ThreadPoolExecutor(2))
    health_pb2_grpc.add_HealthServicer_to_server(states, server)
    spec = {"grpc": {"port": server.add_insecure_port("127.0.0.1:0")}, "timeoutSeconds": 20}
    server.start()
    try:
        assert not check(spec, asked)
        states.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
        assert check(spec, asked)
    finally:
        server.stop(None).wait()


@pytest.fixture
def ask(asked):
    """Starts probes of a command; they end with the test."""
    probes = []

    def start(code, **spec):
        spec = {"exec": {"command": [sys.executable, "-c", code]}, "timeoutSeconds": 30, **spec}
        probes.append(Probe(spec, asked, is_due=lambda: True, changed=lambda: None))
        return probes[-1]

    yield start
    for one in probes:
        one.stop()


def test_a_probe_fails_after_as_many_failures_as_its_threshold_says(ask, tmp_path):
    failing = ask("open('asked', 'a').write('x'); raise SystemExit(1)", periodSeconds=0.1, failureThreshold=3)

    assert eventually(lambda: failing.has_failed)
    assert len((tmp_path / "asked").read_text()) >= 3
    assert not failing.has_passed


def test_a_probe_that_fails_more_often_than_its_period_counts_once(ask, tmp_path):
    failing = ask("open('asked', 'a').write('x'); raise SystemExit(1)", periodSeconds=3600, failureThreshold=2)

    assert eventually(lambda: (tmp_path / "asked").exists() and len((tmp_path / "asked").read_text()) >= 4)
    assert not failing.has_failed


def test_patience_makes_probes_wait_and_fail_longer():
    found = patient(web(readinessProbe=probe("/readyz", timeoutSeconds=2)), 4)
    assert (found["readinessProbe"]["timeoutSeconds"], found["readinessProbe"]["failureThreshold"]) == (8, 12)
    assert (found["livenessProbe"]["timeoutSeconds"], found["livenessProbe"]["failureThreshold"]) == (4, 8)
    assert "startupProbe" not in found
