import pytest
import requests

from tidecast_simulator.testbed.gateway import Fault, Gateway, half_of_the_series, no_series

pytestmark = pytest.mark.real("prometheus")
TWENTY = " or ".join(f"label_replace(vector({n}), 'number', '{n}', '', '')" for n in range(20))


@pytest.fixture
def gateway(start_prometheus):
    with Gateway(start_prometheus().url) as gateway:
        yield gateway


def ask(gateway, timeout=10):
    return requests.post(f"{gateway.url}/api/v1/query", data={"query": TWENTY}, timeout=timeout)


def numbers(answer):
    return {series["metric"]["number"] for series in answer.json()["data"]["result"]}


def test_on_a_good_day_it_passes_on_what_prometheus_says(gateway):
    assert len(numbers(ask(gateway))) == 20
    assert gateway.requests == 1


def test_a_fault_ends_with_its_block(gateway):
    with gateway.suffering(Fault(status=503)):
        assert ask(gateway).status_code == 503
    assert ask(gateway).status_code == 200


def test_half_of_the_series_go_missing_and_always_the_same(gateway):
    with gateway.suffering(Fault(keep=half_of_the_series)):
        first, second = numbers(ask(gateway)), numbers(ask(gateway))
    assert first == second
    assert 4 < len(first) < 16


def test_an_empty_prometheus_answers_without_series(gateway):
    with gateway.suffering(Fault(keep=no_series)):
        assert numbers(ask(gateway)) == set()


def test_a_slow_prometheus_runs_into_the_timeout_of_who_asks(gateway):
    with gateway.suffering(Fault(delay_seconds=1)), pytest.raises(requests.ReadTimeout):
        ask(gateway, timeout=0.2)


def test_a_prometheus_that_is_gone_is_a_bad_gateway(gateway):
    gateway.upstream = "http://127.0.0.1:1"
    assert ask(gateway).status_code == 502
