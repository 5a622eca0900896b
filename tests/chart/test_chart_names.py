import re

import pytest

from chart.rendering import named, objects, of_kind, refusal

OPEN = {"keda": {"enabled": True}, "metricsApi": {"enabled": True}}
OF_A_SERVICE = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


def test_names_follow_the_release_unless_it_is_called_as_the_chart():
    assert named(objects({}, release="forecasts"), "Deployment", "forecasts-tidecast-operator")
    assert named(objects({"fullnameOverride": "waves"}), "Deployment", "waves-operator")


def test_the_longest_name_of_a_release_makes_names_that_kubernetes_takes():
    found = objects({"metricsApi": {"enabled": True}, "hpaFloors": {"enabled": True}}, release="r" * 53)

    assert max(len(one["metadata"]["name"]) for one in of_kind(found, "Service", "Job", "Deployment")) <= 63


@pytest.mark.parametrize(
    ("values", "release"),
    [
        ({}, "shop.forecasts"),
        ({}, "tidecast.shop"),
        ({}, "r" * 39 + ".tidecast"),
        ({"nameOverride": "waves.shop"}, "tidecast"),
        ({"nameOverride": "n" * 39 + ".waves"}, "shop"),
        ({"fullnameOverride": "waves"}, "2nd.shop"),
        ({}, "r" * 38 + "--tidecast"),
        ({"fullnameOverride": "w" * 38 + "--x"}, "tidecast"),
    ],
)
def test_every_service_and_label_has_a_name_that_kubernetes_takes(values, release):
    found = objects(values | OPEN, release=release)
    services = [one["metadata"]["name"] for one in of_kind(found, "Service")]

    assert len(services) == 5
    for name in services:
        assert OF_A_SERVICE.fullmatch(name), name
    for one in found:
        for label in one["metadata"]["labels"].values():
            assert re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?", label), label


def test_dots_of_a_release_become_dashes():
    assert named(objects({}, release="tidecast.shop"), "Service", "tidecast-shop-operator")


@pytest.mark.parametrize(
    ("values", "release", "remedy"),
    [
        ({"fullnameOverride": "waves.shop"}, "tidecast", "as in waves-shop"),
        ({"fullnameOverride": "2nd"}, "tidecast", "as in tidecast-2nd"),
        ({"fullnameOverride": "2nd.shop"}, "tidecast", "as in tidecast-2nd-shop"),
        ({}, "2nd", "as in tidecast-2nd-tidecast"),
        ({"nameOverride": "nd"}, "2nd.shop", "as in tidecast-2nd-shop"),
    ],
)
def test_a_name_that_no_service_may_have_is_refused_with_one_that_fits(values, release, remedy):
    message = refusal(values, release=release)

    assert ": fullnameOverride: " in message
    assert remedy in message
    assert objects({"fullnameOverride": remedy.removeprefix("as in ")}, release=release)
