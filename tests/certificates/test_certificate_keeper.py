"""
When the leading replica looks after its certificates, and what it tells of them.
"""

import pytest

from builders.certificates import AUTHORITY, OPERATOR, PREDICTOR, WANTED
from tidecast_operator.api_answers import WriteRefused
from tidecast_operator.certificates.issuer import Issuer
from tidecast_operator.certificates.keeper import SETTLED_SECONDS, UNSETTLED_SECONDS, CertificateKeeper
from tidecast_operator.cluster import StoredSecret
from tidecast_operator.errors import ApiServerUnavailable, Misconfigured
from tidecast_operator.publishing.self_metrics import SelfMetrics

NOW = 1_767_225_600.0


class Look:
    """A keeper whose replica leads as a test says."""

    def __init__(self, cluster):
        self.leads, self.now = True, NOW
        self.told = []
        self.issuer = Issuer(cluster, WANTED, may_write=lambda: self.leads, clock=lambda: self.now)
        self.keeper = CertificateKeeper(self.issuer, leads=lambda: self.leads, told=self.told.append)


async def test_a_keeper_looks_again_soon_after_it_wrote_and_late_when_all_is_well(cluster):
    look = Look(cluster)

    assert [await look.keeper.look() for _ in range(2)] == [UNSETTLED_SECONDS, SETTLED_SECONDS]
    assert look.told[-1].keys() == {AUTHORITY, OPERATOR, PREDICTOR}


@pytest.mark.parametrize(
    "error", [Misconfigured("permissions", "forbidden", "grant it"), WriteRefused("the API server refuses: immutable")]
)
async def test_while_writes_are_refused_the_gauge_tells_when_the_certificate_that_is_in_use_expires(cluster, error):
    look, metrics = Look(cluster), SelfMetrics()
    look.keeper = CertificateKeeper(look.issuer, leads=lambda: True, told=metrics.certificates)
    await look.keeper.look()
    before = shown(metrics)

    def refuse(_):
        raise error

    cluster.at_write = refuse
    look.now += 61 * 86_400  # it is due
    await look.keeper.look()
    assert before == shown(metrics)
    assert before[PREDICTOR] == NOW + 90 * 86_400
    cluster.at_write = lambda _: None
    await look.keeper.look()

    assert shown(metrics)[PREDICTOR] == look.now + 90 * 86_400


def shown(metrics):
    lines = (line.split() for line in metrics.exposition().decode().splitlines() if "_expiry_" in line)
    return {name.split('"')[1]: float(value) for name, value, *_ in lines if '"' in name}


async def test_a_keeper_that_does_not_lead_reads_nothing(cluster):
    look = Look(cluster)
    look.leads = False
    cluster.errors[AUTHORITY] = AssertionError("read")

    assert await look.keeper.look() == UNSETTLED_SECONDS
    assert look.told == [{}]


@pytest.mark.parametrize("error", [ApiServerUnavailable("away"), RuntimeError("a bug"), ValueError("another")])
async def test_nothing_that_goes_wrong_ends_a_keeper(cluster, caplog, error):
    look = Look(cluster)
    cluster.errors[AUTHORITY] = error
    assert await look.keeper.look() == SETTLED_SECONDS
    assert "issued" in caplog.text
    cluster.errors.clear()

    await look.keeper.look()
    assert "tls.crt" in cluster.data(PREDICTOR)


async def test_a_problem_is_logged_once_and_so_is_its_end(cluster, caplog):
    caplog.set_level("INFO")
    look = Look(cluster)
    held: StoredSecret = cluster.secrets.pop(PREDICTOR)
    for _ in range(3):
        await look.keeper.look()
    cluster.secrets[PREDICTOR] = held
    for _ in range(2):
        await look.keeper.look()

    assert caplog.text.count("there is no Secret") == 1
    assert [record.getMessage() for record in caplog.records].count("all certificates are issued") == 1
