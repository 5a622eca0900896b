"""
The least that the API server and kubectl want to read of an OpenAPI description. Pure.

Nothing is described: no object of these groups can be written, so nobody validates or explains one. The API server
merges the description of version 2 into its own, where an empty one cannot be in the way.
"""

from tidecast_operator.outlets.metrics_api.discovery import GROUPS, Group

_HASH = "0"
"""Of a description that never changes."""


def swagger(version: str) -> dict[str, object]:
    """Version 2, for /openapi/v2."""
    return {"swagger": "2.0", "info": _info(version), "paths": {}, "definitions": {}}


def index() -> dict[str, object]:
    """What is described in version 3, for /openapi/v3."""
    return {"paths": {path(group): {"serverRelativeURL": f"/openapi/v3/{path(group)}?hash={_HASH}"} for group in _ALL}}


def description(version: str) -> dict[str, object]:
    """Version 3 of either group, for /openapi/v3/apis/GROUP/VERSION."""
    return {"openapi": "3.0.0", "info": _info(version), "paths": {}, "components": {"schemas": {}}}


def path(group: Group) -> str:
    """Where a group version is described, below /openapi/v3/."""
    return f"apis/{group.api_version}"


_ALL = tuple(GROUPS.values())


def _info(version: str) -> dict[str, str]:
    return {"title": "Tidecast", "version": version}
