import pytest

from builders.metrics_api import ALLOWED, Authority, config_map
from tidecast_operator.errors import Misconfigured
from tidecast_operator.outlets.metrics_api.answers import Refused
from tidecast_operator.outlets.metrics_api.front_proxy import Caller, FrontProxy

PEM = Authority().pem
HEADERS = {"x-remote-user": ["ann"], "x-remote-group": ["a", "b"]}


def test_who_asks_is_in_the_headers_that_the_config_map_names():
    default = FrontProxy.parse(config_map(PEM))
    named = FrontProxy.parse(config_map(PEM, username_headers='["X-Uid", "X-User"]', group_headers='["X-A", "X-B"]'))

    assert default.caller([ALLOWED], HEADERS) == Caller("ann", ("a", "b"))
    assert named.caller([ALLOWED], {"x-user": ["bob"], "x-a": ["1"], "x-b": ["2"]}) == Caller("bob", ("1", "2"))


def test_only_the_allowed_names_are_the_front_proxy():
    proxy = FrontProxy.parse(config_map(PEM, allowed_names='["one", "two"]'))

    assert proxy.caller(["two"], HEADERS)
    for names in (["three"], []):
        with pytest.raises(Refused, match="is not the front proxy"):
            proxy.caller(names, HEADERS)


NOTHING_SAID = [None, "", "null"]
"""Ways in which a key of the ConfigMap says nothing: it is not there, or it is one of these."""


def without(key, text):
    data = config_map(PEM) | {key: text}
    return {name: value for name, value in data.items() if value is not None}


@pytest.mark.parametrize("text", [*NOTHING_SAID, "[]"])
def test_without_allowed_names_every_name_is_allowed(text):
    assert FrontProxy.parse(without("requestheader-allowed-names", text)).caller(["any"], HEADERS)


@pytest.mark.parametrize("text", NOTHING_SAID)
@pytest.mark.parametrize("key", ["requestheader-username-headers", "requestheader-group-headers"])
def test_headers_that_are_not_named_are_those_of_every_cluster(key, text):
    assert FrontProxy.parse(without(key, text)).caller([ALLOWED], HEADERS) == Caller("ann", ("a", "b"))


@pytest.mark.parametrize("headers", [{}, {"x-remote-user": [""]}, {"x-remote-group": ["system:masters"]}])
def test_whoever_names_no_user_is_refused(headers):
    with pytest.raises(Refused, match="no user is named in X-Remote-User") as caught:
        FrontProxy.parse(config_map(PEM)).caller([ALLOWED], headers)

    assert caught.value.code == 401


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (None, "it is not there"),
        ({}, "no certificate under requestheader-client-ca-file"),
        (config_map(""), "no certificate"),
        (config_map(PEM, allowed_names="front-proxy"), "is no list of texts"),
        (config_map(PEM, allowed_names="[1]"), "is no list of texts"),
        (config_map(PEM, username_headers='"X-Remote-User"'), "is no list of texts"),
    ],
)
def test_a_config_map_that_does_not_say_whom_to_believe_is_told(data, problem):
    with pytest.raises(Misconfigured, match=problem) as caught:
        FrontProxy.parse(data)

    assert "extension-apiserver-authentication" in caught.value.field
