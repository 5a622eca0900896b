import json

import numpy as np
import pytest

from builders.meshes import MONDAY, chain, gateway_chain, simulation
from tidecast_contract.features import CPU, ERRORS, LATENCY_P50, LATENCY_P95, READY_REPLICAS, REQUESTS
from tidecast_contract.services import ServiceId
from tidecast_simulator.datasets import to_npz
from tidecast_simulator.load import usual_load
from tidecast_simulator.shop import shop
from tidecast_simulator.truth import call_rates, features

BACK = ServiceId("shop", "Deployment", "back")
FRONT = ServiceId("shop", "Deployment", "front")
UNKNOWN = ServiceId("", "External", "unknown")


def test_the_true_graph_has_every_call_that_was_made_with_its_rate():
    rates = call_rates(simulation(gateway_chain()), start=MONDAY, end=MONDAY + 3600)
    gate = ServiceId("istio-system", "Deployment", "gate")
    assert set(rates) == {(gate, FRONT), (FRONT, BACK), (UNKNOWN, BACK)}
    # Poisson arrivals of 144,000 requests.
    assert rates[FRONT, BACK] == pytest.approx(40, rel=0.02)


def test_true_requests_are_those_along_the_calls():
    truth = features(simulation(gateway_chain()), start=MONDAY + 60, end=MONDAY + 3600)
    rates = call_rates(simulation(gateway_chain()), start=MONDAY, end=MONDAY + 3600)
    assert truth.of(BACK, REQUESTS).mean() == pytest.approx(rates[FRONT, BACK] + rates[UNKNOWN, BACK], rel=1e-5)


def test_a_longer_step_is_the_mean_of_its_ticks():
    single = features(simulation(chain()), start=MONDAY + 60, end=MONDAY + 300)
    longer = features(simulation(chain()), start=MONDAY + 300, end=MONDAY + 300, step_seconds=300)
    assert longer.of(BACK, REQUESTS)[0] == pytest.approx(single.of(BACK, REQUESTS).mean())
    assert longer.of(BACK, CPU)[0] == pytest.approx(single.of(BACK, CPU).mean())


def test_what_nobody_could_know_is_missing():
    truth = features(simulation(gateway_chain()), start=MONDAY, end=MONDAY)
    assert np.isnan(truth.of(UNKNOWN, CPU)).all()
    assert np.isnan(truth.of(UNKNOWN, REQUESTS)).all()
    assert np.isnan(truth.of(ServiceId("istio-system", "Deployment", "gate"), LATENCY_P95)).all()


def test_a_silent_service_has_no_requests_and_no_latency():
    truth = features(simulation(chain(entry_rps=0.0)), start=MONDAY, end=MONDAY)
    assert truth.of(BACK, REQUESTS).tolist() == [0]
    assert np.isnan(truth.of(BACK, LATENCY_P50)).all()
    assert np.isnan(truth.of(BACK, ERRORS)).all()
    assert truth.of(BACK, READY_REPLICAS).tolist() == [2]


def test_times_between_steps_are_refused():
    with pytest.raises(ValueError, match="multiples of 60"):
        features(simulation(chain()), start=MONDAY + 1, end=MONDAY + 60)
    with pytest.raises(ValueError, match="multiple of the tick"):
        features(simulation(chain()), start=MONDAY, end=MONDAY, step_seconds=90)


def test_a_dataset_has_the_form_of_the_recordings(tmp_path):
    path = to_npz(simulation(shop(), usual_load()), tmp_path / "shop.npz", start=MONDAY, end=MONDAY + 600)
    with np.load(path, allow_pickle=False) as arrays:
        meta = json.loads(str(arrays["meta"]))
        assert arrays["data"].shape == (11, 22, 7)
        assert arrays["data"].dtype == np.float32
        assert arrays["edges"].shape == (len(arrays["edge_weight"]), 2)
        assert arrays["features"].tolist()[:4] == ["rps", "p50_ms", "p95_ms", "error_rate"]
        assert arrays["segment"].shape == arrays["time"].shape == (11,)
        frontend = arrays["nodes"].tolist().index("shop/Deployment/frontend")
        assert 20 < arrays["data"][0, frontend, 1] < 500
    assert meta["load"] == "simulated"
