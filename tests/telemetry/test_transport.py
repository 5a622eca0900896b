"""Questions to a Prometheus that answers, refuses, or does neither."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from builders.faults import answers, breaks_off, faulty_server, hangs, trickles
from tidecast_operator.errors import Misconfigured, PrometheusUnavailable
from tidecast_operator.telemetry import prometheus
from tidecast_operator.telemetry.prometheus import Connection, Prometheus
from tidecast_operator.telemetry.series import Grid, parse


def vector(value="7", **extra):
    result = [{"metric": {"job": "x"}, "value": [0, value]}]
    return {"status": "success", "data": {"resultType": "vector", "result": result}, **extra}


class Asking:
    """A Prometheus client of a faulty server that never really waits between attempts."""

    def __init__(self, server, **changes):
        self.waited = []
        valid = {"url": server.url, "timeout_seconds": 5.0}
        self._prometheus = Prometheus(Connection(**(valid | changes)), sleep=self.waited.append)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._prometheus.close()

    def query(self, promql="up", **arguments):
        return self._prometheus.query(promql, **arguments)

    def query_range(self, promql, grid):
        return self._prometheus.query_range(promql, grid)


def failure(*faults, **changes):
    with faulty_server(*faults) as server, Asking(server, **changes) as asking:
        with pytest.raises(PrometheusUnavailable) as caught:
            asking.query()
        return str(caught.value), len(server.requests)


def test_a_question_travels_in_the_body_with_its_time():
    with faulty_server() as server, Asking(server) as asking:
        asking.query("up", at=120)
    path, _, form = server.requests[0]
    assert (path, form) == ("/api/v1/query", {"query": "up", "time": "120", "timeout": "5s"})


def test_a_range_is_asked_for_step_by_step():
    with faulty_server() as server, Asking(server) as asking:
        asking.query_range("up", Grid(120, 300, 60))
    path, _, form = server.requests[0]
    expected = {"query": "up", "start": "120", "end": "300", "step": "60", "timeout": "5s"}
    assert (path, form) == ("/api/v1/query_range", expected)


def test_a_path_before_the_api_is_kept():
    with faulty_server() as server, Asking(server, url=server.url + "/prometheus/") as asking:
        asking.query()
    assert server.requests[0][0] == "/prometheus/api/v1/query"


@pytest.mark.parametrize(
    ("changes", "header", "value"),
    [
        pytest.param({"bearer_token": "s3cret"}, "Authorization", "Bearer s3cret", id="bearer token"),
        pytest.param({"basic": ("me", "s3cret")}, "Authorization", "Basic bWU6czNjcmV0", id="user and password"),
        pytest.param({"headers": {"X-Scope-OrgID": "shop"}}, "X-Scope-OrgID", "shop", id="a header"),
    ],
)
def test_credentials_and_headers_are_sent(changes, header, value):
    with faulty_server() as server, Asking(server, **changes) as asking:
        asking.query()
    assert server.requests[0][1][header] == value


def test_secrets_are_not_shown():
    secrets = {"bearer_token": "s3cret", "basic": ("me", "s3cret"), "headers": {"Key": "s3cret"}}
    connection = Connection("http://x", **secrets)
    assert "s3cret" not in repr(connection)


def test_warnings_and_infos_are_kept():
    with faulty_server() as server, Asking(server) as asking:
        server.answer = vector(warnings=["store-2 did not answer"], infos=["PromQL info: no counter"])
        answer = asking.query()
    assert (answer.warnings, answer.infos) == (("store-2 did not answer",), ("PromQL info: no counter",))
    assert answer.is_partial


def test_a_warning_about_the_query_does_not_make_the_answer_partial():
    with faulty_server() as server, Asking(server) as asking:
        server.answer = vector(warnings=["PromQL warning: mix of classic and native histograms"])
        assert not asking.query().is_partial


def test_answers_of_two_threads_are_not_mixed_up(monkeypatch):
    both_answered = threading.Barrier(2, timeout=10)

    def parse_together(result):
        both_answered.wait()
        return parse(result)

    monkeypatch.setattr(prometheus, "parse", parse_together)
    replies = [answers(200, vector(text, warnings=[text])) for text in ("1", "2")]
    with faulty_server(*replies) as server, Asking(server) as asking, ThreadPoolExecutor(2) as pool:
        seen = list(pool.map(lambda _: asking.query(), range(2)))
    assert {(answer.warnings, answer.samples.values[0]) for answer in seen} == {(("1",), 1.0), (("2",), 2.0)}


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_an_overloaded_prometheus_is_asked_again_a_little_later(status):
    with faulty_server(answers(status), answers(status)) as server, Asking(server) as asking:
        server.answer = vector()
        assert asking.query().samples.values.tolist() == [7.0]
    assert asking.waited == [0.5, 1.0]


def test_an_answer_that_breaks_off_is_asked_for_again():
    with faulty_server(breaks_off) as server, Asking(server) as asking:
        server.answer = vector()
        assert asking.query().samples.values.tolist() == [7.0]


def test_it_gives_up_after_the_attempts_and_says_so():
    text, asked = failure(*[answers(503, b"starting up")] * 9, attempts=2)
    assert "answered 503: starting up" in text
    assert "(tried 2 times)" in text
    assert asked == 2


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        pytest.param(401, "spec.prometheus.authSecretRef", id="not authenticated"),
        pytest.param(403, "spec.prometheus.authSecretRef", id="not allowed"),
        pytest.param(404, "path of spec.prometheus.url", id="another path"),
        pytest.param(422, "--query.max-samples", id="too large a query"),
        pytest.param(418, "is a Prometheus", id="something else"),
    ],
)
def test_a_refusal_is_not_repeated_and_names_the_remedy(status, remedy):
    text, asked = failure(answers(status, {"status": "error", "error": "because"}))
    assert f"answered {status}: because" in text
    assert remedy in text
    assert asked == 1


def test_a_redirect_is_not_followed():
    text, asked = failure(answers(302, Location="https://elsewhere/"))
    assert "write the address it redirects to" in text
    assert asked == 1


@pytest.mark.parametrize("slow", [hangs, trickles])
def test_an_answer_that_takes_too_long_is_given_up(slow):
    text, asked = failure(slow, timeout_seconds=0.2)
    assert "did not answer within 0.2 s; raise spec.prometheus.timeoutSeconds" in text
    assert asked == 1


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"<html>please log in</html>", id="a login page"),
        pytest.param({"status": "success"}, id="an envelope without data"),
        pytest.param([1], id="another envelope"),
        pytest.param({"status": "success", "data": {"result": [{"metric": {}, "value": [0, "x"]}]}}, id="no number"),
    ],
)
def test_what_no_prometheus_answers_is_told_apart(body):
    assert "answered what no Prometheus answers" in failure(answers(200, body))[0]


def test_a_refused_connection_names_the_address_without_its_password():
    with faulty_server() as server:
        url = server.url.replace("http://", "http://me:s3cret@")
    client = Prometheus(Connection(url, attempts=2), sleep=lambda _: None)
    with pytest.raises(PrometheusUnavailable, match=r"cannot be reached \(Connection refused\)") as caught:
        client.query("up")
    assert server.url in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "prometheus:9090", "ftp://prometheus", "http://"])
def test_what_is_no_address_is_refused_before_anything_is_asked(url):
    with pytest.raises(Misconfigured, match=r"spec.prometheus.url"):
        Prometheus(Connection(url))
