import json

import pytest

from builders.node_pods import pod, script
from builders.waiting import eventually
from tidecast_simulator.testbed import binaries

pytestmark = pytest.mark.real(*binaries.ALL)

SHOW = "import pathlib, sys; print(*(pathlib.Path(path).read_text() for path in sys.argv[1:]), sep='|')"
KEEP_SHOWING = """
import pathlib, sys, time
last = None
while True:
    now = pathlib.Path(sys.argv[1]).read_text()
    if now != last:
        print(now, flush=True)
    last = now
    time.sleep(0.02)
"""
ASK = """
import json, os
from kubernetes import client, config
from kubernetes.client.rest import ApiException
try:
    config.load_incluster_config()
except config.ConfigException:
    config.load_kube_config()
core, namespace = client.CoreV1Api(), os.environ["NAMESPACE"]
def allowed(what, *arguments):
    try:
        what(*arguments)
    except ApiException as error:
        return error.status
    return 200
print(json.dumps({
    "own": allowed(core.read_namespaced_config_map, "own", namespace),
    "other": allowed(core.read_namespaced_config_map, "other", namespace),
    "namespaces": allowed(core.list_namespace),
}))
"""


def object_of(kind, name, data):
    return {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {"name": name},
        "stringData" if kind == "Secret" else "data": data,
    }


def mounted(code, *arguments, path="/etc/things", **more):
    container = script(code, volumeMounts=[{"name": "things", "mountPath": path}], **more)
    container["args"] += arguments
    return container


def things(**source):
    return {"volumes": [{"name": "things", **source}]}


def test_secrets_and_config_maps_are_files(kept):
    kept.apply(
        object_of("Secret", "secret", {"a": "from a secret"}), object_of("ConfigMap", "map", {"b": "from a map"})
    )
    both = [{"secret": {"name": "secret"}}, {"configMap": {"name": "map", "items": [{"key": "b", "path": "deep/er"}]}}]
    shows = mounted(SHOW, "/etc/things/a", "/etc/things/deep/er")
    kept.apply(pod("shows", shows, **things(projected={"sources": both})))

    assert kept.ends("shows") == "Succeeded", kept.says("shows")
    assert kept.says("shows") == "from a secret|from a map\n"


def test_the_files_have_their_mode(kept):
    kept.apply(object_of("Secret", "secret", {"a": "x"}))
    code = "import os, sys; print(oct(os.stat(sys.argv[1]).st_mode & 0o777))"
    kept.apply(
        pod("mode", mounted(code, "/etc/things/a"), **things(secret={"secretName": "secret", "defaultMode": 0o440}))
    )

    assert kept.ends("mode") == "Succeeded"
    assert kept.says("mode") == "0o440\n"


def test_a_changed_secret_reaches_the_file(kept):
    kept.apply(object_of("Secret", "secret", {"a": "before"}))
    kept.apply(pod("watching", mounted(KEEP_SHOWING, "/etc/things/a"), **things(secret={"secretName": "secret"})))
    eventually(lambda: kept.phase("watching") == "Running" and kept.says("watching") == "before\n")

    kept.apply(object_of("Secret", "secret", {"a": "after"}))

    assert eventually(lambda: kept.says("watching") == "before\nafter\n")


def test_a_pod_waits_for_a_secret_that_is_not_there_yet(kept):
    kept.apply(pod("waiting", mounted(SHOW, "/etc/things/a"), **things(secret={"secretName": "late"})))
    eventually(lambda: "secret 'late' not found" in json.dumps(kept.container("waiting")["state"]))
    assert kept.phase("waiting") == "Pending"

    kept.apply(object_of("Secret", "late", {"a": "at last"}))

    assert kept.ends("waiting") == "Succeeded"
    assert kept.says("waiting") == "at last\n"


def test_an_optional_secret_may_stay_away(kept):
    code = "import os, sys; print(sorted(os.listdir(sys.argv[1])))"
    source = {"secretName": "none", "optional": True}
    kept.apply(pod("without", mounted(code, "/etc/things"), **things(secret=source)))

    assert kept.ends("without") == "Succeeded"
    assert "'a'" not in kept.says("without")


def test_variables_come_from_values_objects_and_the_pod(kept):
    kept.apply(
        object_of("Secret", "secret", {"key": "hidden"}), object_of("ConfigMap", "map", {"ONE": "1", "TWO": "2"})
    )
    env = [
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "HIDDEN", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "key"}}},
        {"name": "WHOLE", "value": "$(NAME) $(HIDDEN) $$(NAME) $(UNKNOWN)"},
        {"name": "NONE", "valueFrom": {"configMapKeyRef": {"name": "map", "key": "none", "optional": True}}},
    ]
    code = "import os, sys; print(os.environ['WHOLE'], os.environ['TWO'], 'NONE' in os.environ, sys.argv[1])"
    shows = script(code, env=env, envFrom=[{"configMapRef": {"name": "map"}}])
    shows["args"].append("--name=$(NAME)")
    kept.apply(pod("shows", shows))

    assert kept.ends("shows") == "Succeeded"
    assert kept.says("shows") == "shows hidden $(NAME) $(UNKNOWN) 2 False --name=shows\n"


def test_nothing_of_the_test_run_is_in_a_pods_environment(kept, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(kept.control_plane.kubeconfig))
    monkeypatch.setenv("SECRET_OF_THE_TEST", "x")
    bare = script("import os; print(*sorted(os.environ), os.environ['HOME'])")
    kept.apply(pod("bare", bare, automountServiceAccountToken=False))

    assert kept.ends("bare") == "Succeeded"
    names = kept.says("bare").split()
    assert not {"SECRET_OF_THE_TEST", "KUBECONFIG"} & set(names)
    assert str(kept.node.folder(kept.namespace, "bare")) in names[-1]


def grant(kept, account):
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": account},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["own"], "verbs": ["get"]}],
    }  # fmt: skip
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": account},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": kept.namespace}],
    }  # fmt: skip
    kept.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}}, role, binding)


def asking(**spec):
    return pod(
        "asks",
        script(ASK, env=[{"name": "NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}]),
        **spec,
    )


def test_a_pod_may_do_what_its_service_account_may_and_nothing_more(kept):
    kept.apply(object_of("ConfigMap", "own", {}), object_of("ConfigMap", "other", {}))
    grant(kept, "reader")
    kept.apply(asking(serviceAccountName="reader"))

    assert kept.ends("asks") == "Succeeded", kept.says("asks")
    assert json.loads(kept.says("asks")) == {"own": 200, "other": 403, "namespaces": 403}


def test_a_pod_without_a_token_cannot_ask(kept):
    kept.apply(object_of("ConfigMap", "own", {}))
    grant(kept, "reader")
    kept.apply(asking(serviceAccountName="reader", automountServiceAccountToken=False))

    assert kept.ends("asks") == "Failed"
    assert "ConfigException" in kept.says("asks")


def test_a_projected_token_is_of_the_pods_own_account(kept):
    sources = [
        {"serviceAccountToken": {"path": "token", "audience": "somebody", "expirationSeconds": 600}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
    ]
    code = (
        "import base64, json, pathlib, sys; folder = pathlib.Path(sys.argv[1])\n"
        "claims = (folder / 'token').read_text().split('.')[1]\n"
        "claims = json.loads(base64.urlsafe_b64decode(claims + '=='))\n"
        "print(claims['aud'], claims['sub'], 'CERTIFICATE' in (folder / 'ca.crt').read_text(), (folder / 'namespace').read_text())"
    )
    kept.apply(pod("shows", mounted(code, "/etc/things"), **things(projected={"sources": sources})))

    assert kept.ends("shows") == "Succeeded", kept.says("shows")
    account = f"system:serviceaccount:{kept.namespace}:default"
    assert kept.says("shows") == f"['somebody'] {account} True {kept.namespace}\n"


def claim(name):
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def test_what_is_written_to_a_claim_outlives_the_pod_and_not_the_claim(kept):
    kept.apply(claim("kept"))
    code = "import sys; open(sys.argv[1], 'a').write('x'); print(open(sys.argv[1]).read())"
    source = things(persistentVolumeClaim={"claimName": "kept"})
    for n, said in enumerate(("x\n", "xx\n")):
        kept.apply(pod(f"writes-{n}", mounted(code, "/data/file", path="/data"), **source))
        assert kept.ends(f"writes-{n}") == "Succeeded"
        assert kept.says(f"writes-{n}") == said
        kept.delete("pod", f"writes-{n}")
    volume = kept.find("persistentvolumeclaims", "kept")["spec"]["volumeName"]

    kept.delete("pvc", "kept")

    assert eventually(lambda: kept.find("persistentvolumeclaims", "kept") is None)
    assert eventually(lambda: kept.find("persistentvolumes", volume) is None)
