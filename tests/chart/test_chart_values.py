import re

import helm_python
import pytest
import yaml

from chart.rendering import CHART, ROOT, objects

VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = yaml.safe_load((CHART / "values.schema.json").read_text())
OF_KUBERNETES = {"affinity", "podSecurityContext", "containerSecurityContext", "requests", "limits"}


def refusal(values):
    with pytest.raises(helm_python.HelmError) as error:
        objects(values)
    return str(error.value)


def followed(schema):
    return SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def parts(schema, path=()):
    """Every part of a schema with its path."""
    schema = followed(schema)
    yield path, schema
    for key, one in schema.get("properties", {}).items():
        yield from parts(one, (*path, key))
    if isinstance(schema.get("items"), dict):
        yield from parts(schema["items"], (*path, "[]"))


@pytest.mark.parametrize(
    ("values", "place", "problem"),
    [
        ({"operater": {}}, "''", "'operater' not allowed"),
        ({"operator": {"replica": 3}}, "'/operator'", "'replica' not allowed"),
        ({"predictor": {"gpu": {"enable": True}}}, "'/predictor/gpu'", "'enable' not allowed"),
        ({"monitoring": {"serviceMonitors": {}}}, "'/monitoring'", "'serviceMonitors' not allowed"),
        ({"forecaster": {"spec": {"stepSecond": 30}}}, "'/forecaster/spec'", "'stepSecond' not allowed"),
        ({"operator": {"logLevel": "info"}}, "'/operator/logLevel'", "'DEBUG', 'INFO', 'WARNING', 'ERROR'"),
        ({"predictor": {"mode": "side"}}, "'/predictor/mode'", "'pod', 'sidecar'"),
        ({"predictor": {"gpu": {"count": 0.5}}}, "'/predictor/gpu/count'", "want integer"),
        ({"namespaces": ["Shop"]}, "'/namespaces/0'", "does not match pattern"),
        ({"namespaces": ["shop", "shop"]}, "'/namespaces'", "are equal"),
        ({"tls": {"extraDnsNames": ["a,b"]}}, "'/tls/extraDnsNames/0'", "does not match pattern"),
        ({"crds": {"keep": "yes"}}, "'/crds/keep'", "want boolean"),
        ({"operator": {"image": {"digest": "abc"}}}, "'/operator/image/digest'", "does not match pattern"),
        ({"operator": {"image": {"registry": "https://ghcr.io"}}}, "'/operator/image/registry'", "does not match"),
        ({"operator": {"podAnnotations": {"a": True}}}, "'/operator/podAnnotations/a'", "got boolean"),
        ({"forecaster": {"spec": {"prometheus": {"url": "prometheus:9090"}}}}, "'/forecaster/spec/prometheus/url'", ""),
        ({"forecaster": {"spec": {"telemetry": {"sources": ["Linkerd"]}}}}, "'/forecaster/spec/telemetry/", "'Istio'"),
    ],
)
def test_a_mistake_is_refused_with_its_place(values, place, problem):
    message = refusal(values)

    assert f"at {place}" in message
    assert problem in message


@pytest.mark.parametrize(
    ("values", "field", "remedy"),
    [
        ({"operator": {"image": {"tag": "latest"}}}, "operator.image.tag", "name a version"),
        (
            {"predictor": {"mode": "sidecar", "gpu": {"enabled": True}}},
            "predictor.gpu.enabled",
            "predictor.mode to pod",
        ),
        ({"predictor": {"mode": "sidecar", "persistence": {"enabled": True}}}, "predictor.persistence", "to pod"),
        ({"predictor": {"mode": "sidecar", "persistence": {"existingClaim": "a"}}}, "predictor.persistence", "to pod"),
        (
            {"predictor": {"gpu": {"enabled": True, "resourceName": ""}}},
            "predictor.gpu.resourceName",
            "predictor.gpu.resourceClaims",
        ),
        ({"namespaces": ["shop"], "forecaster": {"create": False}}, "forecaster.create", "set it to true"),
        (
            {"namespaces": ["shop"], "metricsApi": {"enabled": True, "external": {"enabled": True}}},
            "metricsApi",
            "set tls.certManager.enabled",
        ),
        ({"metricsApi": {"external": {"enabled": True}}}, "metricsApi.enabled", "set it to true"),
        (
            {"metricsApi": {"enabled": True, "custom": {"enabled": True}, "tls": {"existingSecret": "a"}}},
            "metricsApi.tls.caBundle",
            "in base64",
        ),
        ({"keda": {"tls": {"existingSecret": "a"}}}, "keda.tls.enabled", "set it to true"),
        (
            {"podDisruptionBudget": {"minAvailable": 2}},
            "podDisruptionBudget.minAvailable",
            "less than operator.replicas",
        ),
        (
            {
                "forecaster": {
                    "spec": {
                        "prometheus": {
                            "url": "http://prometheus:9090",
                            "authSecretRef": {"name": "a", "namespace": "monitoring"},
                        }
                    }
                }
            },
            "forecaster.spec.prometheus.authSecretRef.namespace",
            "put the Secret there",
        ),
    ],
)
def test_choices_that_do_not_go_together_are_refused_with_a_remedy(values, field, remedy):
    message = refusal(values)

    assert f": {field}: " in message
    assert remedy in message


@pytest.mark.parametrize("budget", ["50%", 1])
def test_a_budget_that_lets_pods_leave_is_accepted(budget):
    assert objects({"podDisruptionBudget": {"minAvailable": budget}})


def test_a_schema_lets_no_key_through_that_it_does_not_know():
    open_parts = {
        path
        for path, schema in parts(SCHEMA)
        if schema.get("type") == "object" and schema.get("additionalProperties", True) is True
    }
    # Kinds of Kubernetes are checked by the API server; further keys of global belong to other charts.
    expected = {path for path in open_parts if path[-1] in OF_KUBERNETES or path[-1] == "[]"} | {("global",)}

    assert open_parts == expected


def test_every_value_is_in_the_schema_and_every_key_of_the_schema_has_a_value():
    def keys(value, schema, path=()):
        for key, one in value.items():
            known = followed(schema).get("properties", {})
            if known and (key in known or not followed(schema).get("additionalProperties")):
                assert key in known, (*path, key)
                yield (*path, key)
                if isinstance(one, dict):
                    yield from keys(one, known[key], (*path, key))

    told = set(keys(VALUES, SCHEMA))
    known = {path for path, _ in parts(SCHEMA) if path and "[]" not in path}
    depth = {path for path in told if VALUES[path[0]] is not None}
    # A Forecaster has its own page, a condition of other charts no default, and probes and strategies what they need.
    optional = {path for path in known if path[:2] == ("forecaster", "spec") or path == ("enabled",)}
    optional |= {path for path in known if "Probe" in path[-2:][0] or path[-1] in ("rollingUpdate", "claims")}
    optional |= {path for path in known if path[:3] == ("tls", "certManager", "issuerRef")}

    assert known - optional <= depth


def test_the_commands_of_the_charts_page_set_values_that_there_are():
    page = (CHART / "README.md").read_text()
    shown = set(re.findall(r"^\| `([\w.]+)` \|", page, flags=re.MULTILINE))
    named = set(re.findall(r"--set ([\w.]+)=", page)) | set(re.findall(r"`([a-zA-Z]+(?:\.\w+)+): ", page))

    assert named
    assert named <= shown


def test_a_page_that_is_named_in_the_values_is_there():
    pages = set(re.findall(r"docs/[\w-]+\.md", (CHART / "values.yaml").read_text()))

    assert pages
    assert not [page for page in pages if not (ROOT / page).exists()]
