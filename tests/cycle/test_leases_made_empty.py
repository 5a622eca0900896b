import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from kubernetes import client

from tidecast_operator.leadership import Candidate, Leadership
from tidecast_operator.leases import Leases


class Lessor(BaseHTTPRequestHandler):
    """An API server with one Lease that nobody has held yet, as a chart makes it."""

    def do_GET(self):
        self._answer({"metadata": {"name": "tidecast-operator", "resourceVersion": "7"}, **self.server.made})

    def do_PUT(self):
        self.server.written.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._answer(self.server.written[-1])

    def _answer(self, body):
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def lessor():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Lessor)
    server.daemon_threads = True
    server.made, server.written = {}, []
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    yield server
    server.shutdown()
    serving.join()
    server.server_close()


@pytest.mark.parametrize("made", [{}, {"spec": {}}], ids=["without a spec", "with an empty one"])
def test_a_lease_that_was_made_empty_is_taken_at_once(lessor, made):
    lessor.made = made
    configuration = client.Configuration()
    configuration.host = f"http://127.0.0.1:{lessor.server_port}"
    leases = Leases(configuration)

    leads = Leadership(leases, Candidate("a", "tidecast-system")).step()
    leases.close()

    assert leads
    (written,) = lessor.written
    assert written["spec"]["holderIdentity"] == "a"
    assert written["metadata"]["resourceVersion"] == "7"
