import dataclasses

import numpy as np
import pytest

from builders.meshes import MONDAY, chain, gateway_chain, service, simulation
from tidecast_simulator.flows import delayed, queue_kernel
from tidecast_simulator.load import Constant, Product, Steps, usual_load
from tidecast_simulator.mesh import Call, Mesh
from tidecast_simulator.shop import shop
from tidecast_simulator.traffic import Simulation, Traffic

TICK = MONDAY // 60


def of(traffic: Traffic, key: str) -> int:
    return traffic.mesh.index[key]


def test_a_callee_receives_its_callers_requests_times_their_share():
    mesh = chain(entry_rps=100, call={"share": 0.4, "fan_out": 0.5})
    traffic = simulation(mesh).between(TICK, TICK + 500)
    front, back = traffic.arriving.sum(axis=1)
    # Some 600,000 requests: the share's standard error is below 0.001.
    assert back / front == pytest.approx(0.2, abs=0.003)


def test_without_chance_every_request_is_handed_on():
    traffic = simulation(chain(call={"fan_out": 2.0})).between(TICK, TICK + 50)
    np.testing.assert_array_equal(traffic.arriving[1], 2 * traffic.arriving[0])


def test_what_reaches_a_service_is_what_its_callers_and_its_entry_send():
    traffic = simulation(shop(), usual_load()).between(TICK, TICK + 200)
    for position, one in enumerate(traffic.mesh.services):
        if not one.entry_rps:
            sent = traffic.requests[list(traffic.mesh.calls_in[position])].sum(axis=0)
            np.testing.assert_array_equal(traffic.arriving[position], sent)


@pytest.mark.parametrize("level", [1, 6])
def test_any_stretch_of_time_comes_out_the_same_whenever_it_is_asked_for(level):
    # Six times the load is too much, and what was queued is tried again.
    load = Product((usual_load(), Constant(level)))
    whole = Simulation(shop(), load, tick_seconds=15, seed=3).between(4 * TICK, 4 * TICK + 300)
    part = Simulation(shop(), load, tick_seconds=15, seed=3).between(4 * TICK + 217, 4 * TICK + 230)
    for name in set(Traffic.__slots__) - {"mesh", "clock"}:
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[:, 217:230], err_msg=name)


def test_another_seed_is_another_chance():
    first, second = (Simulation(shop(), usual_load(), seed=seed).between(TICK, TICK + 5) for seed in (1, 2))
    assert not np.array_equal(first.requests, second.requests)


def test_latency_rises_with_load_and_is_shared_by_the_caller():
    busier = Steps(((MONDAY + 1800, 16.0),))
    traffic = simulation(chain(entry_rps=100), busier).between(TICK, TICK + 60)
    quiet, busy = traffic.latency_seconds[:, :25].mean(axis=1), traffic.latency_seconds[:, 35:].mean(axis=1)
    back, front = of(traffic, "shop/back"), of(traffic, "shop/front")
    assert busy[back] > 1.3 * quiet[back]
    assert busy[front] - quiet[front] > busy[back] - quiet[back]


def test_more_pods_carry_the_same_load_with_less_waiting():
    few = simulation(chain(capacity_rps=30, replicas=2)).between(TICK, TICK + 50)
    many = simulation(chain(capacity_rps=30, replicas=6)).between(TICK, TICK + 50)
    assert many.latency_seconds[1].mean() < few.latency_seconds[1].mean()


def test_pods_follow_a_schedule():
    mesh = chain(replica_schedule=((MONDAY + 600, 5), (MONDAY + 1200, 1)))
    traffic = simulation(mesh).between(TICK, TICK + 30)
    assert traffic.replicas[1, [0, 9, 10, 19, 20, 29]].tolist() == [2, 2, 5, 5, 1, 1]


def test_errors_of_an_overloaded_callee_spread_to_its_callers():
    mesh = Mesh(
        "three",
        (service("outer", entry_rps=60), service("front"), service("back", capacity_rps=20, replicas=2)),
        (Call("shop/outer", "shop/front", retries=0), Call("shop/front", "shop/back", retries=0)),
    )
    traffic = simulation(mesh).between(TICK, TICK + 100)
    to_front, to_back = (traffic.failed + traffic.refused).sum(axis=1) / traffic.requests.sum(axis=1)
    assert traffic.refused[1].sum() > 0
    assert traffic.refused[0].sum() == 0
    assert to_front == pytest.approx(to_back, rel=0.05)
    assert to_back > 0.3


def test_retries_after_failures_are_more_load_on_the_callee():
    calm = simulation(chain(error_ratio=0.2, call={"retries": 0})).between(TICK, TICK + 100)
    eager = simulation(chain(error_ratio=0.2, call={"retries": 2})).between(TICK, TICK + 100)
    # 1 + 0.2 + 0.04 attempts.
    assert eager.requests.sum() / calm.requests.sum() == pytest.approx(1.24, abs=0.01)


def test_a_queue_hands_on_later_what_came_in():
    rush = Steps(((MONDAY + 1800, 5.0), (MONDAY + 2400, 1.0)))
    mesh = chain(call={"asynchronous": True, "delay_seconds": 600})
    traffic = simulation(mesh, rush).between(TICK, TICK + 90)
    assert np.argmax(traffic.arriving[0]) in range(30, 40)
    assert np.argmax(traffic.arriving[1]) in range(37, 55)
    assert traffic.arriving[1].sum() == pytest.approx(traffic.arriving[0].sum(), rel=0.02)


def test_a_queue_neither_loses_nor_makes_requests():
    kernel = queue_kernel(600, 60)
    assert kernel.sum() == pytest.approx(1)
    assert (np.arange(len(kernel)) + 0.5) @ kernel * 60 == pytest.approx(600, rel=0.1)
    assert delayed(np.eye(1, 100)[0], kernel)[: len(kernel)] == pytest.approx(kernel)


def test_a_sparse_service_is_silent_most_of_the_time_and_called_in_episodes():
    traffic = simulation(chain(sparse=True, call={"share": 0.02})).between(TICK, TICK + 2000)
    silent = (traffic.arriving[1] == 0).mean()
    assert 0.5 < silent < 0.8


def test_cpu_follows_the_requests():
    traffic = simulation(gateway_chain(), usual_load()).between(TICK, TICK + 1440)
    back = of(traffic, "shop/back")
    assert np.corrcoef(traffic.cpu_cores[back], traffic.arriving[back])[0, 1] > 0.95


def test_a_service_without_pods_refuses_everything():
    mesh = chain(replica_schedule=((MONDAY - 86400, 0),))
    traffic = simulation(mesh).between(TICK, TICK + 20)
    assert traffic.refused.sum() == pytest.approx(traffic.requests.sum(), rel=0.01)


def test_a_circle_of_calls_is_refused():
    mesh = chain()
    with pytest.raises(ValueError, match="circle among shop/back, shop/front"):
        dataclasses.replace(mesh, calls=(*mesh.calls, Call("shop/back", "shop/front")))
