"""
cAdvisor and kube-state-metrics: what workloads use.

https://github.com/google/cadvisor/blob/master/docs/storage/prometheus.md
https://github.com/kubernetes/kube-state-metrics/tree/main/docs/metrics

Prometheus sums pods up to workloads, so that an answer is as long as there are workloads. kube-state-metrics knows
which workload a pod is of; without it, the names of pods tell.
"""

from tidecast_contract.features import CPU, MEMORY, READY_REPLICAS
from tidecast_operator.telemetry.schema import RANGE, PeerLabels, Query, ResourceSchema

_OWNER = "owner_kind, owner_name"

# The sums of a pod have no container's name, nor has its sandbox. Whether the image is named differs by runtime.
_CONTAINERS = 'container!="", container!="POD"'

_CPU_SECONDS = f"container_cpu_usage_seconds_total{{{_CONTAINERS}}}"

# cAdvisor's samples bear its own times, ten to thirty seconds apart whatever the scrape interval: a container is not to
# be left out of the sum for having few.
_RANGE_SECONDS = 120

# A restarted container is there twice for some minutes, and a pair of Prometheus servers has everything twice.
_CPU_OF_PODS = f"sum by (namespace, pod) (max by (namespace, pod, container) (rate({_CPU_SECONDS}[{RANGE}])))"
_MEMORY_OF_PODS = (
    "sum by (namespace, pod) (max by (namespace, pod, container) "
    f"(avg_over_time(container_memory_working_set_bytes{{{_CONTAINERS}}}[{RANGE}])))"
)


def _own(answer: str, *labels: str) -> str:
    """The labels that kube-state-metrics gave, also where Prometheus kept the target's instead (honor_labels: false)."""
    for label in labels:
        answer = f'label_replace({answer}, "{label}", "$1", "exported_{label}", "(.+)")'
    return answer


_REPLICASETS = _own('kube_replicaset_owner{owner_kind!="<none>", owner_is_controller="true"}', "namespace")
_PODS_OF_REPLICASETS = _own('kube_pod_owner{owner_kind="ReplicaSet", owner_is_controller="true"}', "namespace", "pod")
_OTHER_PODS = _own(
    'kube_pod_owner{owner_kind!~"ReplicaSet|Job|Node|<none>", owner_is_controller="true"}', "namespace", "pod"
)

# One owner to a pod, whatever is wrong with the metrics: two would fail the whole query.
_OWNER_OF_REPLICASETS = (
    f"topk by (namespace, replicaset) (1, max by (namespace, replicaset, {_OWNER}) ({_REPLICASETS}))"
)
_OWNER_OF_PODS = (
    f"topk by (namespace, pod) (1, max by (namespace, pod, {_OWNER}) ("
    f'label_replace({_PODS_OF_REPLICASETS}, "replicaset", "$1", "owner_name", "(.+)")'
    f" * on (namespace, replicaset) group_left ({_OWNER}) {_OWNER_OF_REPLICASETS}"
    f" or {_OTHER_PODS}))"
)


def _by_owner(of_pods: str) -> str:
    return f"sum by (namespace, {_OWNER}) ({of_pods} * on (namespace, pod) group_left ({_OWNER}) {_OWNER_OF_PODS})"


# What Kubernetes appends to names: https://github.com/kubernetes/apimachinery/blob/master/pkg/util/rand/rand.go
_RANDOM = "[bcdfghjklmnpqrstvwxz2456789]"


def _by_pod_name(of_pods: str) -> str:
    daemon_set = f'label_replace({of_pods}, "owner_name", "$1", "pod", "(.+)-{_RANDOM}{{5}}")'
    stateful_set = f'label_replace({daemon_set}, "owner_name", "$1", "pod", "(.+)-[0-9]+")'
    deployment = f'label_replace({stateful_set}, "owner_name", "$1", "pod", "(.+)-{_RANDOM}{{1,10}}-{_RANDOM}{{5}}")'
    return f"sum by (namespace, owner_name) ({deployment})"


def _ready(metric: str, label: str, kind: str) -> str:
    named = (
        f"label_replace(max by (namespace, {label}) ({_own(f'last_over_time({metric}[{RANGE}])', 'namespace')}),"
        f' "owner_name", "$1", "{label}", "(.+)")'
    )
    return f'label_replace({named}, "owner_kind", "{kind}", "", "")'


_READY_REPLICAS = " or ".join(
    (
        _ready("kube_deployment_status_replicas_ready", "deployment", "Deployment"),
        _ready("kube_statefulset_status_replicas_ready", "statefulset", "StatefulSet"),
        _ready("kube_daemonset_status_number_ready", "daemonset", "DaemonSet"),
    )
)
_LABELS = PeerLabels(namespace=("namespace",), workload=("owner_name",), kind=("owner_kind",))

KUBE_STATE_METRICS = ResourceSchema(
    name="KubeStateMetrics",
    probe="kube_pod_owner",
    minimum_range_seconds=_RANGE_SECONDS,
    owner=_LABELS,
    queries={
        CPU: Query(_by_owner(_CPU_OF_PODS)),
        MEMORY: Query(_by_owner(_MEMORY_OF_PODS)),
        READY_REPLICAS: Query(_READY_REPLICAS),
    },
    paces=("container_cpu_usage_seconds_total",),
)
POD_NAMES = ResourceSchema(
    name="PodNames",
    probe="container_cpu_usage_seconds_total",
    minimum_range_seconds=_RANGE_SECONDS,
    owner=_LABELS,
    queries={
        CPU: Query(_by_pod_name(_CPU_OF_PODS)),
        MEMORY: Query(_by_pod_name(_MEMORY_OF_PODS)),
        READY_REPLICAS: Query(_READY_REPLICAS),
    },
)
