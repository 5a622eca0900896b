"""
`tidecast-operator clean-up` on the real API server, while an operator leads and raises floors all the time.
"""

import math
import subprocess
import sys
import threading
import uuid
from contextlib import closing, contextmanager

import pytest

from builders.autoscaled_shop import Shop
from builders.autoscalers import NOW, board
from builders.operating import forecaster_spec
from builders.service_accounts import kubeconfig_of
from builders.waiting import eventually
from tidecast_operator.autoscalers import Autoscalers
from tidecast_operator.clean_up import HOLDER
from tidecast_operator.cluster import load_configuration
from tidecast_operator.forecaster_file import Manifest
from tidecast_operator.forecasters import Forecasters
from tidecast_operator.leadership import Candidate, Leadership
from tidecast_operator.leases import Leases
from tidecast_operator.outlets.floors.floors import Floors

pytestmark = pytest.mark.real


@pytest.fixture
def own(new_namespace):
    """Where the operator's Lease lives."""
    return new_namespace("own")


@pytest.fixture
def shop(control_plane, namespace):
    made = Shop(control_plane, namespace)
    made.apply()
    return made


class Replica:
    """What of an operator raises floors: it takes the Lease, renews it, and follows a board at every moment."""

    def __init__(self, plane, own, shop):
        def configuration():
            return load_configuration(plane.kubeconfig)

        self.leases, self.autoscalers = Leases(configuration()), Autoscalers(configuration())
        self.leadership = Leadership(self.leases, Candidate(f"pod-{uuid.uuid4().hex[:4]}", own))
        self.floors = Floors(self.autoscalers, may_write=lambda: self.leadership.is_leader, clock=lambda: NOW)
        self.board, self.stop = board(shop.entry()), threading.Event()
        self.threads = [threading.Thread(target=run) for run in (self._lead, self._follow)]

    def _lead(self):
        while not self.stop.wait(1):
            self.leadership.step()

    def _follow(self):
        while not self.stop.wait(0.05):
            self.floors.follow(self.board)


@contextmanager
def leading(plane, own, shop):
    replica = Replica(plane, own, shop)
    replica.leadership.step()
    for thread in replica.threads:
        thread.start()
    try:
        eventually(lambda: shop.floor == 9)
        yield replica
    finally:
        replica.stop.set()
        for thread in replica.threads:
            thread.join()
        replica.leases.close()
        replica.autoscalers.close()


def clean_up(plane, own, *flags):
    """The command, in a process of its own."""
    command = [sys.executable, "-m", "tidecast_operator", "clean-up", f"--kubeconfig={plane.kubeconfig}"]
    return subprocess.run(
        [*command, f"--lease-namespace={own}", *flags], capture_output=True, text=True, check=False, timeout=120
    )


def test_floors_stay_given_back_though_an_operator_runs(control_plane, own, shop):
    with leading(control_plane, own, shop) as replica:
        done = clean_up(control_plane, own, f"--namespace={shop.namespace}")

        assert (done.returncode, shop.floor) == (0, 2), done.stderr
        for _ in range(20):
            replica.stop.wait(0.25)
            assert shop.floor == 2
        assert replica.leadership.holder == HOLDER


def test_a_second_replica_does_not_take_over_what_was_put_to_rest(control_plane, own, shop):
    with leading(control_plane, own, shop):
        assert clean_up(control_plane, own, f"--namespace={shop.namespace}").returncode == 0

        with closing(Leases(load_configuration(control_plane.kubeconfig))) as leases:
            assert not Leadership(leases, Candidate("late", own)).step()


def test_an_operator_goes_on_when_it_is_told_to_as_the_command_says(control_plane, own, shop):
    with leading(control_plane, own, shop) as replica:
        done = clean_up(control_plane, own, f"--namespace={shop.namespace}")
        told = next(line for line in done.stderr.splitlines() if "kubectl" in line).partition("kubectl ")[2]
        assert shop.floor == 2

        control_plane.kubectl(*told.replace("'", "").split())

        assert eventually(lambda: shop.floor == 9)
        assert replica.leadership.is_leader


def test_it_works_without_an_operator_and_a_second_time(control_plane, own, shop):
    with closing(Autoscalers(load_configuration(control_plane.kubeconfig))) as autoscalers:
        floors = Floors(autoscalers, may_write=lambda: True, clock=lambda: NOW, budget_seconds=math.inf)
        floors.follow(board(shop.entry()))
    assert shop.floor == 9

    for _ in range(2):
        done = clean_up(control_plane, own, f"--namespace={shop.namespace}", "--with-forecaster")
        assert (done.returncode, shop.floor) == (0, 2), done.stderr
    with closing(Leases(load_configuration(control_plane.kubeconfig))) as leases:
        assert leases.read_lease(own, "tidecast-operator") is None, "nothing is left that was not there before"


def test_a_floor_that_cannot_be_given_back_is_told_and_counts(control_plane, own, shop, tmp_path):
    with closing(Autoscalers(load_configuration(control_plane.kubeconfig))) as autoscalers:
        Floors(autoscalers, may_write=lambda: True, clock=lambda: NOW).follow(board(shop.entry()))
    control_plane.kubectl("create", "serviceaccount", "looker", "-n", own)
    for namespace, resource in (
        (shop.namespace, "horizontalpodautoscalers.autoscaling"),
        (own, "leases.coordination.k8s.io"),
    ):
        where = ("looks", "-n", namespace)
        control_plane.kubectl("create", "role", *where, "--verb=get,list", f"--resource={resource}")
        control_plane.kubectl("create", "rolebinding", *where, "--role=looks", f"--serviceaccount={own}:looker")
    kubeconfig = kubeconfig_of(control_plane, own, "looker", tmp_path)

    done = clean_up(control_plane, own, f"--kubeconfig={kubeconfig}", f"--namespace={shop.namespace}")

    assert (done.returncode, shop.floor) == (1, 9)
    assert "cannot patch resource" in done.stderr


def test_the_forecaster_of_a_file_goes_and_another_one_stays(definitions, own, apply):
    definitions.kubectl("delete", "forecasters.tidecast.dev", "--all")
    body = Manifest({}, {}, forecaster_spec()).to_body({"app.kubernetes.io/managed-by": "tidecast-file"})
    flags = ("--without-floors", "--with-forecaster")
    with closing(Forecasters(load_configuration(definitions.kubeconfig))) as forecasters:
        forecasters.apply(body)
        assert clean_up(definitions, own, "--without-floors").returncode == 0
        assert forecasters.find() is not None
        assert clean_up(definitions, own, *flags).returncode == 0
        assert forecasters.find() is None

        apply({**body, "metadata": {"name": "default"}})
        assert clean_up(definitions, own, *flags).returncode == 0
        assert forecasters.find() is not None
    definitions.kubectl("delete", "forecasters.tidecast.dev", "--all")
