"""
What the Kubernetes API answers, as what the caller can do next.
"""

import re
from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar

import urllib3
from kubernetes.client.exceptions import ApiException

from tidecast_operator.errors import ApiServerUnavailable, Misconfigured, TidecastError

_Result = TypeVar("_Result")
_NO_PERMISSION = re.compile(r"User .* cannot \w+ resource")


class Outcome(Enum):
    """What became of a write."""

    DONE = "Done"
    GONE = "Gone"
    """The object, or its namespace, is not there any more."""
    CONFLICT = "Conflict"
    """Somebody else was first: it exists already, or changed since it was read."""


class WriteRefused(TidecastError):
    """
    The API server understood a write and refuses it for good, as for a status that its schema does not allow.
    """


def found(read: Callable[[], _Result]) -> _Result | None:
    """
    What *read* brings; None for what is not there.

    Raises:
        ApiServerUnavailable: If the API server does not answer, or asks to be left alone.
        Misconfigured: If the operator may not.
    """
    try:
        return _translated(read)
    except _NotFound:
        return None


def written(write: Callable[[], Any]) -> Outcome:
    """
    What became of *write*; raises as `found` does, and `WriteRefused` for what is not valid.
    """
    try:
        answer = _translated(write)
    except _NotFound:
        return Outcome.GONE
    except _Conflict:
        return Outcome.CONFLICT
    if isinstance(answer, urllib3.BaseHTTPResponse):
        answer.drain_conn()  # what stays unread would be taken for the answer to the next request
    return Outcome.DONE


class _NotFound(Exception):
    pass


class _Conflict(Exception):
    pass


def _translated(call: Callable[[], _Result]) -> _Result:
    try:
        return call()
    except ApiException as error:
        raise _meaning(error) from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise ApiServerUnavailable(f"the API server does not answer: {_short(error)}") from error


def _meaning(error: ApiException) -> Exception:
    status, text = error.status or 0, f"{error.status} {error.reason}"
    if status == 404:
        return _NotFound(text)
    if status == 409:
        return _Conflict(text)
    if status == 403 and "NamespaceTerminating" in _body(error):
        return _NotFound(text)
    # What a quota or an admission webhook forbids is that one object, not all of them.
    if status == 403 and _NO_PERMISSION.search(_body(error)):
        return Misconfigured(
            "permissions",
            f"the API server answers {_message(error)}",
            "grant the operator what manifests/rbac.yaml says",
        )
    if status in (400, 403, 405, 413, 415, 422):
        return WriteRefused(f"the API server refuses: {text}: {_message(error)}")
    return ApiServerUnavailable(f"the API server answers {text}")


def _message(error: ApiException) -> str:
    return " ".join(_body(error).split())[:400]


def _body(error: ApiException) -> str:
    return error.body if isinstance(error.body, str) else (error.body or b"").decode(errors="replace")


def _short(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return " ".join(str(reason or error).split())[:200]
