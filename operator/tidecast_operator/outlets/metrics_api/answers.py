"""
What the server answers: a document, or a refusal as a `metav1.Status`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
_REASONS: Mapping[HTTPStatus, str] = {
    HTTPStatus.BAD_REQUEST: "BadRequest",
    HTTPStatus.UNAUTHORIZED: "Unauthorized",
    HTTPStatus.NOT_FOUND: "NotFound",
    HTTPStatus.METHOD_NOT_ALLOWED: "MethodNotAllowed",
    HTTPStatus.NOT_ACCEPTABLE: "NotAcceptable",
    HTTPStatus.SERVICE_UNAVAILABLE: "ServiceUnavailable",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """
    One answer, ready to be sent.

    Attributes:
        body: Its bytes.
        code: The HTTP status.
        content_type: Of the body.
        headers: More headers.
    """

    body: bytes
    code: HTTPStatus = HTTPStatus.OK
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """
    A request that is not answered with what it asks for.

    Attributes:
        code: The HTTP status.
        headers: More headers for the answer.
    """

    def __init__(self, code: HTTPStatus, text: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.headers = headers or {}

    def answer(self) -> Answer:
        """As a `metav1.Status`."""
        status = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": str(self),
            "reason": _REASONS[self.code],
            "code": int(self.code),
        }
        return Answer(_bytes(status), self.code, headers=self.headers)


def document(body: Mapping[str, Any], content_type: str = JSON) -> Answer:
    """An answer that holds for one moment."""
    return Answer(_bytes(body), content_type=content_type)


def constant(body: Mapping[str, Any], content_type: str = JSON, *, known: str = "") -> Answer:
    """
    An answer that stays the same, with an entity tag; without its body where *known*, the tags that the client has
    already, names it.
    """
    data = _bytes(body)
    tag = f'"{hashlib.sha256(data).hexdigest()[:32].upper()}"'
    headers = {"ETag": tag, "Vary": "Accept", "Cache-Control": "public"}
    tags = [one.strip().removeprefix("W/") for one in known.split(",")]
    if tag in tags or known.strip() == "*":
        return Answer(b"", HTTPStatus.NOT_MODIFIED, content_type, headers)
    return Answer(data, content_type=content_type, headers=headers)


def text(body: str, code: HTTPStatus = HTTPStatus.OK) -> Answer:
    """A line for people and probes."""
    return Answer(f"{body}\n".encode(), code, TEXT)


def _bytes(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()
