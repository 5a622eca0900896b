import grpc
import pytest

from chart.rendering import NAMESPACE
from chart_real.forbidden import NEVER, NEVER_IN_SOME_NAMESPACES
from chart_real.installed import ACCOUNT as OPERATOR
from chart_real.installed import WHERE
from chart_real.reviewing import Authorizer, Deed
from tidecast_operator.outlets.keda import externalscaler_pb2 as pb
from tidecast_operator.outlets.keda.externalscaler_pb2_grpc import ExternalScalerStub
from tidecast_simulator.testbed import binaries

pytestmark = [pytest.mark.real(*binaries.ALL), pytest.mark.timeout(900)]

SERVER = "tidecast-outlet-server"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:{SERVER}"
# Without an APIService: the API server does not reach pods here, and one that is away is in the way of others.
DOORS = {
    "keda": {"enabled": True, "tls": {"enabled": True}},
    "metricsApi": {"enabled": True},
    "outletServer": {"enabled": True},
}


@pytest.fixture(scope="module")
def here(not_installed):
    """A release whose autoscalers are answered by pods of their own."""
    not_installed.release.install(not_installed.shop.values(operator={"replicas": 1}, **DOORS))
    return not_installed


def asked(here):
    """What KEDA is answered of a forecast that there is not, through the Service and by its name."""
    address = here.node.service_address(NAMESPACE, "tidecast-keda", 8600)
    folder = here.node.folder(NAMESPACE, here.pods("outlet-server")[0], "tls")
    credentials = grpc.ssl_channel_credentials((folder / "ca.crt").read_bytes())
    reference = pb.ScaledObjectRef(name="nothing", namespace="mesh-0", scalerMetadata={"metric": "replicas"})
    with grpc.secure_channel(address, credentials) as channel:
        try:
            ExternalScalerStub(channel).GetMetrics(pb.GetMetricsRequest(scaledObjectRef=reference), timeout=30)
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK


def test_installing_returns_when_whoever_answers_has_a_certificate_and_knows_whom_to_believe(here):
    assert here.release.history == ["deployed"]
    assert (here.ready("tidecast-operator"), here.ready(SERVER)) == (1, 2)
    for pod in here.pods("outlet-server"):
        told = here.told(pod)
        assert "metrics API on port" in told
        assert "KEDA on port" in told


def test_both_know_by_the_relay_what_the_operator_knows(here):
    # Nobody could tell before a cycle has completed.
    here.shop.wait_for(lambda: asked(here) == grpc.StatusCode.NOT_FOUND)

    here.shop.wait_for(lambda: all("client following" in here.told(pod) for pod in here.pods("outlet-server")))


def test_its_account_may_read_whom_to_believe_and_may_do_nothing_else(here):
    authorizer = Authorizer(here.shop.plane)
    reading = Deed("get", "configmaps", "kube-system", "extension-apiserver-authentication")
    try:
        assert authorizer.may(ACCOUNT, reading)
        assert not authorizer.may(OPERATOR, reading)
        assert [str(deed) for deed in (*NEVER, *NEVER_IN_SOME_NAMESPACES) if authorizer.may(ACCOUNT, deed)] == []
    finally:
        authorizer.close()


def test_autoscalers_are_answered_when_the_operator_is_gone_and_nothing_stays_after_an_uninstall(here):
    here.shop.wait_for(lambda: asked(here) == grpc.StatusCode.NOT_FOUND)
    here.remove_operator()

    assert asked(here) == grpc.StatusCode.NOT_FOUND
    assert here.ready(SERVER) == 2
    assert here.complaints("outlet-server") == []
    assert here.shop.objects("pods", WHERE, "--selector=app.kubernetes.io/component=operator") == []
    here.release.uninstall()
    assert here.left() == {}
