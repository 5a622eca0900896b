import pytest

from chart.rendering import named, objects, of_kind, pods, refusal, rendered, selects


def test_a_disruption_takes_one_of_several_operators_at_most():
    assert named(rendered("default"), "PodDisruptionBudget", "tidecast-operator")["spec"]["minAvailable"] == 1
    everything = named(rendered("everything"), "PodDisruptionBudget", "tidecast-operator")["spec"]
    assert everything["maxUnavailable"] == 1
    assert "minAvailable" not in everything


def test_a_single_operator_does_not_keep_a_node_from_being_drained():
    assert not of_kind(rendered("sidecar"), "PodDisruptionBudget")


@pytest.mark.parametrize(
    ("replicas", "budget"),
    [
        (2, {"minAvailable": "50%"}),
        (2, {"minAvailable": 1}),
        (2, {"minAvailable": 0}),
        (3, {"minAvailable": "66%"}),
        (2, {"maxUnavailable": "1%"}),
        (2, {"maxUnavailable": 1}),
        (2, {"maxUnavailable": 1, "minAvailable": 2}),
        (2, {"maxUnavailable": 1, "minAvailable": None}),
        (2, {"minAvailable": "100%", "enabled": False}),
        (1, {"minAvailable": "100%"}),
    ],
)
def test_a_budget_that_lets_a_pod_leave_is_accepted(replicas, budget):
    assert objects({"operator": {"replicas": replicas}, "podDisruptionBudget": budget})


@pytest.mark.parametrize(
    ("replicas", "budget"),
    [
        (2, {"minAvailable": 2}),
        (3, {"minAvailable": 4}),
        (2, {"minAvailable": "100%"}),
        (2, {"minAvailable": "51%"}),
        (3, {"minAvailable": "67%"}),
        (16, {"minAvailable": "94%"}),
    ],
)
def test_a_budget_that_keeps_all_pods_is_refused(replicas, budget):
    message = refusal({"operator": {"replicas": replicas}, "podDisruptionBudget": budget})

    assert f": podDisruptionBudget.minAvailable: {budget['minAvailable']} is " in message
    assert "make it less than operator.replicas, or give podDisruptionBudget.maxUnavailable" in message


def test_each_that_answers_has_a_budget_of_its_own():
    found = rendered("outlet-server")  # with a single operator

    assert [one["metadata"]["name"] for one in of_kind(found, "PodDisruptionBudget")] == ["tidecast-outlet-server"]
    selector = of_kind(found, "PodDisruptionBudget")[0]["spec"]["selector"]["matchLabels"]
    assert [name for name, pod in pods(found).items() if selects(selector, pod)] == ["tidecast-outlet-server"]
    both = objects({"keda": {"enabled": True}, "outletServer": {"enabled": True}})
    assert len(of_kind(both, "PodDisruptionBudget")) == 2


def test_a_budget_that_keeps_all_outlet_servers_is_refused():
    few = {"keda": {"enabled": True}, "outletServer": {"enabled": True}, "operator": {"replicas": 4}}
    budget = {"podDisruptionBudget": {"minAvailable": 2}}

    assert "make it less than outletServer.replicas, or give" in refusal(few | budget)
    assert objects(few | budget | {"outletServer": {"enabled": True, "replicas": 3}})
    assert objects(few | budget | {"outletServer": {"enabled": False}})


@pytest.mark.parametrize("most", [0, "0%"])
def test_a_budget_that_lets_nobody_go_is_refused(most):
    message = refusal({"podDisruptionBudget": {"maxUnavailable": most}})

    assert f": podDisruptionBudget.maxUnavailable: {most} lets no pod ever leave" in message
    assert "make it at least 1" in message


def test_a_budget_that_says_nothing_is_refused():
    message = refusal({"podDisruptionBudget": {"minAvailable": None}})

    assert ": podDisruptionBudget.minAvailable: is null, and so is maxUnavailable: give one" in message
