"""
What an account may do, as the API server's own authorizer says.
"""

from dataclasses import dataclass

import requests

from tidecast_simulator.testbed.control_plane import ControlPlane


@dataclass(frozen=True, slots=True)
class Deed:
    """
    Something that one may be permitted to do.

    Attributes:
        verb: As in RBAC.
        resource: As in `deployments.apps/scale`: plural, group, subresource.
        namespace: Where; empty for what belongs to no namespace, or for all of them.
        name: Of one object; empty for all.
    """

    verb: str
    resource: str
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.verb, self.resource, self.name, self.namespace) if part)


class Authorizer:
    """
    Asks the API server; close it.

    Args:
        plane: A running one.
    """

    def __init__(self, plane: ControlPlane) -> None:
        self._url = f"{plane.url}/apis/authorization.k8s.io/v1/subjectaccessreviews"
        self._authority = str(plane.ca_file)
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {plane.token}"

    def close(self) -> None:
        """Closes the connections."""
        self._session.close()

    def may(self, account: str, deed: Deed) -> bool:
        """Whether an account, as in system:serviceaccount:somewhere:somebody, may do that."""
        whole, _, subresource = deed.resource.partition("/")
        resource, _, group = whole.partition(".")
        attributes = {"verb": deed.verb, "group": group, "resource": resource, "subresource": subresource}
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{account.split(':')[2]}", "system:authenticated"]
        spec = {
            "user": account,
            "groups": groups,
            "resourceAttributes": attributes | {"namespace": deed.namespace, "name": deed.name},
        }
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        answer = self._session.post(self._url, json=body, verify=self._authority, timeout=30)
        answer.raise_for_status()
        return bool(answer.json()["status"]["allowed"])
