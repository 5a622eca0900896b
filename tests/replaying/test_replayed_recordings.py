"""
Recordings from files and from Prometheus, and which of their workloads are replayed.
"""

import json

import numpy as np
import pytest

from builders.operating import forecast_body, namespace_body
from builders.replays import CART, START, STEP, WEB, recording, waves, write_npz
from builders.telemetry import calls, cluster, observations, series, traffic, workload_body, workload_peer
from tidecast_contract.features import CPU, LATENCY_P95, READY_REPLICAS, REQUESTS, index_of
from tidecast_contract.services import ServiceId
from tidecast_operator.errors import Misconfigured, NotEnoughData
from tidecast_operator.replaying import npz_reading
from tidecast_operator.replaying.candidates import Asked, choose
from tidecast_operator.replaying.cluster_reading import Labels, read_objects
from tidecast_operator.replaying.fetching import fetch
from tidecast_operator.resources import ForecastResource
from tidecast_operator.telemetry.series import Grid
from tidecast_simulator.datasets import to_npz
from tidecast_simulator.load import usual_load
from tidecast_simulator.shop import shop
from tidecast_simulator.traffic import Simulation
from tidecast_simulator.truth import features


def test_a_recording_of_the_simulator_is_read_in_the_units_of_the_contract(tmp_path):
    simulation = Simulation(shop(), usual_load(0), tick_seconds=60.0, seed=0)
    end = START + 7200
    made = npz_reading.read(to_npz(simulation, tmp_path / "shop.npz", start=START, end=end))
    truth = features(simulation, start=START, end=end, step_seconds=STEP)

    assert made.services == tuple(truth.services)
    assert (made.start_time, made.end_time, made.step_seconds) == (START, end, STEP)
    np.testing.assert_allclose(made.values, truth.values, rtol=1e-5)
    assert made.about["load"] == "simulated"
    assert made.calls.shape[1] == len(made.rates) > 10


def test_where_time_leaps_there_are_steps_without_measurements(tmp_path):
    times = START + STEP * np.array([0, 1, 2, 7, 8])
    made = npz_reading.read(write_npz(tmp_path / "a.npz", waves(5), time=times))

    measured = np.isfinite(made.values[:, 0, index_of(REQUESTS)])
    assert measured.tolist() == [True] * 3 + [False] * 4 + [True] * 2
    assert made.is_measured().tolist() == measured.tolist()


def test_steps_beside_the_grid_are_put_onto_it(tmp_path):
    made = npz_reading.read(write_npz(tmp_path / "a.npz", waves(5), time=START + 17 + STEP * np.arange(5)))

    assert (made.start_time, made.steps) == (START, 5)
    assert made.window(4, 3).end_time % STEP == 0


def test_what_cannot_be_is_missing(tmp_path):
    loads = waves(5)
    loads[1, 0], loads[2, 0] = np.inf, -1
    made = npz_reading.read(write_npz(tmp_path / "a.npz", loads))

    assert np.isfinite(made.values[:, 0, index_of(REQUESTS)]).tolist() == [True, False, False, True, True]


def test_names_that_are_no_workloads_are_taken_as_they_are(tmp_path):
    made = npz_reading.read(write_npz(tmp_path / "a.npz", waves(5), nodes=np.array(["web", "a/b"])))

    assert [service.name for service in made.services] == ["web", "a_b"]
    assert not any(service.is_external for service in made.services)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"data": None}, "'data'"),
        ({"edges": None}, "'edges'"),
        ({"data": np.zeros((5, 2))}, "make it numbers of shape"),
        ({"nodes": np.array(["a"])}, "holds 1 names; give 2"),
        ({"nodes": np.array(["x/y", "x_y"])}, "names two services alike"),
        ({"features": np.array(["p50_ms", "mem"])}, "one of them has to be rps or cpu"),
        ({"features": np.array(["rps"])}, "give 2"),
        ({"time": np.array([1, 2, 3])}, "give unix seconds"),
        ({"time": START + STEP * np.array([0, 2, 1, 3, 4])}, "does not rise at step 2"),
        ({"time": START + np.array([0, 60, 120, 180, 185])}, "closer than 60 s"),
        ({"time": START + STEP * np.array([0, 1, 2, 3, 2**31])}, "keep only the days that belong together"),
        ({"edges": np.array([[0, 2]])}, "names service 2"),
        ({"edges": np.array([[0.5, 1.0]])}, "make it whole numbers"),
        ({"edges": np.array([[0, 1]]), "edge_weight": np.array([-1.0])}, "edge_weight"),
        ({"meta": np.array("{")}, "is no JSON"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_the_key_and_the_remedy(tmp_path, changes, told):
    path = write_npz(tmp_path / "a.npz", waves(5), **changes)

    with pytest.raises(Misconfigured) as refused:
        npz_reading.read(path)
    assert refused.value.field == "--recording"
    assert told in str(refused.value)
    assert "a.npz" in str(refused.value)


def test_a_file_that_is_none_is_refused(tmp_path):
    (tmp_path / "a.npz").write_text("no zip")

    for name in ("a.npz", "b.npz"):
        with pytest.raises(Misconfigured, match=r"write it with numpy\.savez"):
            npz_reading.read(tmp_path / name)


def test_a_window_ends_at_its_step():
    made = recording(waves(50))
    window = made.window(20, 10)

    assert (window.steps, window.end_time) == (10, made.time_of(20))
    assert made.window(3, 10).steps == 4
    assert made.step_at(made.time_of(7)) == 7
    assert made.step_at(made.time_of(7) + 1) == 8


def test_what_a_replica_carries_is_given_or_learned():
    loads = waves(300)
    made = recording(loads)
    made.values[..., index_of(LATENCY_P95)] = 0.1
    given = choose(made, Asked(scaling={"perReplica": "50"})).each
    learned = choose(made, Asked()).each

    assert [candidate.capacity.per_replica for candidate in given] == [50, 50]
    assert all(candidate.capacity.is_learned for candidate in learned)
    assert 0.5 < learned[0].capacity.per_replica / (loads[:, 0].max() / 3) <= 1.01


def test_workloads_whose_capacity_is_not_known_are_left_out_and_named():
    made = recording(waves(300))
    made.values[:, 0, index_of(LATENCY_P95)] = 0.1
    chosen = choose(made, Asked())

    assert [candidate.service for candidate in chosen.each] == [WEB]
    assert "give --per-replica" in chosen.left_out[str(CART)]


def test_a_workload_is_found_by_its_name_or_that_of_its_resource_in_any_namespace():
    made = recording(waves(10))
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "cart"}
    resource = ForecastResource.parse(forecast_body("basket", targetRef=target, scaling={"minReplicas": 4}))
    asked = [
        Asked("shop", "cart", {"perReplica": "50"}, (resource,)),
        Asked("shop", "basket", {"perReplica": "50"}, (resource,)),
        Asked("", "basket", {"perReplica": "50"}, (resource,)),
    ]

    for one in asked:
        (candidate,) = choose(made, one).each
        assert (candidate.service, candidate.bounds[0]) == (CART, 4)


def test_what_is_given_counts_before_what_a_resource_says():
    resource = ForecastResource.parse(
        forecast_body(
            "web", targetRef={"kind": "Deployment", "name": "web"}, scaling={"perReplica": "7", "minReplicas": 4}
        )
    )
    web, cart = choose(recording(waves(10)), Asked(scaling={"perReplica": "50"}, resources=(resource,))).each

    assert (web.scaling.per_replica, web.scaling.min_replicas) == (50, 4)
    assert cart.scaling.min_replicas == 1


def test_the_load_is_that_of_the_signal():
    made = recording(waves(10))
    made.values[:, 0, index_of(CPU)] = 0.25
    chosen = choose(made, Asked(scaling={"perReplica": "100m", "signal": "CPU"}))

    assert chosen.each[0].capacity.per_replica == pytest.approx(0.1)
    assert "CPU was never measured" in chosen.left_out[str(CART)]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (Asked(namespace="bank"), "--namespace: nothing of 'bank' was measured; write one of shop"),
        (Asked(name="web2"), "--name: nothing of 'web2' was measured; write one of cart, web"),
        (Asked(scaling={"perReplica": "much"}), "--per-replica: 'much' is no quantity"),
        (Asked(scaling={"quantile": "2"}), "--quantile: '2' is out of range"),
        (Asked(scaling={"minReplicas": 5, "maxReplicas": 2}), "--min-replicas: 5 exceeds"),
    ],
)
def test_what_cannot_be_chosen_names_the_flag(asked, told):
    with pytest.raises(Misconfigured) as refused:
        choose(recording(waves(10)), asked)
    assert told in str(refused.value)


def test_when_nothing_can_be_replayed_it_is_said_why():
    with pytest.raises(NotEnoughData, match="give --per-replica"):
        choose(recording(waves(10)), Asked())


class FakeCollector:
    """Ten steps of two workloads an hour; of some hours nothing."""

    def __init__(self, silent=()):
        self.asked, self.silent, self.detected = [], silent, []

    def detect(self, *, at=None):
        self.detected.append(at)
        return () if at in self.silent else ("Istio",)

    def collect(self, start_time, end_time, step_seconds):
        self.asked.append((start_time, end_time))
        steps = (end_time - start_time) // step_seconds + 1
        late = () if len(self.asked) == 1 else (workload_peer("cart"),)
        peers = {peer: [float(len(self.asked))] * steps for peer in (workload_peer("web"), *late)}
        resources = {READY_REPLICAS: series({workload_peer("web", kind="StatefulSet"): [3.0] * steps}, steps)}
        made = traffic(
            calls=calls(*((workload_peer("web"), peer, 2.0) for peer in late)),
            requests=series(peers, steps),
            errors=series({}, steps),
            latencies={},
        )
        return observations(made, end_time=end_time, steps=steps, resources=resources)


def fetched(tmp_path, collector, hours=12, workloads=None):
    grid = Grid(START, START + hours * 3600 - STEP, STEP)
    told = []
    made = fetch(collector, grid, tmp_path, workloads=workloads, tell=told.append)
    return made, told


def test_days_are_fetched_in_chunks_and_put_together(tmp_path):
    collector = FakeCollector()
    made, told = fetched(tmp_path, collector)

    assert collector.asked == [(START, START + 6 * 3600 - STEP), (START + 6 * 3600, START + 12 * 3600 - STEP)]
    assert made.values.shape[:2] == (720, 2)
    web, cart = (
        made.services.index(ServiceId("shop", kind, name))
        for kind, name in (("StatefulSet", "web"), ("Deployment", "cart"))
    )
    assert made.values[[0, 359, 360, 719], web, 0].tolist() == [1, 1, 2, 2]
    assert np.isnan(made.values[:360, cart, 0]).all()
    assert made.values[360:, cart, 0].tolist() == [2] * 360
    assert made.rates.tolist() == [1.0]  # two a second, for half of the time
    assert [(one.done, one.total) for one in told] == [(360, 720), (720, 720)]


def test_a_time_without_telemetry_is_missing(tmp_path):
    collector = FakeCollector(silent=(START + 12 * 3600 - STEP,))
    made, _ = fetched(tmp_path, collector, hours=18)

    assert len(collector.asked) == 2
    assert made.is_measured().tolist() == [True] * 360 + [False] * 360 + [True] * 360
    assert len(list(tmp_path.iterdir())) == 1


def test_sources_are_looked_for_at_the_time_that_is_fetched(tmp_path):
    collector = FakeCollector()
    fetched(tmp_path, collector, hours=6)

    assert collector.detected == [START + 6 * 3600 - STEP]


def test_without_any_telemetry_it_is_said_what_to_do(tmp_path):
    with pytest.raises(NotEnoughData, match="correct --from and --to"):
        fetched(tmp_path, FakeCollector(silent=(START + 6 * 3600 - STEP,)), hours=6)


def test_workloads_of_the_cluster_count_before_labels(tmp_path):
    made, _ = fetched(tmp_path, FakeCollector(), workloads=cluster(workload_body("cart")))

    assert {service.name for service in made.services if not service.is_external} == {"cart"}


def test_a_kind_that_no_label_tells_is_deployment():
    seen = Labels().seen(observations())

    assert ServiceId("shop", "Deployment", "checkout") in seen.workloads


def test_objects_are_read_as_kubectl_writes_them(tmp_path):
    path = tmp_path / "objects.json"
    items = [namespace_body(), workload_body("cart"), forecast_body("cart", scaling={"minReplicas": 2})]
    path.write_text(json.dumps({"kind": "List", "items": items}))
    objects = read_objects(path)

    assert set(objects.workloads.workloads) == {CART}
    assert [resource.scaling for resource in objects.resources] == [{"minReplicas": 2}]


@pytest.mark.parametrize("text", ["{", "[]", '{"items": []}', '{"items": [{"kind": "Deployment"}]}'])
def test_a_file_without_objects_is_refused_with_the_command_that_writes_one(tmp_path, text):
    path = tmp_path / "objects.json"
    path.write_text(text)

    with pytest.raises(Misconfigured, match=r"--objects: .* kubectl get namespaces"):
        read_objects(path)
