from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from chart.permissions import MAXIMAL, OF_EACH_NAMESPACE, OF_THE_CLUSTER, OF_THE_RELEASE, told
from chart.rendering import NAMESPACE
from chart_real.forbidden import LISTED, NEVER, NEVER_IN_SOME_NAMESPACES
from chart_real.releasing import Release
from chart_real.reviewing import Authorizer, Deed
from tidecast_simulator.testbed import binaries

pytestmark = [pytest.mark.real(*binaries.ALL), pytest.mark.timeout(300)]

OPERATOR, PREDICTOR = (f"system:serviceaccount:{NAMESPACE}:tidecast-{name}" for name in ("operator", "predictor"))


@dataclass(frozen=True)
class Mode:
    """Values with which all is granted that the page tells of, and where; and what must be refused beside the rest."""

    values: Mapping[str, Any]
    granted: Mapping[str, str]
    never: Sequence[Deed] = ()


MODES = {
    "the cluster": Mode(MAXIMAL, {OF_THE_CLUSTER: "", OF_THE_RELEASE: NAMESPACE}),
    "some namespaces": Mode(
        {"namespaces": [LISTED], "hpaFloors": {"enabled": True}, "rbac": {"secretNames": ["some"]}},
        {OF_EACH_NAMESPACE: LISTED, OF_THE_RELEASE: NAMESPACE},
        NEVER_IN_SOME_NAMESPACES,
    ),
}


@pytest.fixture(scope="module", params=MODES)
def mode(request, plane, shop):  # noqa: ARG001 - its namespaces are there
    """A release without pods."""
    mode = MODES[request.param]
    release = Release(plane, waits=False, applies=False)  # 1.20 fails at applying an APIService
    release.install(mode.values)
    yield mode
    release.discard()


@pytest.fixture(scope="module")
def permitted(plane):
    """Tells which ones of some deeds an account may do."""
    authorizer = Authorizer(plane)
    yield lambda account, deeds: sorted(str(deed) for deed in deeds if authorizer.may(account, deed))
    authorizer.close()


def granted(heading, namespace):
    """What the page says may be done, in a namespace where it speaks of one."""
    for group, resource, name, verbs in told(heading):
        whole, _, subresource = resource.partition("/")
        kind = whole if group == "core" else f"{whole}.{group}"
        for verb in verbs:
            where = f"{kind}/{subresource}" if subresource else kind
            yield Deed(verb, where, namespace, "" if name == "*" else name)


def test_all_that_the_page_tells_of_is_permitted_to_the_operator_alone(mode, permitted):
    deeds = [deed for heading, namespace in mode.granted.items() for deed in granted(heading, namespace)]

    assert len(deeds) > 20
    assert permitted(OPERATOR, deeds) == sorted(map(str, deeds))
    assert permitted(PREDICTOR, deeds) == []


def test_what_neither_has_any_business_with_is_refused(mode, permitted):
    assert permitted(OPERATOR, [*NEVER, *mode.never]) == []
    assert permitted(PREDICTOR, [*NEVER, *mode.never]) == []
