"""
Which document a path stands for. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib import metadata
from typing import Any

from tidecast_operator.hints.board import Board
from tidecast_operator.outlets.metrics_api import custom, discovery, external, openapi
from tidecast_operator.outlets.metrics_api.accepting import Taken, parse, takes_json, takes_text
from tidecast_operator.outlets.metrics_api.answers import Answer, Refused, constant, document, text

_VERSION = metadata.version("tidecast")
_PROBES = ("/healthz", "/livez", "/readyz")


@dataclass(frozen=True, slots=True)
class Asked:
    """
    One request.

    Attributes:
        path: Decoded, without the query.
        query: Decoded.
        method: In upper case.
        accept: The header; empty takes everything.
        known: The header `If-None-Match`.
    """

    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    accept: str = ""
    known: str = ""


def respond(asked: Asked, board: Board, *, now: float, why_not_ready: str = "") -> Answer:
    """
    The answer.

    Args:
        asked: The request.
        board: What autoscalers may be told.
        now: Unix seconds.
        why_not_ready: Why this server does not answer everybody that it should; empty if it does.

    Raises:
        Refused: If there is none.
    """
    taken, path = parse(asked.accept), asked.path.rstrip("/") or "/"
    if asked.method != "GET":
        raise Refused(
            HTTPStatus.METHOD_NOT_ALLOWED, f"{asked.method} is not possible, only GET is", headers={"Allow": "GET"}
        )
    if path in _PROBES:
        return _probed(path, taken, why_not_ready)
    if path == "/apis" and (found := discovery.aggregated(taken)):
        return constant(*found, known=asked.known)
    body = _CONSTANTS.get(path)
    if body is None:
        body = _values(path.split("/")[1:], asked, board, now=now)
        _must_take_json(taken)
        return document(body)
    _must_take_json(taken)
    return constant(body, known=asked.known)


def _probed(path: str, taken: tuple[Taken, ...], why_not_ready: str) -> Answer:
    if not takes_text(taken):
        raise Refused(HTTPStatus.NOT_ACCEPTABLE, "only text/plain is spoken here")
    if path == "/readyz" and why_not_ready:
        return text(why_not_ready, HTTPStatus.SERVICE_UNAVAILABLE)
    return text("ok")


def _must_take_json(taken: tuple[Taken, ...]) -> None:
    if not takes_json(taken):
        raise Refused(HTTPStatus.NOT_ACCEPTABLE, "only application/json is spoken here")


def _values(parts: list[str], asked: Asked, board: Board, *, now: float) -> dict[str, Any]:
    selector = asked.query.get("labelSelector", "")
    match parts:
        case ["apis", external.GROUP, external.VERSION, "namespaces", namespace, name]:
            return external.values(board, namespace, name, selector, now=now)
        case ["apis", custom.GROUP, custom.VERSION, "namespaces", namespace, custom.RESOURCE, forecast, name]:
            metric_selector = asked.query.get("metricLabelSelector", "")
            wanted = custom.Wanted(namespace, forecast, name, selector, metric_selector)
            return custom.values(board, wanted, now=now)
        case ["apis", custom.GROUP, custom.VERSION, "namespaces", _, other, _, _]:
            raise Refused(HTTPStatus.NOT_FOUND, f"metrics are those of {custom.RESOURCE}, and not of {other}")
        case ["apis", (external.GROUP | custom.GROUP) as group, version, *_]:
            served = discovery.GROUPS[group].version
            if version != served:
                raise Refused(HTTPStatus.NOT_FOUND, f"version {version} of {group} is not served; {served} is")
            raise Refused(HTTPStatus.NOT_FOUND, f"all metrics of {group} are in a namespace: {_HOW[group]}")
        case _:
            raise Refused(HTTPStatus.NOT_FOUND, f"nothing is served at {asked.path}")


_HOW: Mapping[str, str] = {
    external.GROUP: "namespaces/NAMESPACE/METRIC?labelSelector=forecast=NAME",
    custom.GROUP: f"namespaces/NAMESPACE/{custom.RESOURCE}/NAME/METRIC",
}
_CONSTANTS: Mapping[str, dict[str, Any]] = {
    "/apis": discovery.groups(),
    "/openapi/v2": openapi.swagger(_VERSION),
    "/openapi/v3": openapi.index(),
    "/version": {"major": _VERSION.split(".")[0], "minor": _VERSION.split(".")[1], "gitVersion": f"v{_VERSION}"},
    **{f"/apis/{group.name}": discovery.group(group) for group in discovery.GROUPS.values()},
    **{f"/apis/{group.api_version}": discovery.resources(group) for group in discovery.GROUPS.values()},
    **{f"/openapi/v3/{openapi.path(group)}": openapi.description(_VERSION) for group in discovery.GROUPS.values()},
}
