import re

import pytest
import yaml

from chart.rendering import CHART, ROOT, named, objects, of_kind, refusal

VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = yaml.safe_load((CHART / "values.schema.json").read_text())
OF_KUBERNETES = {"affinity", "podSecurityContext", "containerSecurityContext", "requests", "limits"}


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
        ({"networkPolicy": {"keda": {"peers": []}}}, "'/networkPolicy/keda/peers'", "minItems: got 0, want 1"),
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
        ({"global": {"imageRegistry": "https://ghcr.io"}}, "'/global/imageRegistry'", "does not match"),
        ({"podDisruptionBudget": {"minAvailable": "120%"}}, "'/podDisruptionBudget/minAvailable'", "does not match"),
        (
            {"networkPolicy": {"apiServer": {"clientCidrs": ["10.0.0.1"]}}},
            "'/networkPolicy/apiServer",
            "clientCidrs/0': '10.0.0.1' does",
        ),
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
        ({"metricsApi": {"tls": {"caBundle": "LS0t"}}}, "metricsApi.tls.caBundle", "name the Secret"),
        (
            {"metricsApi": {"enabled": True, "external": {"enabled": True}, "tls": {"caBundle": "LS0t"}}},
            "metricsApi.tls.caBundle",
            "leave caBundle out",
        ),
        (
            {"tls": {"enabled": False, "certManager": {"enabled": True}}},
            "tls.certManager.enabled",
            "tls.enabled to true",
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


def test_certificates_of_cert_manager_for_autoscalers_alone_are_accepted():
    alone = {
        "tls": {"enabled": False, "certManager": {"enabled": True}},
        "keda": {"enabled": True, "tls": {"enabled": True}},
    }

    assert of_kind(objects(alone), "Certificate")


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


def test_a_row_of_the_charts_page_without_a_meaning_is_a_field_of_kubernetes():
    page = (CHART / "README.md").read_text()
    bare = set(re.findall(r"^\| `(\S+)` \|.*\|  \|$", page, flags=re.MULTILINE))
    below = {("serviceAccount", "annotations"), ("strategy", "type"), ("strategy", "rollingUpdate")}
    below |= {("resources", "requests"), ("resources", "limits")}
    of_a_pod = {"affinity", "tolerations", "nodeSelector", "priorityClassName", "runtimeClassName"}
    of_a_pod |= {"podSecurityContext", "containerSecurityContext", "terminationGracePeriodSeconds"}

    assert {path.split(".")[0] for path in bare} == {"operator", "predictor", "outletServer"}
    assert not [path for path in bare if path.split(".")[1] not in of_a_pod and tuple(path.split(".")[1:]) not in below]


def test_a_digest_names_the_image_whatever_the_tag_is():
    digest = "sha256:" + "0" * 64
    found = objects({"operator": {"image": {"tag": "latest", "digest": digest}}})

    (container,) = named(found, "Deployment", "tidecast-operator")["spec"]["template"]["spec"]["containers"]
    assert container["image"].endswith(f"@{digest}")
