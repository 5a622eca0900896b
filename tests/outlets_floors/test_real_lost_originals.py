"""
Floors on the real API server whose annotations somebody took away.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from builders.autoscaled_shop import HPA, NOTHING
from builders.autoscalers import board
from tidecast_operator.outlets.floors.claim import ANNOTATIONS, ORIGINAL

pytestmark = pytest.mark.real


def annotate(shop, *changes):
    shop.kubectl("annotate", "--overwrite", HPA, "checkout", "--namespace", shop.namespace, *changes)


@pytest.mark.parametrize(
    "changes", [[f"{ORIGINAL}=two"], [f"{name}-" for name in ANNOTATIONS]], ids=["garbled", "gone"]
)
def test_the_command_names_it_and_ends_with_1(shop, floors, control_plane, changes):
    shop.apply()
    floors.follow(board(shop.entry(9)))
    annotate(shop, *changes)

    command = [f"--kubeconfig={control_plane.kubeconfig}", f"--namespace={shop.namespace}"]
    done = subprocess.run(
        [Path(sys.executable).with_name("tidecast-operator"), "release-floors", *command],
        check=False,
        timeout=60,
        stderr=subprocess.PIPE,
        text=True,
    )

    assert done.returncode == 1
    assert f"HorizontalPodAutoscaler {shop.namespace}/checkout: annotation {ORIGINAL}" in done.stderr
    assert (shop.floor, shop.marks) == (9, NOTHING)


def test_an_autoscaler_that_its_owner_replaced_is_no_loss(shop, floors):
    shop.apply()
    floors.follow(board(shop.entry(9)))
    shop.kubectl("replace", "-f", "-", stdin=json.dumps(shop.body(floor=3)))

    report = floors.release_all([shop.namespace])

    assert not report.lost
    assert (shop.floor, shop.marks) == (3, NOTHING)
