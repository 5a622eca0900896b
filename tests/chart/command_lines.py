"""
What the containers of the chart are told, as their programs understand it, and where they find their files.
"""

import argparse
from collections.abc import Sequence
from typing import Any

import yaml

from chart.rendering import Object, container, named, pods
from tidecast_operator import cli as operator_cli
from tidecast_predictor import cli as predictor_cli

OPERATOR, PREDICTOR = "tidecast-operator/operator", "tidecast-predictor/predictor"


def flags(found: Sequence[Object], name: str) -> argparse.Namespace:
    """The command line of a container, as its program understands it."""
    one = container(found, name)
    cli = predictor_cli if "predictor" in one["image"] else operator_cli
    return cli._parser().parse_args(one["args"])


def forecaster(found: Sequence[Object]) -> dict[str, Any]:
    """The manifest in the file that the operator gets."""
    return yaml.safe_load(named(found, "ConfigMap", "tidecast-forecaster")["data"]["forecaster.yaml"])


def mounts(found: Sequence[Object], name: str) -> dict[str, str]:
    """The volumes of a container, by the path where it sees them."""
    return {mount["mountPath"]: mount["name"] for mount in container(found, name)["volumeMounts"]}


def source(found: Sequence[Object], pod: str, path: str) -> str:
    """The Secret that a container of a pod sees at a path."""
    spec = pods(found)[pod]["spec"]
    (name,) = {
        mount["name"] for one in spec["containers"] for mount in one["volumeMounts"] if mount["mountPath"] == path
    }
    (volume,) = [one for one in spec["volumes"] if one["name"] == name]
    return volume["secret"]["secretName"]
