import pytest

from tidecast_operator.selectors import Selector

LABELS = {"team": "shop", "tier": "web"}


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        (None, False),
        ({}, True),
        ({"matchLabels": {"team": "shop"}}, True),
        ({"matchLabels": {"team": "shop", "tier": "db"}}, False),
        ({"matchExpressions": [{"key": "team", "operator": "In", "values": ["shop", "bank"]}]}, True),
        ({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["shop"]}]}, False),
        ({"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, False),
        ({"matchLabels": {"team": "shop"}, "matchExpressions": [{"key": "zone", "operator": "Exists"}]}, False),
    ],
)
def test_labels_are_selected_as_kubernetes_does(selector, matches):
    assert Selector.parse(selector).matches(LABELS) is matches


@pytest.mark.parametrize(
    "expression",
    [
        {"key": "team", "operator": "In"},
        {"key": "team", "operator": "Exists", "values": ["shop"]},
        {"key": "team", "operator": "Like", "values": ["shop"]},
        {"operator": "Exists"},
    ],
)
def test_an_expression_that_means_nothing_is_refused(expression):
    with pytest.raises(ValueError, match="operator"):
        Selector.parse({"matchExpressions": [expression]})
