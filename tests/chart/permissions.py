"""
Permissions, as roles grant them and as the page about them tells: group, resource, name or *, verbs.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from builders.documents import rows
from chart.rendering import ROOT

PAGE = (ROOT / "docs" / "permissions.md").read_text()
SECRET = "some"  # noqa: S105 (a name)
"""The Secret that stands for those of `rbac.secretNames`."""
MAXIMAL: Mapping[str, Any] = {
    "rbac": {"secretNames": [SECRET]},
    "hpaFloors": {"enabled": True},
    "metricsApi": {"enabled": True, "external": {"enabled": True}, "custom": {"enabled": True}},
}
"""Values with which everything is granted that the page tells of for the whole cluster."""
OF_THE_CLUSTER = "ClusterRole `tidecast-operator`"
OF_THE_RELEASE = "Role `tidecast-operator` in the namespace of the release"
OF_EACH_NAMESPACE = "Role `tidecast-watched` in each namespace"

Permission = tuple[str, str, str, tuple[str, ...]]


def grants(role: Mapping[str, Any]) -> Iterator[Permission]:
    """Each permission of a role."""
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for name in rule.get("resourceNames", ["*"]):
                    yield group or "core", resource, name, tuple(sorted(rule["verbs"]))


def told(heading: str) -> Iterator[Permission]:
    """The permissions that the page tells of below a heading, each with a reason."""
    (section,) = [part for part in re.split(r"^##+ ", PAGE, flags=re.MULTILINE) if part.startswith(heading)]
    for group, resources, names, verbs, _, why in rows(section, columns=6):
        assert why
        for resource in re.findall(r"[a-z/]+", resources):
            name = {"all": "*"}.get(names, SECRET if "secretNames" in names else names)
            yield group, resource, name, tuple(sorted(verbs.split(", ")))
