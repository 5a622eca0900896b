"""
Volumes that outlive pods: each claim gets a folder, and a PersistentVolume for the real binder to bind it to.
"""

import shutil
import threading
from contextlib import suppress
from pathlib import Path

from tidecast_simulator.testbed.node.api import Api, Body
from tidecast_simulator.testbed.node.watching import Watch

_VOLUMES = "/api/v1/persistentvolumes"
_POLL_SECONDS = 0.3


class Claims:
    """
    Provisions for the PersistentVolumeClaims of some namespaces; a volume and its folder go with the claim.

    Args:
        api: To read and write with.
        namespaces: Whose claims.
        directory: For the folders.
    """

    def __init__(self, api: Api, namespaces: frozenset[str], directory: Path) -> None:
        self._api = api
        self._namespaces = namespaces
        self._directory = directory
        self._watch = Watch(api, "/api/v1/persistentvolumeclaims", self._see)
        self._made: dict[str, str] = {}
        self._gone: set[str] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="claims", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._watch.start()
        self._thread.start()

    def stop(self) -> None:
        """Ends; takes its volumes away, as far as that can be done, and leaves the folders."""
        self._watch.stop()
        self._stopped.set()
        self._thread.join()
        for uid in list(self._made):
            with suppress(OSError):
                self._take_away(uid)

    def folder(self, namespace: str, name: str) -> Path | None:
        """The folder of a claim that is bound; None while it is not."""
        for body in self._watch.objects:
            metadata = body["metadata"]
            if (metadata["namespace"], metadata["name"]) == (namespace, name):
                is_bound = body.get("status", {}).get("phase") == "Bound"
                return self._folder(metadata["uid"]) if is_bound and metadata["uid"] in self._made else None
        return None

    def _see(self, body: Body, is_gone: bool) -> None:  # noqa: FBT001 (what a watch calls)
        if is_gone:
            self._gone.add(body["metadata"]["uid"])

    def _run(self) -> None:
        while not self._stopped.wait(_POLL_SECONDS):
            with suppress(OSError):
                for uid in self._gone & self._made.keys():
                    self._take_away(uid)
                    shutil.rmtree(self._folder(uid), ignore_errors=True)
                for body in self._watch.objects:
                    if body["metadata"]["namespace"] in self._namespaces and _is_unserved(body):
                        self._provide(body)

    def _provide(self, claim: Body) -> None:
        metadata, spec = claim["metadata"], claim["spec"]
        if metadata["uid"] in self._made:
            return
        folder = self._folder(metadata["uid"])
        folder.mkdir(parents=True, exist_ok=True)
        name = f"pvc-{metadata['uid']}"
        volume = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name},
            "spec": {
                "accessModes": spec["accessModes"],
                "capacity": {"storage": spec["resources"]["requests"]["storage"]},
                "storageClassName": spec.get("storageClassName", ""),
                "persistentVolumeReclaimPolicy": "Retain",
                "hostPath": {"path": str(folder)},
                "claimRef": {
                    "apiVersion": "v1", "kind": "PersistentVolumeClaim",
                    **{key: metadata[key] for key in ("namespace", "name", "uid")},
                },
            },
        }  # fmt: skip
        self._api.create(_VOLUMES, volume)
        self._made[metadata["uid"]] = name

    def _take_away(self, uid: str) -> None:
        self._api.delete(f"{_VOLUMES}/{self._made[uid]}")
        del self._made[uid]

    def _folder(self, uid: str) -> Path:
        return self._directory / uid


def _is_unserved(claim: Body) -> bool:
    return claim.get("status", {}).get("phase") == "Pending" and "deletionTimestamp" not in claim["metadata"]
