"""
What prometheus-api-client throws away: the warnings of an answer, and the time that is left to read it.

The client lets us bring the session; this one keeps each thread's latest reply, sends questions in the body, and
gives up on an answer that trickles.
"""

import json
import threading
import time
from functools import cached_property
from typing import Any

import requests

from tidecast_operator.telemetry.decoding import decode

_CHUNK_BYTES = 1 << 14
_EXCERPT = 300


class NotPrometheus(Exception):
    """
    The reply is not in the envelope of Prometheus' API.
    """


class Reply(requests.Response):
    """
    A reply that was read to its end.
    """

    def __init__(self, status_code: int, body: bytes) -> None:
        super().__init__()
        self.status_code = status_code
        self._body = body

    @property
    def content(self) -> bytes:
        """The body."""
        return self._body

    @cached_property
    def payload(self) -> dict[str, Any]:
        """
        The envelope: `data`, and maybe `warnings` and `infos`.

        Raises:
            NotPrometheus: If the body is something else.
        """
        try:
            payload = decode(self._body)
        except (ValueError, KeyError, TypeError) as error:
            raise NotPrometheus from error
        if not isinstance(payload, dict) or payload.get("status") != "success":
            raise NotPrometheus
        return payload

    def json(self, **_: Any) -> Any:
        """The envelope, parsed once."""
        return self.payload

    @property
    def reason_given(self) -> str:
        """The error in the body's words, cut to a line."""
        try:
            text = str(json.loads(self._body)["error"])
        except (ValueError, KeyError, TypeError):
            text = self._body[:_EXCERPT].decode(errors="replace")
        return " ".join(text.split())[:_EXCERPT] or "no reason given"


class ReplySession(requests.Session):
    """
    A session whose replies are read within the time of the request.
    """

    def __init__(self) -> None:
        super().__init__()
        self._local = threading.local()

    @property
    def latest(self) -> Reply:
        """The reply that this thread got last."""
        reply: Reply = self._local.reply
        return reply

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> Reply:
        """
        Sends a request and reads its reply.

        A question goes into the body: in the address, a long one meets the limits of proxies, and their logs. A
        redirect is not followed: it would lose the body.

        Raises:
            requests.Timeout: If the reply is not complete within the timeout.
        """
        if method == "POST":
            kwargs["data"] = kwargs.pop("params", None)
        kwargs |= {"stream": True, "allow_redirects": False}
        deadline = time.monotonic() + float(kwargs["timeout"])
        with super().request(method, url, *args, **kwargs) as response:
            self._local.reply = Reply(response.status_code, _read(response, deadline))
        return self.latest


def _read(response: requests.Response, deadline: float) -> bytes:
    chunks = []
    for chunk in response.iter_content(_CHUNK_BYTES):
        chunks.append(chunk)
        if time.monotonic() > deadline:
            raise requests.Timeout
    return b"".join(chunks)
