"""
HorizontalPodAutoscalers of the cluster: what is read of them, and what a replay makes of it.
"""

import json

import numpy as np
import pytest

from builders.replays import CART, WEB, bounds, pods, recording, replayed, waves, write_npz
from builders.telemetry import workload_body
from tidecast_contract.features import CPU, REQUESTS, index_of
from tidecast_operator.errors import Misconfigured, NotEnoughData
from tidecast_operator.replaying import command
from tidecast_operator.replaying.autoscaler import Autoscaler, Autoscalers, Behaviour, Bounds, Pods, Policy
from tidecast_operator.replaying.autoscaler_reading import OwnAutoscaler, read_autoscalers
from tidecast_operator.replaying.candidates import Asked, Subject, choose
from tidecast_operator.replaying.cluster_reading import read_objects
from tidecast_operator.replaying.replay import ALONE

UTILISATION = {"type": "Utilization", "averageUtilization": 60}


def cpu_metric(**target):
    return {"type": "Resource", "resource": {"name": "cpu", "target": target or UTILISATION}}


def body(version="v2", *, scales="web", annotations=None, **spec):
    """One as kubectl writes it."""
    return {
        "apiVersion": f"autoscaling/{version}",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {
            "namespace": "shop",
            "name": f"{scales}-hpa",
            "uid": "u",
            "resourceVersion": "7",
            "annotations": annotations or {},
        },
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": scales},
            "minReplicas": 3,
            "maxReplicas": 30,
            **spec,
        },
    }


def workload(name="web", *requested):
    made = workload_body(name)
    made["spec"]["template"]["spec"] = {
        "containers": [{"resources": {"requests": {"cpu": cpu} if cpu else {}}} for cpu in requested]
    }
    return made


def read(*items):
    return read_autoscalers(items)[WEB]


@pytest.mark.parametrize(
    "item",
    [
        body(metrics=[cpu_metric()]),
        body("v2beta2", metrics=[cpu_metric()]),
        body("v1", targetCPUUtilizationPercentage=60),
    ],
    ids=lambda item: item["apiVersion"],
)
def test_bounds_and_target_are_read_in_every_version(item):
    assert read(item) == OwnAutoscaler("shop/web-hpa", 3, 30, utilisation=0.6)


def test_left_out_its_minimum_is_one_and_its_behaviour_the_usual():
    item = body()
    del item["spec"]["minReplicas"]

    assert read(item) == OwnAutoscaler("shop/web-hpa", 1, 30, behaviour=Behaviour())


@pytest.mark.parametrize(("floor", "lowest"), [(9, 3), (8, 8)], ids=["ours", "changed since"])
def test_a_floor_that_a_hint_has_raised_is_not_taken_for_its_own(floor, lowest):
    raised = {"tidecast.dev/original-min-replicas": "3", "tidecast.dev/floor": "9", "tidecast.dev/floor-by": "web"}

    assert read(body(minReplicas=floor, annotations=raised)).lowest == lowest


@pytest.mark.parametrize(
    ("item", "ignored"),
    [
        (
            body(metrics=[{"type": "External", "external": {"metric": {"name": "queue"}}}, cpu_metric()]),
            "its metric External queue",
        ),
        (body(metrics=[{"type": "Resource", "resource": {"name": "memory"}}]), "its metric Resource memory"),
        (
            body(metrics=[{"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "a"}}]),
            "its metric ContainerResource cpu",
        ),
        (body("v1", annotations={"autoscaling.alpha.kubernetes.io/metrics": "[]"}), "its metrics"),
        (body("v1", annotations={"autoscaling.alpha.kubernetes.io/behavior": "{}"}), "its behavior"),
        (body(behavior={"scaleUp": {"tolerance": "0.05"}}), "behavior.scaleUp.tolerance"),
        (body(minReplicas=0), "its minReplicas 0"),
        (
            body(annotations={"tidecast.dev/floor": "9"}),
            "the floor that its owner wrote: annotation tidecast.dev/original-min-replicas is missing",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_followed_is_told(item, ignored):
    assert read(item).ignored == (ignored,)
    assert read(item).lowest >= 1


def test_of_two_for_one_workload_the_first_counts_and_the_other_is_told():
    other = body(minReplicas=9)
    other["metadata"]["name"] = "other"

    own = read(body(), other)
    assert (own.lowest, own.ignored) == (3, ("shop/other, which scales the same workload",))


def test_its_behaviour_is_read_with_the_defaults_of_what_it_leaves_out():
    policies = [
        {"type": "Pods", "value": 2, "periodSeconds": 60},
        {"type": "Percent", "value": 10, "periodSeconds": 30},
    ]
    slow = {"stabilizationWindowSeconds": 120, "policies": policies, "selectPolicy": "Min"}

    told = read(body(behavior={"scaleUp": slow, "scaleDown": {"selectPolicy": "Disabled"}})).behaviour
    assert told == Behaviour(
        rise_window_seconds=120,
        rise=(Policy(pods=2, period_seconds=60), Policy(percent=10, period_seconds=30)),
        rises_least=True,
        fall=(),
    )


@pytest.mark.parametrize(
    ("metric", "requested", "signal", "aims_at"),
    [
        (cpu_metric(), (), REQUESTS, 30.0),
        (cpu_metric(), (), CPU, 30.0),
        (cpu_metric(), ("500m", "1"), CPU, 0.9),
        (cpu_metric(), ("500m", None), CPU, 30.0),
        (cpu_metric(type="Utilization", averageUtilization=150), ("1",), CPU, 1.5),
        (cpu_metric(type="Utilization", averageUtilization=150), ("1",), REQUESTS, None),
        (cpu_metric(type="AverageValue", averageValue="400m"), (), CPU, 0.4),
        (cpu_metric(type="AverageValue", averageValue="400m"), (), REQUESTS, None),
        (cpu_metric(type="AverageValue", averageValue="400m"), ("500m",), REQUESTS, 40.0),
    ],
)
def test_its_target_is_told_in_the_unit_of_the_signal(metric, requested, signal, aims_at):
    own = read(workload("web", *requested), body(metrics=[metric]))

    assert own.load_of_a_pod(signal, 50.0) == (None if aims_at is None else pytest.approx(aims_at))


def chosen(*items, loads=None, **asked):
    made = recording(waves(10) if loads is None else loads)
    asked = {"scaling": {"perReplica": "50"}} | asked
    return Subject.of(made, choose(made, Asked(autoscalers=read_autoscalers(items), **asked)).each)


def test_a_workload_has_the_bounds_and_target_of_its_own_and_others_those_of_the_spec():
    web, cart = chosen(
        body(metrics=[cpu_metric()]), scaling={"perReplica": "50", "signal": "RequestsPerSecond"}
    ).candidates

    assert (web.service, web.bounds, web.aims_at) == (WEB, (3, 30), 30.0)
    assert (cart.service, cart.bounds[0], cart.aims_at) == (CART, 1, None)


def test_what_is_given_counts_before_what_an_autoscaler_says():
    scaling = {"perReplica": "50", "minReplicas": 5}
    web, _ = chosen(body(metrics=[cpu_metric()]), scaling=scaling, target=0.5).candidates

    assert (web.bounds, web.aims_at) == ((5, 30), None)


def test_bounds_that_exclude_each_other_are_named():
    with pytest.raises(
        NotEnoughData, match="9 exceeds maxReplicas 4 of HorizontalPodAutoscaler shop/web-hpa; give both"
    ):
        chosen(body(minReplicas=1, maxReplicas=4), name="web", scaling={"perReplica": "50", "minReplicas": 9})


async def test_a_replay_goes_by_the_bounds_target_and_behaviour_of_each():
    slow = {"scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}}
    loads = np.full((200, 2), 100.0)
    loads[120:] = 1000.0
    outcome = await replayed(chosen(body(metrics=[cpu_metric()], behavior=slow), loads=loads), "last-value", first=110)
    web, cart = outcome.trace.ready[ALONE]

    # At 60 percent of 50 it takes 4 and then 34, of which 30 are allowed, one a minute; at 70 percent 3 and
    # 28, which is within the tolerance, at once.
    assert (web[5], cart[5]) == (4, 3)
    assert web[15:35].tolist() == pytest.approx(np.arange(web[15], web[15] + 20), abs=0)
    assert (web[-1], cart[20]) == (30, 28)


def test_workloads_that_behave_differently_are_scaled_as_each_would_be_alone():
    slow = Behaviour(rise=(Policy(pods=1, period_seconds=60),), fall_window_seconds=60)
    behaviours, now = [Behaviour(), slow, Behaviour()], np.array([4, 4, 2])
    together, alone = Autoscalers(behaviours), [Autoscaler(one) for one in behaviours]
    seen, single = [], [[], [], []]
    limits = Bounds(np.ones(3, np.int64), np.full(3, 100))
    replicas, each = now.copy(), now.tolist()
    for step in range(60):
        load = np.array([2000.0, 2000.0, 500.0]) if step < 30 else np.full(3, 100.0)
        replicas = together.sync(15.0 * step, Pods(replicas, np.zeros(3, np.int64)), load, np.full(3, 100.0), limits)
        seen.append(replicas.tolist())
        for place, one in enumerate(alone):
            told = one.sync(15.0 * step, pods(each[place]), load[place : place + 1], np.array([100.0]), bounds())
            each[place] = int(told[0])
            single[place].append(each[place])

    assert np.array(seen).T.tolist() == single
    assert single[0] != single[1]


@pytest.mark.parametrize(("least", "reached"), [(False, 8), (True, 5)])
def test_of_several_policies_the_one_that_allows_most_or_least_counts(least, reached):
    behaviour = Behaviour(rise=(Policy(pods=1), Policy(percent=100)), rises_least=least)

    told = Autoscaler(behaviour).sync(0.0, pods(4), np.array([9000.0]), np.array([100.0]), bounds())
    assert told.tolist() == [reached]


@pytest.mark.parametrize(("least", "reached"), [(False, 2), (True, 3)])
def test_the_same_holds_for_fewer(least, reached):
    behaviour = Behaviour(fall=(Policy(pods=1), Policy(percent=50)), falls_least=least, fall_window_seconds=0)

    told = Autoscaler(behaviour).sync(0.0, pods(4), np.array([0.0]), np.array([100.0]), bounds())
    assert told.tolist() == [reached]


def test_where_falling_is_disabled_it_never_falls():
    told = Autoscaler(Behaviour(fall=())).sync(0.0, pods(4), np.array([0.0]), np.array([100.0]), bounds())

    assert told.tolist() == [4]


def test_objects_are_read_with_their_autoscalers(tmp_path):
    path = tmp_path / "objects.json"
    path.write_text(json.dumps({"items": [workload("web", "500m"), body(metrics=[cpu_metric()])]}))

    own = read_objects(path).autoscalers
    assert (own[WEB].utilisation, own[WEB].requested) == (0.6, 0.5)


def test_an_autoscaler_that_no_api_server_wrote_is_refused(tmp_path):
    item = body()
    del item["spec"]["maxReplicas"]
    (tmp_path / "objects.json").write_text(json.dumps({"items": [workload(), item]}))

    with pytest.raises(Misconfigured, match="maxReplicas"):
        read_objects(tmp_path / "objects.json")


def told(tmp_path, capsys, *items, **columns):
    path = write_npz(tmp_path / "week.npz", waves(240), **columns)
    flags = ["--recording", str(path), "--per-replica", "50"]
    if items:
        (tmp_path / "objects.json").write_text(json.dumps({"items": items}))
        flags += ["--objects", str(tmp_path / "objects.json")]
    assert command.main(["replay", *flags]) == 0
    return capsys.readouterr().out


def test_a_report_says_whose_autoscalers_it_went_by_and_what_of_them_it_did_not_follow(tmp_path, capsys):
    queue = {"type": "External", "external": {"metric": {"name": "queue"}}}
    text = told(tmp_path, capsys, workload(), workload("cart"), body(metrics=[cpu_metric(), queue]))

    assert (
        "- 1 of 2 workloads have minReplicas, maxReplicas and behavior of their own HorizontalPodAutoscaler, 1 its target. "
        "All else is as usual: minReplicas and maxReplicas of spec.scaling and aim at 70% of what a replica carries."
    ) in text
    assert "- The target of CPU of 1 of them is taken for the same share of what a replica carries" in text
    assert "- Not followed of HorizontalPodAutoscalers: shop/web-hpa (its metric External queue)." in text


def test_a_report_says_that_no_autoscaler_was_read(tmp_path, capsys):
    assert "- No HorizontalPodAutoscaler was read (--objects): autoscalers have minReplicas" in told(tmp_path, capsys)


def test_the_signal_that_is_cpu_has_the_target_in_cores():
    made = recording(waves(10))
    made.values[:, :, index_of(CPU)] = 1.0
    asked = Asked(
        name="web",
        scaling={"perReplica": "2", "signal": "CPU"},
        autoscalers=read_autoscalers([workload("web", "1500m"), body(metrics=[cpu_metric()])]),
    )

    (web,) = choose(made, asked).each
    assert web.aims_at == pytest.approx(0.9)
