"""
All of Tidecast, running: predictor and operator as processes of their own beside a control plane and a Prometheus.

Works from a checkout only: the custom resource
definitions are those of `manifests/`.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from tidecast_simulator.testbed import tidecast
from tidecast_simulator.testbed.control_plane import CommandFailed, ControlPlane
from tidecast_simulator.testbed.process import NotReady, free_port
from tidecast_simulator.testbed.program import Program

MANIFESTS = Path(__file__).parents[3] / "manifests"
OPT_IN = {"tidecast.dev/forecast": "enabled"}
_POLL_SECONDS = 0.25
_Answer = TypeVar("_Answer")


class World:
    """
    A control plane, a Prometheus, a predictor and an operator; as a context manager it ends the latter two.

    The control plane and the Prometheus belong to whoever made them; the only Forecaster that the operator follows,
    `default`, is deleted at the end, since another world may use the same control plane.

    Attributes:
        directory: For the logs and the predictor's data.
        control_plane: Where the resources are.
        prometheus_url: What the Forecaster names.
        predictor: Its process; not started yet.
        operator: Its process; not started yet.
    """

    def __init__(
        self,
        directory: Path,
        *,
        control_plane: ControlPlane,
        prometheus_url: str,
        predictor_arguments: Sequence[str] = (),
    ) -> None:
        self.directory = directory.resolve()
        self.control_plane = control_plane
        self.prometheus_url = prometheus_url
        self.predictor_address = f"127.0.0.1:{free_port()}"
        self.predictor = tidecast.predictor(self.directory, self.predictor_address, predictor_arguments)
        self.operator = self.new_operator()

    @classmethod
    def start(
        cls,
        directory: Path,
        *,
        control_plane: ControlPlane,
        prometheus_url: str,
        predictor_arguments: Sequence[str] = (),
        **spec: object,
    ) -> Self:
        """
        Apply the definitions, start predictor and operator, and apply a Forecaster.

        Args:
            directory: For logs and data.
            control_plane: A running one.
            prometheus_url: Of a Prometheus, or of a `Gateway` before it.
            predictor_arguments: More flags for the predictor's command line.
            spec: Replaces fields of the Forecaster's spec, see `forecaster`.

        Raises:
            NotReady: If a program does not start.
            CommandFailed: If the API server refuses something.
        """
        world = cls(
            directory,
            control_plane=control_plane,
            prometheus_url=prometheus_url,
            predictor_arguments=predictor_arguments,
        )
        try:
            world.install_definitions()
            world.predictor.start(wait_seconds=120)
            world.operator.start(wait_seconds=60)
            world.apply(world.forecaster(**spec))
        except BaseException:
            world.stop()
            raise
        return world

    def stop(self) -> None:
        """End the operator and the predictor, and delete the Forecaster."""
        self.operator.stop()
        self.predictor.stop()
        try:
            self.kubectl("delete", "forecasters.tidecast.dev", "--all", "--ignore-not-found", timeout_seconds=20)
        except CommandFailed:
            return  # an API server that is gone has nothing to tidy

    def install_definitions(self) -> None:
        """Apply the custom resource definitions and make the namespace of the operator's Lease."""
        # An API server before 1.25 drops what it does not know, but its description makes kubectl refuse it.
        self.kubectl("apply", "--validate=false", "-f", str(MANIFESTS / "crds"))
        definitions = ("crd/forecasters.tidecast.dev", "crd/serviceperformanceforecasts.tidecast.dev")
        self.kubectl("wait", "--for=condition=Established", *definitions)
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "tidecast-system"}})

    def new_operator(self, name: str = "operator", arguments: Sequence[str] = ()) -> Program:
        """Another operator on the same cluster, not started yet; *name* is its identity and names its log."""
        return tidecast.operator(self.directory, self.control_plane.kubeconfig, name, arguments)

    def forecaster(self, **spec: object) -> dict[str, Any]:
        """The Forecaster `default` for this world, with fields of its spec replaced or added."""
        return {
            "apiVersion": "tidecast.dev/v1alpha1",
            "kind": "Forecaster",
            "metadata": {"name": "default"},
            "spec": {
                "prometheus": {"url": self.prometheus_url, "timeoutSeconds": 10},
                "namespaceSelector": {"matchLabels": OPT_IN},
                "predictor": {"address": self.predictor_address, "timeoutSeconds": 20},
                **spec,
            },
        }

    def apply(self, *manifests: Mapping[str, Any]) -> None:
        """Create or change objects."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(items))

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout_seconds: float = 60) -> str:
        """What kubectl prints; see `ControlPlane.kubectl`."""
        return self.control_plane.kubectl(*arguments, stdin=stdin, timeout_seconds=timeout_seconds)

    def get(self, *what: str) -> dict[str, Any]:
        """An object, or a list of them under `items`, as `kubectl get` finds it; empty when there is none."""
        text = self.kubectl("get", "--ignore-not-found", "--output=json", *what)
        answer: dict[str, Any] = json.loads(text) if text.strip() else {}
        return answer

    def condition(self, kind: str, *what: str) -> dict[str, Any]:
        """The condition *kind* of one object; empty as long as it has none."""
        conditions = self.get(*what).get("status", {}).get("conditions", [])
        return next((condition for condition in conditions if condition["type"] == kind), {})

    def wait_for(self, check: Callable[[], _Answer], *, timeout_seconds: float = 60) -> _Answer:
        """
        Ask *check* until it answers with something true, and return that.

        Raises:
            NotReady: When the time is over, with the last answer and the end of both logs.
        """
        deadline = time.monotonic() + timeout_seconds
        while not (answer := check()):
            if time.monotonic() > deadline:
                logs = "\n".join(
                    f"--- {program.log}\n{program.process.tail()}"
                    for program in (self.operator, self.predictor)
                    if program.log.exists()
                )
                raise NotReady(f"not true in {timeout_seconds:g} s, the last answer was {answer!r}\n{logs}")
            time.sleep(_POLL_SECONDS)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
