"""
A Kubernetes control plane without nodes: etcd, kube-apiserver and kube-controller-manager.

Pods stay Pending; everything up to them is real: deployments, replica sets, garbage collection, service accounts,
namespaces and the whole loop of the HorizontalPodAutoscaler. Tried with Kubernetes 1.20 and made for newer ones.
"""

import json
import re
import secrets
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import requests

from tidecast_simulator.testbed import binaries
from tidecast_simulator.testbed.process import Process, free_port

# The name since Kubernetes 1.28 and the one before.
_CONTROLLERS = {
    "clusterrole-aggregation-controller": "clusterrole-aggregation",
    "cronjob-controller": "cronjob",
    "daemonset-controller": "daemonset",
    "deployment-controller": "deployment",
    "disruption-controller": "disruption",
    "endpoints-controller": "endpoint",
    "endpointslice-controller": "endpointslice",
    "garbage-collector-controller": "garbagecollector",
    "horizontal-pod-autoscaler-controller": "horizontalpodautoscaling",
    "job-controller": "job",
    "namespace-controller": "namespace",
    "persistentvolume-binder-controller": "persistentvolume-binder",
    "persistentvolume-protection-controller": "pv-protection",
    "persistentvolumeclaim-protection-controller": "pvc-protection",
    "replicaset-controller": "replicaset",
    "root-ca-certificate-publisher-controller": "root-ca-cert-publisher",
    "serviceaccount-controller": "serviceaccount",
    "serviceaccount-token-controller": "serviceaccount-token",
    "statefulset-controller": "statefulset",
    "ttl-after-finished-controller": "ttl-after-finished",
}


class CommandFailed(Exception):
    """A kubectl command failed; the text is what it said."""


class ControlPlane:
    """
    A running control plane; use it as a context manager, or call `stop`.

    Attributes:
        directory: Where its state, certificates and logs are.
        url: Of the API server.
        token: A bearer token of the group system:masters.
        kubeconfig: A file for kubectl and the client libraries, with that token.
        ca_file: The certificate authority of the API server.
        front_proxy: A folder with what the API server shows to the servers of aggregated APIs: `client.crt`, its
            `client.key`, and the authority `ca.crt` with its `ca.key`.
        audit_log: Who asked for what and when, one JSON object a line; only with an audit.
    """

    def __init__(self, directory: Path, *, is_audited: bool = False) -> None:
        self.directory = directory.resolve()
        self.kubeconfig = self.directory / "kubeconfig"
        self.ca_file = self.directory / "certificates" / "apiserver.crt"
        self.front_proxy = self.directory / "front-proxy"
        self.audit_log = self.directory / "audit.log"
        self.token = secrets.token_hex(16)
        self._is_audited = is_audited
        self._api_port = free_port()
        self._etcd_port = free_port()
        self.url = f"https://127.0.0.1:{self._api_port}"
        self._etcd: Process | None = None
        self._api_server: Process | None = None
        self._controllers: Process | None = None

    @classmethod
    def start(
        cls,
        directory: Path,
        *,
        controllers: bool | None = None,
        users: Sequence[str] = (),
        is_audited: bool = False,
    ) -> Self:
        """
        Start everything and wait until it answers, about 10 s.

        Args:
            directory: For its files; made when it does not exist.
            controllers: Whether a kube-controller-manager runs too; None for where there is one.
            users: More administrators, so that an audit tells them apart; see `kubeconfig_of`.
            is_audited: Whether all that is written is noted in `audit_log`.

        Raises:
            MissingProgram: If a program is not on this machine.
            NotReady: If one does not start.
        """
        plane = cls(directory, is_audited=is_audited)
        try:
            plane._prepare(users)
            plane._start_etcd()
            plane.start_api_server()
            if controllers if controllers is not None else not binaries.why_missing("kube-controller-manager"):
                plane._start_controllers()
        except BaseException:
            plane.stop()
            raise
        return plane

    def stop(self) -> None:
        """End everything; the files stay."""
        for process in (self._controllers, self._api_server):
            if process is not None:
                process.stop(timeout_seconds=5)
        if self._etcd is not None:
            self._etcd.kill()  # nobody reads its files any more

    def start_api_server(self) -> None:
        """Start the API server again, on the port and with the state that it had; returns when it is ready."""
        certificates = self.directory / "certificates"
        key = self.directory / "service-account.key"
        self._api_server = Process.start(
            [
                binaries.find("kube-apiserver"),
                f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
                f"--secure-port={self._api_port}",
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                "--endpoint-reconciler-type=none",  # an endpoint may not be a loopback address
                f"--cert-dir={certificates}",
                f"--service-account-key-file={key}",
                f"--service-account-signing-key-file={key}",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--token-auth-file={self.directory / 'tokens.csv'}",
                "--authorization-mode=RBAC",
                "--service-cluster-ip-range=10.0.0.0/24",
                "--profiling=false",
                *self._aggregation(),
                *self._audit(),
            ],
            log=self.directory / "kube-apiserver.log",
        )
        self._api_server.wait_until(self.is_ready, timeout_seconds=120)

    def stop_api_server(self) -> None:
        """End the API server alone: its clients see refused connections until `start_api_server`."""
        if self._api_server is not None:
            # Without clients that watch it ends at once; with them it waits for a minute.
            self._api_server.stop(timeout_seconds=2)

    def restart_api_server(self) -> None:
        """End the API server and start it again on the same port with the same state, as an upgrade does."""
        self.stop_api_server()
        self.start_api_server()

    def is_ready(self) -> bool:
        """Whether the API server says that it is ready."""
        return self._says_ok(f"{self.url}/readyz")

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout_seconds: float = 60) -> str:
        """
        What kubectl prints, as an administrator of this control plane.

        Raises:
            CommandFailed: With what it said, if it failed or took longer than *timeout_seconds*.
        """
        command = [str(binaries.find("kubectl")), f"--kubeconfig={self.kubeconfig}", *arguments]
        try:
            done = subprocess.run(
                command, input=stdin, capture_output=True, text=True, check=False, timeout=timeout_seconds
            )
        except subprocess.TimeoutExpired:
            raise CommandFailed(f"kubectl {' '.join(arguments)}: no end after {timeout_seconds:g} s") from None
        if done.returncode:
            raise CommandFailed(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def kubeconfig_of(self, user: str) -> Path:
        """A file like `kubeconfig`, of one of the other administrators."""
        return self.directory / f"kubeconfig-{user}"

    def _prepare(self, users: Sequence[str]) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [binaries.find("openssl"), "genrsa", "-out", self.directory / "service-account.key", "2048"],
            check=True,
            capture_output=True,
        )
        self._make_front_proxy()
        tokens = {"admin": self.token, **{user: secrets.token_hex(16) for user in users}}
        rows = [f'{token},{user},{user},"system:masters"\n' for user, token in tokens.items()]
        (self.directory / "tokens.csv").write_text("".join(rows))
        for user, token in tokens.items():
            self._write_kubeconfig(self.kubeconfig if user == "admin" else self.kubeconfig_of(user), user, token)

    def _write_kubeconfig(self, path: Path, user: str, token: str) -> None:
        cluster = {"server": self.url, "certificate-authority": str(self.ca_file)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "testbed", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": "testbed", "context": {"cluster": "testbed", "user": user}}],
            "current-context": "testbed",
        }
        path.write_text(json.dumps(config, indent=2))  # JSON is YAML too
        path.chmod(0o600)

    def _audit(self) -> list[str]:
        """Flags with which the API server notes who wrote what."""
        if not self._is_audited:
            return []
        policy = self.directory / "audit-policy.yaml"
        verbs = ["create", "update", "patch", "delete"]
        rules = [{"level": "Metadata", "verbs": verbs}, {"level": "None"}]
        body = {
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "rules": rules,
        }
        policy.write_text(json.dumps(body))
        # All of it in one file: from a certain size on it would begin another.
        return [f"--audit-policy-file={policy}", f"--audit-log-path={self.audit_log}", "--audit-log-maxsize=10000"]

    def _aggregation(self) -> list[str]:
        """Flags with which the API server passes requests on to others; every cluster of today has them."""
        return [
            f"--requestheader-client-ca-file={self.front_proxy / 'ca.crt'}",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={self.front_proxy / 'client.crt'}",
            f"--proxy-client-key-file={self.front_proxy / 'client.key'}",
        ]

    def _make_front_proxy(self) -> None:
        self.front_proxy.mkdir(exist_ok=True)
        (self.front_proxy / "usage").write_text("extendedKeyUsage=clientAuth\n")
        new_key = "req -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1"
        for arguments in (
            f"{new_key} -x509 -subj /CN=front-proxy-ca -days 30 -keyout ca.key -out ca.crt",
            f"{new_key} -subj /CN=front-proxy-client -keyout client.key -out client.csr",
            "x509 -req -in client.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile usage -out client.crt",
        ):
            subprocess.run(
                [binaries.find("openssl"), *arguments.split()], check=True, capture_output=True, cwd=self.front_proxy
            )

    def _start_etcd(self) -> None:
        client, peer = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{free_port()}"
        self._etcd = Process.start(
            [
                binaries.find("etcd"),
                f"--data-dir={self.directory / 'etcd'}",
                f"--listen-client-urls={client}",
                f"--advertise-client-urls={client}",
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=default={peer}",
                "--unsafe-no-fsync",
                "--log-level=warn",
            ],
            log=self.directory / "etcd.log",
        )
        self._etcd.wait_until(lambda: self._says_ok(f"{client}/health"))

    def _start_controllers(self) -> None:
        program = binaries.find("kube-controller-manager")
        flags = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
        known = set(re.findall(r"[\w-]+", "".join(re.findall(r"All controllers: (.*)", flags))))
        names = [name for pair in _CONTROLLERS.items() for name in pair if name in known]
        port = free_port()
        insecure_port = ["--port=0"] if " --port int" in flags else []  # until Kubernetes 1.23; else it takes 10252
        self._controllers = Process.start(
            [
                program,
                f"--kubeconfig={self.kubeconfig}",
                f"--controllers={','.join(names)}",
                "--bind-address=127.0.0.1",
                f"--secure-port={port}",
                *insecure_port,
                f"--cert-dir={self.directory / 'controller-certificates'}",
                f"--service-account-private-key-file={self.directory / 'service-account.key'}",
                f"--root-ca-file={self.ca_file}",
                "--leader-elect=false",
                "--horizontal-pod-autoscaler-sync-period=5s",
                "--kube-api-qps=200",
                "--kube-api-burst=400",
            ],
            log=self.directory / "kube-controller-manager.log",
        )
        self._controllers.wait_until(self._controllers_work)

    def _controllers_work(self) -> bool:
        """Pods can be made as soon as the namespace has its service account, which a controller makes."""
        try:
            self.kubectl("get", "serviceaccount", "default", "--namespace=default")
        except CommandFailed:
            return False
        return True

    def _says_ok(self, url: str) -> bool:
        headers = {"Authorization": f"Bearer {self.token}"}
        try:
            return requests.get(url, headers=headers, verify=str(self.ca_file), timeout=5).ok
        except (OSError, requests.RequestException):  # OSError: the certificate is not written yet
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
