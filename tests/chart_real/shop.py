"""
What the tests ask and tell a cluster with a release and services in it.
"""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import requests
from kubernetes import client, config

from builders.waiting import eventually
from tidecast_simulator.testbed.control_plane import ControlPlane

_Answer = TypeVar("_Answer")
_POLL_SECONDS = 0.5
SPF = "serviceperformanceforecasts"


class Shop:
    """
    A control plane with services, a Prometheus beside it, and maybe a release.

    Attributes:
        plane: The control plane.
        prometheus_url: Where telemetry is.
    """

    def __init__(self, plane: ControlPlane, prometheus_url: str) -> None:
        self.plane = plane
        self.prometheus_url = prometheus_url
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {plane.token}"

    def close(self) -> None:
        """Closes the connections."""
        self._session.close()

    def values(self, **more: Any) -> dict[str, Any]:
        """The default values with what cannot but differ here: the Prometheus, short steps, and the name of this host."""
        spec = {
            "prometheus": {"url": self.prometheus_url, "timeoutSeconds": 10},
            "stepSeconds": 10,
            "windowSteps": 24,
            "horizonSteps": 12,
            "training": {"historySeconds": 7200, "minimumHistorySeconds": 7200},
        }
        # Whether it learns is not the matter here, and a training would keep this machine busy.
        predictor = {"trainingSeconds": 1} | more.pop("predictor", {})
        return {"forecaster": {"spec": spec}, "tls": {"extraDnsNames": ["localhost"]}, "predictor": predictor, **more}

    def get(self, *what: str) -> dict[str, Any]:
        """An object; empty when there is none."""
        text = self.plane.kubectl("get", "--ignore-not-found", "--output=json", *what)
        answer: dict[str, Any] = json.loads(text) if text.strip() else {}
        return answer

    def objects(self, *what: str) -> list[dict[str, Any]]:
        """Objects of a kind."""
        return list(self.get(*what).get("items", []))

    def ask(self, path: str) -> dict[str, Any]:
        """What the API server answers; for what is asked so often that kubectl would keep this machine busy."""
        answer = self._session.get(f"{self.plane.url}{path}", verify=str(self.plane.ca_file), timeout=30)
        answer.raise_for_status()
        body: dict[str, Any] = answer.json()
        return body

    def forecasts(self) -> dict[str, Mapping[str, Any]]:
        """All resources with a forecast, by namespace and name."""
        found = self.ask(f"/apis/tidecast.dev/v1alpha1/{SPF}")["items"]
        return {
            f"{one['metadata']['namespace']}/{one['metadata']['name']}": one
            for one in found
            if one.get("status", {}).get("forecasts")
        }

    def has_band(self, name: str) -> bool:
        """Whether a p90 of a service's requests is told: last value knows its own errors after some minutes only."""
        told = self.forecasts().get(name, {}).get("status", {}).get("forecasts", [])
        requests_told = [quantiles["quantiles"] for quantiles in told if quantiles["metric"] == "RequestsPerSecond"]
        return any(one["quantile"] == "0.9" for quantiles in requests_told for one in quantiles)

    def fresh(self) -> set[str]:
        """The namespaces in which a forecast is fresh."""
        return {name.partition("/")[0] for name, one in self.forecasts().items() if is_true(one, "ForecastFresh")}

    def floor(self, name: str) -> int:
        """That of the autoscaler of a service, as in mesh-0/service."""
        namespace, _, autoscaler = name.partition("/")
        found = self.ask(f"/apis/autoscaling/v1/namespaces/{namespace}/horizontalpodautoscalers/{autoscaler}")
        return int(found["spec"]["minReplicas"])

    def let_a_floor_be_raised(self, name: str) -> None:
        """
        Has a service asked for a higher floor, for reasons that its forecast tells.

        The operator must not run: what trust takes is earned in half an hour; here it is told by the status, as after a
        restart.
        """
        namespace, _, service = name.partition("/")
        figures = {"error": "1", "naiveError": "2", "bias": "0", "skill": "500m", "coverage": "800m", "samples": 200}
        skill = {"metric": "RequestsPerSecond", "offsetSeconds": 60, "windowSeconds": 86400, **figures}
        scaling = {"mode": "Active", "perReplica": "1m", "horizontalPodAutoscalerName": service, "leadTimeSeconds": 60}
        with config.new_client_from_config(str(self.plane.kubeconfig)) as api:
            custom = client.CustomObjectsApi(api)
            resource = ("tidecast.dev", "v1alpha1", namespace, SPF, service)
            custom.patch_namespaced_custom_object(*resource, {"spec": {"scaling": scaling}})
            custom.patch_namespaced_custom_object_status(*resource, {"status": {"skill": skill}})

    def wait_for(self, check: Callable[[], _Answer], *, seconds: float = 90) -> _Answer:
        """What *check* answers as soon as it is true; fails when that takes too long for a busy host."""
        return eventually(check, seconds=seconds)


def is_true(body: Mapping[str, Any], condition: str) -> bool:
    """Whether a condition of an object is."""
    found = {one["type"]: one["status"] for one in body.get("status", {}).get("conditions", ())}
    return found.get(condition) == "True"


def at_last(look: Callable[[], _Answer], *, seconds: float = 60) -> _Answer:
    """What *look* sees as soon as it is nothing, or else when the time is over."""
    deadline = time.monotonic() + seconds
    while (seen := look()) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return seen
