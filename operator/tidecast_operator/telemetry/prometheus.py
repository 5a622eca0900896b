"""
The transport to anything that speaks Prometheus' query API, through prometheus-api-client.

Knows no metric. Every way in which a question can fail becomes an error that names the address, what went wrong and
what to do; none names a secret.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit, urlunsplit

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from urllib3.util.retry import Retry

from tidecast_operator.errors import Misconfigured, PrometheusUnavailable, QueryTooLarge
from tidecast_operator.telemetry.replies import NotPrometheus, Reply, ReplySession
from tidecast_operator.telemetry.series import Grid, Samples, parse

_NOT_PROCESSED = 422
_OVERLOADED = frozenset({429, 502, 503, 504})
_URL_FIELD = "spec.prometheus.url"
_REMEDIES = {
    400: "this Prometheus may be too old for the query, or no Prometheus",
    401: "check the credentials in spec.prometheus.authSecretRef",
    403: "check the credentials in spec.prometheus.authSecretRef and what they are allowed to read",
    404: f"check the path of {_URL_FIELD}",
    422: "if the query is too large, raise Prometheus' --query.max-samples or --query.timeout",
    429: "Prometheus limits how often it is asked; the next cycle tries again",
    502: "the proxy before Prometheus cannot reach it; the next cycle tries again",
    503: "Prometheus is starting or overloaded; the next cycle tries again",
    504: "Prometheus is overloaded; the next cycle tries again",
}


@dataclass(frozen=True, slots=True)
class Connection:
    """
    How to reach Prometheus. Secrets stay out of `repr`.

    Attributes:
        url: Of the server, with its path prefix if it has one.
        timeout_seconds: For one try of a request, from connecting to the last byte of the answer.
        headers: Sent along, such as `X-Scope-OrgID`.
        bearer_token: "" for none.
        basic: User and password; None for none.
        ca_file: The certificates to trust; None for the system's.
        attempts: How often a request is tried in all while Prometheus is away or overloaded.
        backoff_seconds: The pause before the second attempt; it doubles with every further one.
    """

    url: str
    timeout_seconds: float = 30.0
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    bearer_token: str = field(default="", repr=False)
    basic: tuple[str, str] | None = field(default=None, repr=False)
    ca_file: Path | None = None
    attempts: int = 3
    backoff_seconds: float = 0.5

    @property
    def address(self) -> str:
        """The URL without the user and the password that it may hold."""
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """
    What Prometheus answered.

    Attributes:
        samples: The points of all series.
        warnings: Why the answer may be wrong or incomplete.
        infos: Hints about the query itself.
    """

    samples: Samples
    warnings: tuple[str, ...]
    infos: tuple[str, ...]

    @property
    def is_partial(self) -> bool:
        """Whether a warning is about the data, so that series may be missing."""
        # Prometheus 3 marks what it has to say about a query; all else comes from storage: an answer with holes.
        return any(not warning.startswith("PromQL") for warning in self.warnings)


class Prometheus:
    """
    A pool of connections to one Prometheus; safe to use from several threads. `close` it.
    """

    def __init__(self, connection: Connection, *, sleep: Callable[[float], None] = time.sleep) -> None:
        if urlsplit(connection.url).scheme not in ("http", "https") or not urlsplit(connection.url).netloc:
            raise Misconfigured(_URL_FIELD, f"{connection.address!r} is no address", "write http://host:port")
        self._connection = connection
        self._sleep = sleep
        self._session = _session(connection)
        self._client = PrometheusConnect(
            url=connection.url.rstrip("/"),
            session=self._session,
            method="POST",
            timeout=connection.timeout_seconds,
            # The attempts are counted here, where an answer that breaks off counts as well.
            retry=Retry(total=0, read=False),
        )

    @property
    def address(self) -> str:
        """Where it is, for messages."""
        return self._connection.address

    def query(self, promql: str, *, at: float | None = None) -> Answer:
        """
        The answer at one moment, unix seconds; None for Prometheus' own now.

        Raises:
            PrometheusUnavailable: If there is no answer, or none that can be used.
        """
        params = self._params() | ({} if at is None else {"time": str(at)})
        return self._ask(lambda: self._client.custom_query(promql, params=params))

    def query_range(self, promql: str, grid: Grid) -> Answer:
        """
        The answer at every step of *grid*.

        Raises:
            PrometheusUnavailable: If there is no answer, or none that can be used.
        """
        start, end = (datetime.fromtimestamp(each, UTC) for each in (grid.start_time, grid.end_time))
        step = str(grid.step_seconds)
        return self._ask(lambda: self._client.custom_query_range(promql, start, end, step, params=self._params()))

    def close(self) -> None:
        """Closes the connections."""
        self._session.close()

    def _params(self) -> dict[str, str]:
        # Nobody waits longer than that for the answer, so Prometheus need not go on.
        return {"timeout": f"{self._connection.timeout_seconds:g}s"}

    def _ask(self, request: Callable[[], Any]) -> Answer:
        attempts = max(1, self._connection.attempts)
        for attempt in range(1, attempts + 1):
            try:
                return self._answer(request)
            except _TryAgain as again:
                if attempt == attempts:
                    raise PrometheusUnavailable(f"{again} (tried {attempts} times)") from again.__cause__
                self._sleep(self._connection.backoff_seconds * 2 ** (attempt - 1))
        raise AssertionError("the last attempt returns or raises")

    def _answer(self, request: Callable[[], Any]) -> Answer:
        try:
            samples = parse(request())
        except PrometheusApiClientException as error:
            self._refused(self._session.latest, error)
        except (requests.RequestException, NotPrometheus, KeyError, TypeError, ValueError) as error:
            self._unanswered(error)
        payload = self._session.latest.payload
        return Answer(samples, tuple(payload.get("warnings") or ()), tuple(payload.get("infos") or ()))

    def _refused(self, reply: Reply, error: Exception) -> NoReturn:
        status = reply.status_code
        remedy = _REMEDIES.get(status, f"check that {_URL_FIELD} is a Prometheus")
        if 300 <= status < 400:
            remedy = f"write the address it redirects to into {_URL_FIELD}"
        kind = (
            _TryAgain if status in _OVERLOADED else QueryTooLarge if status == _NOT_PROCESSED else PrometheusUnavailable
        )
        raise kind(f"Prometheus at {self.address} answered {status}: {reply.reason_given}; {remedy}") from error

    def _unanswered(self, error: Exception) -> NoReturn:
        where = f"Prometheus at {self.address}"
        seconds = f"{self._connection.timeout_seconds:g} s"
        # The errors' own texts hold the request, which may hold credentials.
        if isinstance(error, requests.Timeout):
            raise PrometheusUnavailable(
                f"{where} did not answer within {seconds}; raise spec.prometheus.timeoutSeconds or give it more CPU"
            ) from None
        if isinstance(error, requests.exceptions.SSLError):
            raise PrometheusUnavailable(
                f"{where} shows a certificate that is not trusted; set spec.prometheus.caBundle"
            ) from None
        if isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
            raise _TryAgain(
                f"{where} cannot be reached ({_reason(error)}); check {_URL_FIELD} and that the operator may connect"
            ) from None
        raise PrometheusUnavailable(
            f"{where} answered what no Prometheus answers; check {_URL_FIELD}, and what stands before it, such as a "
            "login page"
        ) from None


class _TryAgain(PrometheusUnavailable):
    """
    Worth another attempt at once.
    """


class _Bearer(requests.auth.AuthBase):
    """
    A token that a redirect does not carry to another host.
    """

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _session(connection: Connection) -> ReplySession:
    session = ReplySession()
    session.headers.update(connection.headers)
    if connection.bearer_token:
        session.auth = _Bearer(connection.bearer_token)
    elif connection.basic is not None:
        session.auth = connection.basic
    if connection.ca_file is not None:
        session.verify = str(connection.ca_file)
    return session


def _reason(error: BaseException) -> str:
    """The operating system's word for it, such as «Connection refused»."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror
        seen = seen.__cause__ or seen.__context__
    return type(error).__name__
