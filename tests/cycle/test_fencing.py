import json
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from kubernetes import client

from tidecast_operator.autoscalers import Autoscaler, Autoscalers
from tidecast_operator.cluster import Cluster, StoredCaBundle, StoredSecret
from tidecast_operator.errors import TemporarilyUnavailable
from tidecast_operator.fencing import WRITE_SECONDS, Fence, LeadershipLost, fence_in
from tidecast_operator.forecasters import Forecasters


class Server:
    """An API server that notes what reached it whole, and answers when it is let."""

    def __init__(self):
        self.requests = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.requests.append((self.command, self.path, body))
                outer.may_answer.wait(10)
                answer = json.dumps({"metadata": {}, "involvedObject": {}, "items": []}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _answer  # noqa: N815 - as they are called

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        self.may_answer.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server():
    started = Server()
    yield started
    started.stop()


@pytest.fixture
def time():
    return [0.0]


@pytest.fixture
def fence(time):
    return Fence(clock=lambda: time[0])


def configuration_of(server):
    made = client.Configuration()
    made.host = server.url
    return made


def served_by(door):
    """It has asked already which version of the API it is served in."""

    def opened(*arguments, **more):
        made = door(*arguments, **more)
        made._version = "v2"
        return made

    return opened


@pytest.fixture
def api(server, fence):
    made = client.ApiClient(configuration_of(server))
    fence_in(made, fence)
    yield made
    made.close()


@pytest.fixture
def core(api):
    return client.CoreV1Api(api)


def write(core):
    core.patch_namespaced_config_map("a", "shop", {"data": {"a": "b"}}, _request_timeout=20)


def test_a_write_passes_while_the_fence_is_open(core, fence, server):
    fence.open_until(10)

    write(core)

    assert [(method, json.loads(body)) for method, _, body in server.requests] == [("PATCH", {"data": {"a": "b"}})]


@pytest.mark.parametrize(
    "call",
    [
        write,
        lambda core: core.create_namespaced_config_map("shop", {"metadata": {"name": "a"}}),
        lambda core: core.replace_namespaced_config_map("a", "shop", {"metadata": {"name": "a"}}),
        lambda core: core.delete_namespaced_config_map("a", "shop"),
    ],
    ids=["patch", "create", "replace", "delete"],
)
def test_no_write_leaves_while_the_fence_is_shut(call, core, server):
    with pytest.raises(LeadershipLost):
        call(core)

    assert not server.requests


CLAIM = {"annotations": {}, "labels": {}}
FOUND = Autoscaler("shop", "a", "1", "1", "apps", "Deployment", "a", 2, 9, {})
SECRET = StoredSecret("shop", "a", "Opaque", {}, {}, {"metadata": {}})


@pytest.mark.parametrize(
    ("door", "write_late"),
    [
        (Cluster, lambda door: door.create_forecast({"metadata": {"namespace": "shop", "name": "a"}})),
        (Cluster, lambda door: door.delete_forecast("shop", "a", uid="1")),
        (Cluster, lambda door: door.patch_forecast_status("shop", "a", {})),
        (Cluster, lambda door: door.patch_forecaster_status("default", {})),
        (Cluster, lambda door: door.create_event("shop", {"metadata": {}, "involvedObject": {}})),
        (Cluster, lambda door: door.update_secret(SECRET)),
        (Cluster, lambda door: door.apply_ca_bundle(StoredCaBundle("v1.a", b"", "1"))),
        (Cluster, lambda door: door.apply_ca_bundle(StoredCaBundle("v1.a", b"", "1", may_be_applied=False))),
        (Forecasters, lambda door: door.apply({})),
        (Forecasters, lambda door: door.delete("1")),
        (served_by(Autoscalers), lambda door: door.apply(FOUND, 9, **CLAIM)),
        (served_by(Autoscalers), lambda door: door.release(FOUND, **CLAIM)),
    ],
)
def test_what_is_written_after_the_lead_was_lost_never_leaves(door, write_late, server, fence):
    opened = door(configuration_of(server), fence=fence)
    fence.open_until(10)
    fence.shut()

    with pytest.raises(TemporarilyUnavailable):
        write_late(opened)

    assert not server.requests
    fence.open_until(10)
    with suppress(ValueError, KeyError):  # what this server answers is no such object
        write_late(opened)
    assert len(server.requests) == 1  # so it was the fence that kept it
    opened.close()


def test_what_only_reads_passes_a_fence_that_is_shut(core, server):
    core.list_namespaced_config_map("shop")

    assert [method for method, _, _ in server.requests] == ["GET"]


def test_a_fence_shuts_by_itself_when_its_time_has_come(core, fence, time, server):
    fence.open_until(10)
    time[0] = 10

    with pytest.raises(LeadershipLost):
        write(core)

    assert not server.requests


def test_a_process_that_stood_still_before_its_bytes_left_sends_none(core, fence, time, server, monkeypatch):
    """It was decided to write, and a connection was found; then another replica's term began."""
    fence.open_until(10)
    enter = fence.enter

    def enter_and_sleep():
        enter()
        time[0] = 40

    monkeypatch.setattr(fence, "enter", enter_and_sleep)
    with pytest.raises(LeadershipLost):
        write(core)

    assert not server.requests
    assert fence.wait_until_clear(0)


def test_a_process_that_stood_still_between_head_and_body_does_not_send_the_body(core, fence, time, server):
    fence.open_until(10)
    checks = []
    check = fence.check

    def check_and_sleep():
        check()
        checks.append(time[0])
        time[0] = 40 if len(checks) == 2 else time[0]  # entered, and sent the head

    fence.check = check_and_sleep
    with pytest.raises(LeadershipLost):
        write(core)

    assert len(checks) == 2
    assert not [body for _, _, body in server.requests if body]


def test_the_api_server_is_told_when_to_give_a_write_up(core, fence, server):
    fence.open_until(10)

    core.patch_namespaced_config_map("a", "shop", {"data": {}}, field_manager="tidecast")
    write(core)
    core.list_namespaced_config_map("shop")

    with_others, alone, reading = (path.partition("?")[2].split("&") for _, path, _ in server.requests)
    assert with_others == ["fieldManager=tidecast", f"timeout={WRITE_SECONDS}s"]
    assert alone == [f"timeout={WRITE_SECONDS}s"]
    assert reading == [""]


def test_a_write_is_under_way_until_it_is_answered(core, fence, server):
    fence.open_until(10)
    server.may_answer.clear()
    writing = threading.Thread(target=write, args=(core,))
    writing.start()
    while not server.requests:
        pass

    assert not fence.wait_until_clear(0.05)
    server.may_answer.set()
    assert fence.wait_until_clear(5)
    writing.join()


def test_a_write_that_nobody_answers_is_given_up_before_another_replica_can_lead(core, fence, server):
    fence.open_until(float("inf"))
    server.may_answer.clear()

    with pytest.raises(Exception, match="timed out"):
        core.patch_namespaced_config_map("a", "shop", {"data": {}}, _request_timeout=(5, 1000))

    assert fence.wait_until_clear(0)


def test_a_write_that_never_left_is_not_under_way(core, fence, server):
    fence.open_until(10)
    server.stop()

    with pytest.raises(Exception, match="refused"):
        write(core)

    assert fence.wait_until_clear(0)


def test_a_fence_that_ended_opens_no_more(time):
    fence = Fence(clock=lambda: time[0])
    fence.open_until(10)

    fence.end()
    fence.open_until(20)

    assert not fence.is_open
