"""
Walks through the commands of a page on a control plane without nodes: kubectl and Helm are real, what needs a node or the
network is left out, and each command that is left out is known here with its reason.
"""

import json
import time
from pathlib import Path
from typing import Any

import helm_python
import yaml

from chart.rendering import CHART
from documentation.shell_commands import OWN_CHART, helm_arguments, merged, shell_commands, values_of
from tidecast_simulator.testbed.control_plane import CommandFailed, ControlPlane

NOT_HERE = {
    "git clone": "the network",
    "cd tidecast": "this is the checkout",
    "kind ": "a container engine",
    "docker ": "a container engine",
    "buildah ": "images",
    "helm repo": "the network",
    "helm test": "a node",
    "kubectl apply --namespace shop -f https://": "the network",
    "kubectl logs": "a node",
    "kubectl wait": "a node",
}
NAMESPACE = "tidecast-system"
# The Job before an uninstall needs a node. That it is part of the release is for the tests of the chart.
WITHOUT_HOOK = {"cleanUp": {"enabled": False}}
FORECAST = {
    "apiVersion": "tidecast.dev/v1alpha1",
    "kind": "ServicePerformanceForecast",
    "metadata": {"namespace": "shop", "name": "productpage-v1"},
    "spec": {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "productpage-v1"}},
}


class Walk:
    """
    A reader who has a cluster and the checkout.

    Attributes:
        done: The commands that were run.
    """

    def __init__(self, plane: ControlPlane, page: str) -> None:
        self.done: list[str] = []
        self._plane = plane
        self._page = page
        self._helm = helm_python.Config(kubeconfig_path=plane.kubeconfig, namespace=NAMESPACE)

    def close(self) -> None:
        """Gives up the connection of Helm, and with it what it knows of the cluster's kinds."""
        self._helm.close()

    def run(self) -> None:
        """Every command of the page, in its order."""
        for words in shell_commands(self._page):
            line = " ".join(words)
            if any(line.startswith(beginning) for beginning in NOT_HERE) or _is_of_others(words):
                continue
            if words[0] == "helm":
                self._run_helm(words)
            elif words[0] == "kubectl":
                self._run_kubectl(words[1:])
            else:
                raise AssertionError(f"nobody knows how to run: {line}")
            self.done.append(line)

    def objects(self, *what: str) -> list[dict[str, Any]]:
        """What `kubectl get` finds."""
        items: list[dict[str, Any]] = json.loads(self._plane.kubectl("get", "--output=json", *what))["items"]
        return items

    def _run_helm(self, words: list[str]) -> None:
        arguments = helm_arguments(words)
        wait = "watcher" if getattr(arguments, "wait", False) else None
        if arguments.command == "install":
            values = merged(values_of(arguments, self._page), WITHOUT_HOOK)
            self._install(values, create_namespace=arguments.create_namespace)
        elif arguments.command == "template":
            with helm_python.Chart.load(CHART) as chart:
                assert chart.render(values_of(arguments, self._page), name=arguments.name, namespace=NAMESPACE)
        else:
            self._have_release()
            if arguments.command == "upgrade":
                values = merged(values_of(arguments, self._page), WITHOUT_HOOK)
                self._helm.upgrade(CHART, arguments.name, values, reuse_values=arguments.reuse_values, wait=wait)
            elif arguments.command == "rollback":
                self._helm.rollback(arguments.name, wait=wait)
            elif arguments.command == "uninstall":
                self._helm.uninstall(arguments.name, wait=wait, timeout=120)

    def _have_release(self) -> None:
        if not self._helm.list():
            self._install(WITHOUT_HOOK, create_namespace=True)

    def _install(self, values: dict[str, Any], *, create_namespace: bool) -> None:
        self._helm.install(CHART, "tidecast", values, create_namespace=create_namespace, wait=None)
        self._kubectl_at_last("get", "serviceperformanceforecasts", "--all-namespaces")

    def _run_kubectl(self, words: list[str]) -> None:
        if words[0] == "patch":  # the operator, which makes it, does not run
            self._kubectl_at_last("apply", "--filename=-", stdin=json.dumps(FORECAST))
        if "-k" in words:
            self._on_a_folder(words[0], Path(words[words.index("-k") + 1]))
        elif words[:2] == ["describe", "forecaster"]:
            self._plane.kubectl("get", "forecaster")
        else:
            self._kubectl_at_last(*words)

    def _on_a_folder(self, verb: str, folder: Path) -> None:
        """As the page says it for the version of this API server."""
        minor = self._minor()
        if minor >= 30:
            self._kubectl_at_last(verb, "-k", str(folder), seconds=120)
            return
        built = yaml.safe_load_all(self._plane.kubectl("kustomize", str(folder)))
        served = [one for one in built if minor > 20 or one["kind"] != "PodDisruptionBudget"]
        options = ["--validate=false"] if verb == "apply" else []
        items = json.dumps({"apiVersion": "v1", "kind": "List", "items": served})
        self._kubectl_at_last(verb, "--filename=-", *options, stdin=items, seconds=120)

    def _minor(self) -> int:
        version = json.loads(self._plane.kubectl("version", "--output=json"))["serverVersion"]
        return int(version["minor"].rstrip("+"))

    def _kubectl_at_last(self, *words: str, stdin: str | None = None, seconds: float = 60) -> None:
        """A reader is slower than a control plane that has yet to take notice of a definition or to make an account."""
        for _ in range(20):
            try:
                self._plane.kubectl(*words, stdin=stdin, timeout_seconds=seconds)
            except CommandFailed as error:
                failure = error
            else:
                return
            time.sleep(0.5)
        raise failure


def _is_of_others(words: list[str]) -> bool:
    """Whether it installs a chart that is not here."""
    return words[:2] == ["helm", "install"] and helm_arguments(words).chart != OWN_CHART
