"""
How the containers of a pod are started: folders for its volumes, ports for its ports, and an environment from scratch.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from tidecast_simulator.testbed.node.api import Body
from tidecast_simulator.testbed.node.files import write_at_once
from tidecast_simulator.testbed.node.probing import KINDS, Asked, Launch
from tidecast_simulator.testbed.node.refusals import repository
from tidecast_simulator.testbed.node.rewriting import Rewriting, listened_on
from tidecast_simulator.testbed.node.surroundings import PodObjects, Surroundings
from tidecast_simulator.testbed.node.variables import environment, expand
from tidecast_simulator.testbed.node.volumes import SERVICE_ACCOUNT, NotMounted, is_made_of_objects, mounts, payload
from tidecast_simulator.testbed.process import free_port

_ASKED = ("httpGet", "tcpSocket", "grpc")
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Launching:
    """
    The folders and ports of one pod.

    Attributes:
        folder: For everything that is the pod's own.
        ports: The ports of 127.0.0.1 that stand for ports that the pod listens on.

    Args:
        pod: The pod, with the address that it has as `status.podIP`.
        surroundings: The node.
    """

    def __init__(self, pod: Body, surroundings: Surroundings) -> None:
        metadata = pod["metadata"]
        self.folder = surroundings.directory / f"{metadata['namespace']}_{metadata['name']}_{metadata['uid'][:8]}"
        self._pod = pod
        self._around = surroundings
        self._objects = PodObjects(surroundings.api, pod)
        self._volumes: dict[str, Path] = {}
        self._environments: dict[str, dict[str, str]] = {}
        self._own_hosts = frozenset({str(pod["status"]["podIP"])})
        containers = [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]
        texts = [text for container in containers for text in _texts(container)]
        declared = {port for container in containers for port in _declared(container)}
        self.ports = {port: free_port() for port in sorted(listened_on(texts, declared, self._own_hosts))}

    def mount(self) -> None:
        """
        Makes the folders of all volumes; called again, it brings those made of objects up to date.

        Raises:
            NotMounted: If something is missing; what there is stays as it is.
            Unconfigured: If a field is asked for that pods do not have.
            OSError: If the API server does not answer.
        """
        rewriting = self._rewriting({})
        for volume in self._pod["spec"].get("volumes") or ():
            folder = self.folder / "volumes" / volume["name"]
            if is_made_of_objects(volume):
                files = payload(volume, self._objects, self._pod)
                write_at_once(folder, {path: (rewriting.file(data), mode) for path, (data, mode) in files.items()})
            elif "persistentVolumeClaim" in volume:
                name = volume["persistentVolumeClaim"]["claimName"]
                claimed = self._around.claims.folder(self._pod["metadata"]["namespace"], name)
                if claimed is None:
                    raise NotMounted(f"persistentvolumeclaim {name!r} is not bound")
                folder = claimed
            else:
                folder.mkdir(parents=True, exist_ok=True)
            self._volumes[volume["name"]] = folder

    def launch(self, container: Body) -> Launch:
        """
        How a container is started, once everything is mounted.

        Raises:
            Unconfigured: If a Secret, a ConfigMap or a key is missing.
            OSError: If the API server does not answer.
        """
        folders = self._folders(container)
        rewriting = self._rewriting(folders)
        values = environment(container, self._objects, self._pod, rewriting.argument)
        program = container.get("command") or self._around.programs[repository(container["image"])]
        # The program of an image is this machine's: only what the pod says about it is rewritten.
        given = [*(container.get("command") or ()), *(container.get("args") or ())]
        own = [rewriting.argument(expand(text, values)) for text in given]
        whole = own if container.get("command") else [*program, *own]
        working = Path(rewriting.argument(container.get("workingDir") or ""))
        home = self.folder / "home"
        variables = self._basics(container, folders) | values
        self._environments[container["name"]] = variables
        return Launch(tuple(whole), variables, working if working.is_absolute() and working.is_dir() else home)

    def asked(self, container: Body) -> Asked:
        """Whom the probes of a container ask."""

        def port_of(port: str | int) -> int:
            named = {one.get("name"): one["containerPort"] for one in container.get("ports") or ()}
            number = int(named.get(port, port))
            return self.ports.get(number, number)

        def launch_of(command: Sequence[str]) -> Launch:
            rewriting = self._rewriting(self._folders(container))
            variables = self._environments[container["name"]]
            return Launch([rewriting.argument(text) for text in command], variables, self.folder / "home")

        return Asked(port_of, launch_of)

    def _folders(self, container: Body) -> dict[str, str]:
        folders = {}
        for path, (volume, sub) in mounts(container).items():
            folder = self._volumes[volume] / sub
            if not folder.exists():  # kubelet makes what a subPath names
                folder.mkdir(parents=True)
            folders[path] = str(folder)
        return folders

    def _rewriting(self, folders: dict[str, str]) -> Rewriting:
        return Rewriting(folders, self.ports, self._own_hosts, self._resolve)

    def _resolve(self, host: str, port: int) -> str | None:
        named = self._around.names.get(f"{host}:{port}")
        return named or self._around.services.resolve(self._pod["metadata"]["namespace"], host, port)

    def _basics(self, container: Body, folders: dict[str, str]) -> dict[str, str]:
        """Nothing of whoever runs the test, above all none of its rights."""
        server = urlsplit(self._around.api.url)
        home, temporary = self.folder / "home", Path(folders.get("/tmp", self.folder / "tmp"))  # noqa: S108 (a pod's)
        for folder in (home, temporary):
            folder.mkdir(parents=True, exist_ok=True)
        basics = {name: value for name, value in os.environ.items() if name.startswith("PYTHON")}
        basics |= {
            "PATH": f"{Path(sys.executable).parent}:{_SYSTEM_PATH}",
            "HOME": str(home),
            "TMPDIR": str(temporary),
            "LANG": "C.UTF-8",
            "HOSTNAME": self._pod["metadata"]["name"],
        }
        if not Path(SERVICE_ACCOUNT).exists():
            # Where the test itself runs in a pod, clients would take that pod's token.
            basics |= {"KUBERNETES_SERVICE_HOST": server.hostname or "", "KUBERNETES_SERVICE_PORT": str(server.port)}
        if (account := folders.get(SERVICE_ACCOUNT)) is not None:
            basics["KUBECONFIG"] = str(self._kubeconfig(container, Path(account)))
        return basics

    def _kubeconfig(self, container: Body, account: Path) -> Path:
        """What the token of a pod's own is for clients; many processes cannot each have one at the usual path."""
        path = self.folder / f"kubeconfig-{container['name']}"
        cluster = {"server": self._around.api.url, "certificate-authority": str(account / "ca.crt")}
        context = {"cluster": "here", "user": "pod", "namespace": self._pod["metadata"]["namespace"]}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "here", "cluster": cluster}],
            "users": [{"name": "pod", "user": {"tokenFile": str(account / "token")}}],
            "contexts": [{"name": "here", "context": context}],
            "current-context": "here",
        }
        path.write_text(json.dumps(config, indent=2))
        path.chmod(0o600)
        return path


def _texts(container: Body) -> list[str]:
    values = [entry.get("value", "") for entry in container.get("env") or ()]
    return [*(container.get("command") or ()), *(container.get("args") or ()), *values]


def _declared(container: Body) -> list[int]:
    declared = [port["containerPort"] for port in container.get("ports") or ()]
    probes = [container[kind] for kind in KINDS if kind in container]
    asked = [probe[kind]["port"] for probe in probes for kind in _ASKED if kind in probe]
    return [*declared, *(port for port in asked if isinstance(port, int))]
