import pytest

from tidecast_contract.features import CPU, REQUESTS
from tidecast_operator.errors import Misconfigured
from tidecast_operator.scaling import Mode, Scaling, parse


def test_what_is_left_out_previews_requests_at_p90_over_three_minutes():
    assert parse({}) == Scaling(
        mode=Mode.PREVIEW, signal=REQUESTS, per_replica=None, quantile=0.9, lead_time_seconds=180, min_replicas=1
    )


def test_every_field_is_read():
    spec = {
        "mode": "Active",
        "signal": "CPU",
        "perReplica": "1500m",
        "quantile": "0.75",
        "leadTimeSeconds": 0,
        "minReplicas": 2,
        "maxReplicas": 40,
        "horizontalPodAutoscalerName": "checkout",
    }

    assert parse(spec) == Scaling(Mode.ACTIVE, CPU, 1.5, 0.75, 0, 2, 40, "checkout")


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        pytest.param({"mode": "active"}, "mode", id="a mode in small letters"),
        pytest.param({"signal": "Memory"}, "signal", id="a signal that is none"),
        pytest.param({"perReplica": "0"}, "perReplica", id="a replica that carries nothing"),
        pytest.param({"perReplica": "nan"}, "perReplica", id="a replica that carries nobody knows what"),
        pytest.param({"perReplica": "inf"}, "perReplica", id="a replica that carries everything"),
        pytest.param({"perReplica": "1e-320"}, "perReplica", id="a replica that carries next to nothing"),
        pytest.param({"perReplica": "many"}, "perReplica", id="no quantity"),
        pytest.param({"quantile": "0.3"}, "quantile", id="a quantile below the median"),
        pytest.param({"quantile": "1"}, "quantile", id="the quantile 1"),
        pytest.param({"leadTimeSeconds": -1}, "leadTimeSeconds", id="a lead time in the past"),
        pytest.param({"minReplicas": 0}, "minReplicas", id="a minimum of 0"),
        pytest.param({"maxReplicas": True}, "maxReplicas", id="a maximum that is no number"),
        pytest.param({"minReplicas": 5, "maxReplicas": 4}, "minReplicas", id="more than the maximum"),
    ],
)
def test_what_cannot_be_followed_is_named_with_a_remedy(spec, field):
    with pytest.raises(Misconfigured) as caught:
        parse(spec)

    assert caught.value.field == f"spec.scaling.{field}"
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("text", "value"), [("1k", 1000.0), ("2M", 2e6), ("500m", 0.5), ("20000000n", 0.02), (".5", 0.5)]
)
def test_every_suffix_that_the_schema_takes_is_read(text, value):
    assert parse({"perReplica": text}).per_replica == pytest.approx(value)
