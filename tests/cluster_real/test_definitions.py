import pytest

from builders.operating import forecast_body, forecaster_spec
from tidecast_simulator.testbed.control_plane import CommandFailed

pytestmark = pytest.mark.real

COLUMNS = "NAME TARGET RPS RPS+5M RPS+30M P95 P95+5M REPLICAS HINT MODE TRUSTED READY AGE"


@pytest.mark.parametrize(
    "field", ["spf.spec.targetRef", "spf.status.outlook", "spf.status.hint", "fcst.spec.prometheus"]
)
def test_every_field_explains_itself(definitions, field):
    text = definitions.kubectl("explain", field)

    assert "DESCRIPTION" in text
    assert "<empty>" not in text


def test_the_short_names_and_the_category_are_known(definitions):
    rows = definitions.kubectl("api-resources", "--api-group=tidecast.dev", "--output=wide", "--no-headers")

    assert {row.split()[1] for row in rows.splitlines()} == {"fcst", "spf"}
    assert definitions.kubectl("get", "tidecast", "--all-namespaces", "--ignore-not-found") == ""


async def test_the_columns_are_those_of_the_design(shop, definitions):
    shop.predictor.slope = 1.0
    await shop.run(cycles=2)

    header, row = definitions.kubectl("get", "spf", "-n", "shop").splitlines()

    assert header.split() == COLUMNS.split()
    assert row.split()[:3] == ["checkout", "Deployment/checkout", "2"]
    assert row.split()[-3:-1] == ["False", "True"]  # not trusted yet, and ready


async def test_the_forecasters_columns_say_what_it_sees(shop, definitions):
    await shop.run()

    header, row = definitions.kubectl("get", "fcst").splitlines()

    assert header.split() == ["NAME", "SOURCE", "SERVICES", "CALLS", "MODEL", "SKILL", "LAST", "CYCLE", "READY", "AGE"]
    assert row.split()[2:6] == ["2", "1", "GCN-GRU", "250m"]
    assert row.split()[-2] == "True"


@pytest.mark.parametrize(
    "changes",
    [
        {"stepSeconds": 1},
        {"prometheus": {"url": "prometheus:9090"}},
        {"predictor": {"address": "predictor"}},
        {"telemetry": {"sources": ["Carrier pigeons"]}},
        {"horizonSteps": 0},
    ],
)
def test_a_spec_out_of_bounds_is_refused(apply, changes):
    body = {"apiVersion": "tidecast.dev/v1alpha1", "kind": "Forecaster", "metadata": {"name": "wrong"}}

    with pytest.raises(CommandFailed, match=next(iter(changes))):
        apply(body | {"spec": forecaster_spec(**changes)})


def test_scaling_is_accepted_with_its_defaults(apply, get, namespace):
    body = forecast_body(scaling={"perReplica": "120", "minReplicas": 2, "maxReplicas": 40})
    body["metadata"] = {"namespace": namespace, "name": "checkout"}
    apply(body)

    scaling = get("spf", "-n", namespace, "checkout")["spec"]["scaling"]

    assert (scaling["mode"], scaling["signal"], scaling["quantile"]) == ("Preview", "RequestsPerSecond", "0.9")
