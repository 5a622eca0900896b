import json
from http import HTTPStatus

import pytest

from builders.hints import NOW
from builders.metrics_api import board
from tidecast_operator.outlets.metrics_api.answers import Refused
from tidecast_operator.outlets.metrics_api.routes import Asked, respond

EXTERNAL, CUSTOM = "/apis/external.metrics.k8s.io/v1beta1", "/apis/custom.metrics.k8s.io/v1beta2"
VALUE = f"{CUSTOM}/namespaces/shop/serviceperformanceforecasts.tidecast.dev/checkout/tidecast-load"
CONSTANT = [
    "/apis",
    "/apis/external.metrics.k8s.io",
    "/apis/custom.metrics.k8s.io",
    EXTERNAL,
    CUSTOM,
    "/openapi/v2",
    "/openapi/v3",
    f"/openapi/v3{EXTERNAL}",
    f"/openapi/v3{CUSTOM}",
    "/version",
]
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList"


def answer(path, *, why_not_ready="", **asked):
    return respond(Asked(path, **asked), board(), now=NOW, why_not_ready=why_not_ready)


def body(path, **asked):
    return json.loads(answer(path, **asked).body)


def refused(path, **asked):
    with pytest.raises(Refused) as caught:
        answer(path, **asked)
    return caught.value


@pytest.mark.parametrize("path", [EXTERNAL, CUSTOM])
def test_resources_can_only_be_got_and_have_a_singular_name(path):
    listed = body(path)

    assert (listed["kind"], f"/apis/{listed['groupVersion']}") == ("APIResourceList", path)
    assert [(one["verbs"], one["singularName"], one["namespaced"]) for one in listed["resources"]] == [
        (["get"], "", True)
    ] * 2


def test_resources_are_called_as_in_their_paths():
    names = [[one["name"] for one in body(path)["resources"]] for path in (EXTERNAL, CUSTOM)]

    assert names == [
        ["tidecast-load", "tidecast-replicas"],
        [
            "serviceperformanceforecasts.tidecast.dev/tidecast-load",
            "serviceperformanceforecasts.tidecast.dev/tidecast-replicas",
        ],
    ]


def test_both_groups_are_listed_and_each_can_be_asked_for():
    listed = body("/apis")["groups"]

    assert [group["name"] for group in listed] == ["external.metrics.k8s.io", "custom.metrics.k8s.io"]
    for group in listed:
        assert body(f"/apis/{group['name']}") == {"kind": "APIGroup", "apiVersion": "v1", **group}
        assert body(f"/apis/{group['preferredVersion']['groupVersion']}")["kind"] == "APIResourceList"


@pytest.mark.parametrize("version", ["v2", "v2beta1"])
def test_aggregated_discovery_says_the_same_as_the_old_documents(version):
    wanted = AGGREGATED.format(version)
    found = answer("/apis", accept=f"{wanted},application/json")
    listed = json.loads(found.body)

    assert (found.content_type, listed["apiVersion"]) == (wanted, f"apidiscovery.k8s.io/{version}")
    external, custom = (group["versions"][0] for group in listed["items"])
    assert [one["resource"] for one in external["resources"]] == [one["name"] for one in body(EXTERNAL)["resources"]]
    (parent,) = custom["resources"]
    parts = [f"{parent['resource']}/{part['subresource']}" for part in parent["subresources"]]
    assert parts == [one["name"] for one in body(CUSTOM)["resources"]]
    assert {external["freshness"], custom["freshness"]} == {"Current"}


def test_in_aggregated_discovery_too_things_can_only_be_got():
    found = json.loads(answer("/apis", accept=AGGREGATED.format("v2")).body)
    resources = [one for group in found["items"] for one in group["versions"][0]["resources"]]

    assert {verb for one in resources for verb in one["verbs"]} == {"get"}
    assert {one["scope"] for one in resources} == {"Namespaced"}
    # A client would take a resource with a kind for one of its own, and the described objects are elsewhere.
    assert [one["responseKind"]["kind"] for one in resources] == ["ExternalMetricValueList"] * 2 + [""]


def test_the_first_version_of_aggregated_discovery_that_is_known_is_taken():
    accepted = ",".join(AGGREGATED.format(version) for version in ("v3", "v2", "v2beta1"))

    assert answer("/apis", accept=accepted).content_type == AGGREGATED.format("v2")


def test_an_unknown_aggregated_discovery_falls_back_to_the_old_document():
    assert body("/apis", accept=f"{AGGREGATED.format('v3')},application/json")["kind"] == "APIGroupList"


@pytest.mark.parametrize("path", CONSTANT)
def test_what_stays_the_same_is_not_sent_twice(path):
    first = answer(path)
    again = answer(path, known=f'"other", W/{first.headers["ETag"]}')

    assert (first.code, again.code, again.body) == (200, 304, b"")
    assert answer(path, known='"other"').body == first.body


def test_documents_that_differ_have_different_tags():
    accepted = ("", *map(AGGREGATED.format, ("v2", "v2beta1")))
    tags = [answer("/apis", accept=one).headers["ETag"] for one in accepted]

    assert len({*tags, *(answer(path).headers["ETag"] for path in ("/version", "/openapi/v2"))}) == 5


def test_a_value_has_no_tag():
    assert not answer(VALUE).headers


@pytest.mark.parametrize("path", [*CONSTANT, VALUE])
@pytest.mark.parametrize(
    "accept", ["", "*/*", "application/json", "application/vnd.kubernetes.protobuf, */*", "application/*;q=0.5"]
)
def test_json_is_spoken_whatever_is_preferred(path, accept):
    assert answer(path, accept=accept).content_type == "application/json"


@pytest.mark.parametrize(
    "accept",
    [
        "application/vnd.kubernetes.protobuf",
        "application/json;as=Table;g=meta.k8s.io;v=v1",
        "text/html, application/json;q=0",
    ],
)
@pytest.mark.parametrize("path", ["/apis", EXTERNAL, VALUE])
def test_who_takes_no_json_is_told_so(path, accept):
    assert refused(path, accept=accept).code == 406


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/", "nothing is served at /"),
        ("/api/v1", "nothing is served"),
        ("/apis/apps/v1", "nothing is served"),
        ("/apis/external.metrics.k8s.io/v1", "v1beta1 is"),
        ("/apis/custom.metrics.k8s.io/v1beta1", "v1beta2 is"),
        (f"{EXTERNAL}/tidecast-load", "in a namespace: namespaces/NAMESPACE/METRIC"),
        (f"{EXTERNAL}/namespaces/shop", "in a namespace"),
        (f"{CUSTOM}/serviceperformanceforecasts.tidecast.dev/checkout/tidecast-load", "in a namespace"),
        (f"{CUSTOM}/namespaces/shop/pods/checkout/tidecast-load", "and not of pods"),
        (f"{CUSTOM}/namespaces/shop/metrics/tidecast-load", "namespaces/NAMESPACE/serviceperf"),
        ("/openapi/v3/apis/apps/v1", "nothing is served"),
    ],
)
def test_a_wrong_path_is_told_what_is_served(path, text):
    found = refused(path)

    assert found.code == 404
    assert text in str(found)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD"])
def test_nothing_can_be_done_but_got(method):
    found = refused(VALUE, method=method)

    assert (found.code, found.headers) == (405, {"Allow": "GET"})


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (400, "BadRequest"),
        (401, "Unauthorized"),
        (404, "NotFound"),
        (405, "MethodNotAllowed"),
        (406, "NotAcceptable"),
        (503, "ServiceUnavailable"),
    ],
)
def test_a_refusal_is_a_status(code, reason):
    found = Refused(HTTPStatus(code), "because")
    status = json.loads(found.answer().body)

    assert found.answer().code == code
    assert (status["kind"], status["apiVersion"], status["status"]) == ("Status", "v1", "Failure")
    assert (status["code"], status["reason"], status["message"]) == (code, reason, "because")


def test_probes_are_answered_with_a_line():
    assert [answer(path).body for path in ("/healthz", "/livez", "/readyz")] == [b"ok\n"] * 3


def test_readiness_says_why_not():
    found = answer("/readyz", why_not_ready="no authority")

    assert (found.code, found.body) == (503, b"no authority\n")
    assert answer("/livez", why_not_ready="no authority").code == 200


def test_the_descriptions_are_where_the_index_says():
    for path, link in body("/openapi/v3")["paths"].items():
        found = body(link["serverRelativeURL"].partition("?")[0])
        assert (found["openapi"], found["paths"]) == ("3.0.0", {})
        assert link["serverRelativeURL"].startswith(f"/openapi/v3/{path}?hash=")


def test_the_old_description_says_nothing_that_could_be_in_the_way():
    found = body("/openapi/v2")

    assert (found["swagger"], found["paths"], found["definitions"]) == ("2.0", {}, {})
