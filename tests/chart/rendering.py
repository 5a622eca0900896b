"""
The chart as Helm renders it: objects for values and a version of Kubernetes, each made once in a run.
"""

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import helm_python
import yaml
from helm_python import Chart, _native

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "tidecast"
NAMESPACE = "tidecast-system"
RELEASE = "tidecast"
NEWEST = "1.36"

Object = Mapping[str, Any]


def cases() -> list[str]:
    """What the files of values in ci are called, without the ending that all of them have."""
    return sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*-values.yaml"))


def values_of(case: str) -> dict[str, Any]:
    """What such a file says; a copy of one's own."""
    return copy.deepcopy(_file(case))


@cache
def rendered(case: str, version: str = NEWEST) -> tuple[Object, ...]:
    """All objects for a file of values, hooks included."""
    return tuple(objects(_file(case), version=version))


def objects(values: Mapping[str, Any], *, version: str = NEWEST, release: str = RELEASE) -> list[Object]:
    """
    All objects for values, hooks included.

    Raises:
        helm_python.HelmError: If Helm refuses the values, or a template does.
    """
    return [
        one for name, text in texts(values, version=version, release=release).items() for one in _parsed(name, text)
    ]


def texts(values: Mapping[str, Any], *, version: str = NEWEST, release: str = RELEASE) -> Mapping[str, str]:
    """What each template of the chart becomes, by its path below `templates`."""
    # The library takes a version of Kubernetes, its method for Python has no argument for it.
    options = {"name": release, "namespace": NAMESPACE, "kube_version": f"v{version}.0"}
    answer = _native.call_string("helm_render", _chart()._raw(), json.dumps(values), json.dumps(options))
    return {name.partition("/templates/")[2]: text for name, text in json.loads(answer).items()}


def refusal(values: Mapping[str, Any], *, release: str = RELEASE) -> str:
    """What Helm says to values that it refuses, or a template does."""
    try:
        objects(values, release=release)
    except helm_python.HelmError as error:
        return str(error)
    raise AssertionError(f"{values} are accepted")


def lint(values: Mapping[str, Any]) -> list[Any]:
    """What Helm has to say about the chart with these values, warnings and hints included."""
    report = helm_python.lint(CHART, dict(values), strict=True, namespace=NAMESPACE)
    return [*report["messages"], *report["errors"]]


def of_kind(found: Sequence[Object], *kinds: str) -> list[Object]:
    """Those of some kinds."""
    return [one for one in found if one["kind"] in kinds]


def named(found: Sequence[Object], kind: str, name: str, namespace: str | None = None) -> Object:
    """The only one of that kind and name, and of that namespace where it matters."""
    (only,) = [
        one
        for one in of_kind(found, kind)
        if one["metadata"]["name"] == name and namespace in (None, one["metadata"].get("namespace"))
    ]
    return only


def pods(found: Sequence[Object]) -> dict[str, Object]:
    """The pods that come of all objects, as metadata and spec, by the name of what makes them."""
    templates = {
        one["metadata"]["name"]: one["spec"]["template"] for one in of_kind(found, "Deployment", "Job", "StatefulSet")
    }
    return templates | {one["metadata"]["name"]: one for one in of_kind(found, "Pod")}


def containers(found: Sequence[Object]) -> dict[str, Object]:
    """All containers, by pod and name."""
    return {
        f"{name}/{one['name']}": one
        for name, pod in pods(found).items()
        for one in (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"])
    }


def container(found: Sequence[Object], name: str) -> Object:
    """One container, as in `tidecast-operator/operator`."""
    return containers(found)[name]


def selects(labels: Mapping[str, str] | None, pod: Object) -> bool:
    """Whether a selector by equality finds a pod."""
    return bool(labels) and labels.items() <= pod["metadata"]["labels"].items()


class _Strict(yaml.CSafeLoader):
    """YAML in which no key stands twice: of two, Kubernetes would drop one without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        if twice := {key for key in keys if keys.count(key) > 1}:
            raise AssertionError(f"{', '.join(map(str, twice))} stands twice{node.start_mark}")
        return super().construct_mapping(node, deep=deep)


def _parsed(name: str, text: str) -> Iterator[Object]:
    if name.endswith(".yaml"):
        yield from (one for one in yaml.load_all(text, Loader=_Strict) if one)


@cache
def _chart() -> Chart:
    return Chart.load(CHART)


@cache
def _file(case: str) -> dict[str, Any]:
    return yaml.safe_load((CHART / "ci" / f"{case}-values.yaml").read_text()) or {}
