"""
What cAdvisor in the kubelet exports about containers: CPU time and memory.

As on a real node, a pod's own control group (`container=""`) repeats the sum of its containers, and the sandbox
(`container="POD"`) stands beside them: who adds them all up counts twice. The sidecar's container is left out.
"""

import numpy as np

from tidecast_simulator.exporting.emission import Emission, Family, Kind, Series, batch
from tidecast_simulator.exporting.pods import Pod, alive, pods_of
from tidecast_simulator.mesh import Mesh
from tidecast_simulator.randomness import stream, uniforms
from tidecast_simulator.traffic import Traffic

CPU = Family("container_cpu_usage_seconds_total", Kind.COUNTER, "Cumulative cpu time consumed in seconds.")
MEMORY = Family("container_memory_working_set_bytes", Kind.GAUGE, "Current working set in bytes.")
_SANDBOX_CORES = 0.00005
_SANDBOX_BYTES = 520_192.0


class Cadvisor:
    """The kubelets of the nodes that a mesh runs on."""

    def __init__(self, mesh: Mesh) -> None:
        self._pods = pods_of(mesh)
        self._services = np.array([pod.service for pod in self._pods], dtype=np.int64)
        self._cpu, self._memory = (
            [Series.of(family, _labels(mesh, pod, part)) for part in ("app", "", "POD") for pod in self._pods]
            for family in (CPU, MEMORY)
        )
        # No two pods get quite the same share of the load.
        share = np.array([uniforms(stream("share", pod.name), np.zeros(1, dtype=np.int64))[0] for pod in self._pods])
        self._share = (0.9 + 0.2 * share)[:, None]

    def emit(self, traffic: Traffic) -> Emission:
        """CPU seconds and working sets of every pod's containers."""
        ticks = len(traffic.clock.ticks)
        here = alive(self._pods, traffic.replicas)
        portions = self._share * here
        totals = np.ones((len(traffic.mesh.services), ticks)) * 1e-12
        np.add.at(totals, self._services, np.nan_to_num(portions))
        seconds = traffic.clock.tick_seconds
        cpu = portions / totals[self._services] * traffic.cpu_cores[self._services] * seconds
        memory = np.rint(traffic.memory_bytes[self._services] * (0.97 + 0.03 * self._share)) * here
        idle_cpu, idle_memory = _SANDBOX_CORES * seconds * here, _SANDBOX_BYTES * here
        return Emission(
            batch([(self._cpu, np.concatenate([cpu, cpu + idle_cpu, idle_cpu]))], ticks),
            batch([(self._memory, np.concatenate([memory, memory + idle_memory, idle_memory]))], ticks),
        )


def _labels(mesh: Mesh, pod: Pod, part: str) -> dict[str, str]:
    """The labels of a pod's container `app`, of its control group (empty), or of its sandbox (`POD`)."""
    service = mesh.services[pod.service]
    number = f"{stream('uid', pod.name):016x}"
    group = f"/kubepods/burstable/pod{number}"
    image = f"registry.example/{service.name}:{service.version}"
    return {
        "namespace": pod.namespace,
        "pod": pod.name,
        "container": service.name if part == "app" else part,
        "image": {"app": image, "POD": "registry.k8s.io/pause:3.9"}.get(part, ""),
        "id": f"{group}/{part}" if part else group,
        "name": f"{part}-{number}" if part else "",
        "node": pod.node,
    }
