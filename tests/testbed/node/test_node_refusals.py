import pytest

from builders.node_pods import pod, script
from tidecast_simulator.testbed.node.refusals import refusal, repository, why_not_here
from tidecast_simulator.testbed.node.variables import Unconfigured, environment, expand

IMAGES = {"example.org:5000/script"}


class Nothing:
    """A namespace without Secrets and ConfigMaps."""

    def secret(self, _name):
        return None

    def config_map(self, _name):
        return None


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("web", "web"),
        ("web:1", "web"),
        ("example.org:5000/web", "example.org:5000/web"),
        ("example.org:5000/web:1", "example.org:5000/web"),
        ("example.org/web:1@sha256:abc", "example.org/web"),
    ],
)
def test_the_repository_of_an_image_has_neither_tag_nor_digest(image, name):
    assert repository(image) == name


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (pod("x", script("")), None),
        (pod("x", script(""), hostNetwork=True), "hostNetwork"),
        (pod("x", script(""), volumes=[{"name": "v", "hostPath": {"path": "/"}}]), "hostPath"),
        (
            pod("x", script(""), volumes=[{"name": "v", "projected": {"sources": [{"clusterTrustBundle": {}}]}}]),
            "clusterTrust",
        ),
        (pod("x", script("", image="other")), "no program for the image 'other'"),
        (pod("x", script("", securityContext={"privileged": True})), "privileged"),
        (pod("x", script("", ports=[{"containerPort": 1, "hostPort": 1}])), "hostPort"),
        (pod("x", script(""), initContainers=[script("", restartPolicy="Always")]), "restartPolicy"),
        (pod("x", script("", lifecycle={"postStart": {}})), "postStart"),
    ],
)
def test_what_a_process_cannot_be_is_refused(spec, message):
    found = refusal(spec["spec"], IMAGES)
    assert found is None if message is None else message in found.message


def test_a_pod_goes_where_the_labels_and_devices_are():
    limits = {"resources": {"limits": {"nvidia.com/gpu": "1", "memory": "1Ti"}}}
    spec = pod("x", script("", **limits), nodeSelector={"kind": "fast"})["spec"]
    assert not why_not_here(spec, {"kind": "fast"}, {"nvidia.com/gpu": 1})
    assert "nodeSelector" in why_not_here(spec, {"kind": "slow"}, {"nvidia.com/gpu": 1})
    assert "insufficient nvidia.com/gpu" in why_not_here(spec, {"kind": "fast"}, {})


@pytest.mark.parametrize(
    ("text", "expanded"),
    [("$(A)-$(A)", "1-1"), ("$$(A)", "$(A)"), ("$(B)", "$(B)"), ("$A $$", "$A $"), ("$$$(A)", "$1")],
)
def test_references_to_variables_are_expanded(text, expanded):
    assert expand(text, {"A": "1"}) == expanded


@pytest.mark.parametrize(
    ("resource", "divisor", "value"),
    [("limits.cpu", "1", "2"), ("limits.cpu", "1m", "1500"), ("limits.memory", "1Mi", "512")],
)
def test_a_limit_can_be_a_variable_in_whole_units(resource, divisor, value):
    reference = {"resourceFieldRef": {"resource": resource, "divisor": divisor}}
    container = script(
        "", resources={"limits": {"cpu": "1500m", "memory": "512Mi"}}, env=[{"name": "N", "valueFrom": reference}]
    )
    assert environment(container, Nothing(), {}, str) == {"N": value}


def test_a_missing_key_is_named():
    reference = {"secretKeyRef": {"name": "secret", "key": "password"}}
    with pytest.raises(Unconfigured, match="secret 'secret' has no key 'password'"):
        environment(script("", env=[{"name": "N", "valueFrom": reference}]), Nothing(), {}, str)
