from pathlib import Path

import pytest
import yaml

from tidecast_contract.rpc import limits

DEFINITION = Path(__file__).parents[2] / "manifests" / "crds" / "tidecast.dev_forecasters.yaml"


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("stepSeconds", limits.MIN_STEP_SECONDS, limits.MAX_STEP_SECONDS),
        ("windowSteps", 1, limits.MAX_WINDOW_STEPS),
        ("horizonSteps", 1, limits.MAX_HORIZON_STEPS),
    ],
)
def test_whatever_a_forecaster_may_say_is_within_the_limits(name, least, most):
    [version] = yaml.safe_load(DEFINITION.read_text())["spec"]["versions"]
    allowed = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"][name]
    assert least <= allowed["minimum"] <= allowed["maximum"] <= most
