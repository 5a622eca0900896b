"""
What the API server serves, and what this operator may do there: asked, not tried.

A door of its own beside `cluster`. Every user may ask these questions of every cluster that has kept its default roles
`system:discovery` and `system:basic-user`; only `availability` needs a permission. Synchronous: call it in a thread.
"""

import logging
from dataclasses import dataclass
from typing import Any

from kubernetes import client

from tidecast_operator.api_answers import WriteRefused, found
from tidecast_operator.errors import ApiServerUnavailable, Misconfigured
from tidecast_operator.published import Condition
from tidecast_operator.resources import GROUP, VERSION

_TIMEOUT_SECONDS = (5, 20)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Permission:
    """
    To do one thing with one kind of object.

    Attributes:
        verb: As in a Role.
        resource: As in a Role: the plural, with the subresource after a slash.
        group: As in a Role; empty for the core group.
    """

    verb: str
    resource: str
    group: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{self.group and '.' + self.group}"


class Access:
    """
    Questions to the API server; safe to use from several threads.

    Every method raises `ApiServerUnavailable` when the API server does not answer.

    Args:
        configuration: From `cluster.load_configuration`.
    """

    def __init__(self, configuration: client.Configuration) -> None:
        # Typed in some of the versions of the library that are supported, and not in others.
        self._client: Any = client.ApiClient(configuration)
        self._custom: Any = client.CustomObjectsApi(self._client)
        self._authorization: Any = client.AuthorizationV1Api(self._client)
        self._registration: Any = client.ApiregistrationV1Api(self._client)
        self._version: Any = client.VersionApi(self._client)

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def version(self) -> str:
        """Of the API server."""
        version = found(lambda: self._version.get_code(_request_timeout=_TIMEOUT_SECONDS))
        if version is None:
            raise ApiServerUnavailable("what answers is no Kubernetes API server: it knows no /version")
        return str(version.git_version)

    def serves(self, *plurals: str) -> bool:
        """Whether all these resources of Tidecast's group are known to the API server."""
        listed = found(lambda: self._custom.get_api_resources(GROUP, VERSION, _request_timeout=_TIMEOUT_SECONDS))
        return listed is not None and {resource.name for resource in listed.resources}.issuperset(plurals)

    def availability(self, api_service: str) -> Condition | None:
        """
        Whether the API server reaches whoever serves an APIService: its condition `Available`; None if that is not there.

        Raises:
            Misconfigured: If the operator may not read it.
        """
        body = found(lambda: self._registration.read_api_service(api_service, _request_timeout=_TIMEOUT_SECONDS))
        if body is None:
            return None
        conditions = (body.status and body.status.conditions) or ()
        for one in conditions:
            if one.type == "Available":
                return Condition(one.type, one.status, one.reason or "", one.message or "")
        return Condition("Available", "Unknown", "NotLookedAt", "the API server has not looked at it yet")

    def may(self, permission: Permission, namespace: str) -> bool:
        """Whether this operator may do that in *namespace*; also true where it may not even ask."""
        resource, _, subresource = permission.resource.partition("/")
        attributes = client.V1ResourceAttributes(
            verb=permission.verb,
            group=permission.group,
            resource=resource,
            subresource=subresource or None,
            namespace=namespace,
        )
        review = client.V1SelfSubjectAccessReview(
            spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes)
        )
        try:
            answer = found(
                lambda: self._authorization.create_self_subject_access_review(review, _request_timeout=_TIMEOUT_SECONDS)
            )
        except (Misconfigured, WriteRefused) as error:
            _log.warning("permissions cannot be looked at, they are taken for granted: %s", error)
            return True
        if answer is None:
            return True
        if not answer.status.allowed and answer.status.evaluation_error:
            # Nobody has refused it: one who decides did not answer.
            raise ApiServerUnavailable(f"whether it may {permission} is not known: {answer.status.evaluation_error}")
        return bool(answer.status.allowed)
