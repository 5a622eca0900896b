"""
The interface as it goes over the wire, and the code that is made from it.
"""

import subprocess
import sys

import pytest

from builders.documents import ROOT
from tidecast_operator.outlets.keda import externalscaler_pb2 as pb
from tidecast_operator.outlets.keda.server import HEALTH_NAMES

COMMITTED = ROOT / "operator" / "tidecast_operator" / "outlets" / "keda"
FIELDS = {
    "ScaledObjectRef": {"name": 1, "namespace": 2, "scalerMetadata": 3},
    "IsActiveResponse": {"result": 1},
    "GetMetricSpecResponse": {"metricSpecs": 1},
    "MetricSpec": {"metricName": 1, "targetSize": 2, "targetSizeFloat": 3},
    "GetMetricsRequest": {"scaledObjectRef": 1, "metricName": 2},
    "GetMetricsResponse": {"metricValues": 1},
    "MetricValue": {"metricName": 1, "metricValue": 2, "metricValueFloat": 3},
}
"""As KEDA has published them."""


def test_messages_have_the_fields_and_numbers_that_keda_has_published():
    messages = pb.DESCRIPTOR.message_types_by_name

    assert {name: {field.name: field.number for field in one.fields} for name, one in messages.items()} == FIELDS


def test_the_service_has_the_name_and_the_methods_that_keda_calls():
    (service,) = pb.DESCRIPTOR.services_by_name.values()
    streamed = {method.name: method.server_streaming for method in service.methods}

    assert service.full_name == "externalscaler.ExternalScaler"
    assert service.full_name in HEALTH_NAMES
    assert streamed == {
        "IsActive": False,
        "StreamIsActive": True,
        "GetMetricSpec": False,
        "GetMetrics": False,
        "StreamMetricSpec": True,
    }


def test_a_request_has_the_bytes_that_keda_sends():
    sent = b"\n\x18\n\x08checkout\x12\x04shop\x1a\x06\n\x01a\x12\x01b\x12\x04load"

    request = pb.GetMetricsRequest.FromString(sent)

    assert (request.scaledObjectRef.name, request.scaledObjectRef.namespace) == ("checkout", "shop")
    assert (dict(request.scaledObjectRef.scalerMetadata), request.metricName) == ({"a": "b"}, "load")


@pytest.mark.parametrize("ending", ["_pb2.py", "_pb2.pyi", "_pb2_grpc.py"])
def test_making_the_code_again_changes_nothing(tmp_path, ending):
    command = [sys.executable, "-m", "grpc_tools.protoc", "--proto_path=."]
    command += [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")]
    proto = "tidecast_operator/outlets/keda/externalscaler.proto"
    subprocess.run([*command, proto], cwd=ROOT / "operator", check=True)

    name = f"externalscaler{ending}"
    made = tmp_path / "tidecast_operator" / "outlets" / "keda" / name
    assert made.read_text() == (COMMITTED / name).read_text(), "run scripts/generate-protos.sh"
