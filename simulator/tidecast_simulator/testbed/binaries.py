"""
Finds the programs of a control plane and of Prometheus, and says how to get one that is missing.

Where `KUBEBUILDER_ASSETS` names a folder, as `setup-envtest use -p path` prints it, its programs come first; then
the cache that `scripts/build-control-plane.sh` fills; then PATH.
"""

import os
import re
import shutil
from pathlib import Path

CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "openssl")
PROMETHEUS = ("prometheus", "promtool")
ALL = (*CONTROL_PLANE, *PROMETHEUS)

_BUILT = ("kube-apiserver", "kube-controller-manager")


class MissingProgram(Exception):
    """A program is not on this machine; the text says how to get it."""


def find(name: str) -> Path:
    """
    The path of a program.

    Raises:
        MissingProgram: If it is nowhere.
    """
    for folder in _folders(name):
        path = folder / name
        if path.is_file() and os.access(path, os.X_OK):
            return path
    on_path = None if name == "kube-controller-manager" and _assets_have_api_server() else shutil.which(name)
    if on_path is None:
        raise MissingProgram(f"{name} is missing: {_remedy(name)}")
    return Path(on_path)


def why_missing(*names: str) -> str:
    """
    How to get the programs of *names* that are not on this machine; empty when all are.

    Without names, of all that are needed: a folder KUBEBUILDER_ASSETS may lack a controller manager.
    """
    reasons = []
    needed = [name for name in ALL if name != "kube-controller-manager" or not _assets_have_api_server()]
    for name in names or needed:
        try:
            find(name)
        except MissingProgram as missing:
            reasons.append(str(missing))
    return "; ".join(reasons)


def cache_folder() -> Path:
    """Where built programs and other things that are costly to make are kept between runs."""
    explicit = os.environ.get("TIDECAST_CACHE")
    return Path(explicit) if explicit else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tidecast"


def _folders(name: str) -> list[Path]:
    """Where to look before PATH. A controller manager must be of the API server's own release, or it may not start."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    folders = [Path(assets)] if assets else []
    if name == "kube-controller-manager" and _assets_have_api_server():
        return folders
    built = cache_folder().glob("kubernetes-*") if name in _BUILT else ()
    return folders + sorted(built, key=_release, reverse=True)


def _assets_have_api_server() -> bool:
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    return bool(assets) and (Path(assets or "") / "kube-apiserver").is_file()


def _release(folder: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", folder.name))


def _remedy(name: str) -> str:
    if name == "kube-controller-manager" and _assets_have_api_server():
        return "the folder KUBEBUILDER_ASSETS has a kube-apiserver, and the controller manager beside it is not there"
    if name in _BUILT:
        return "run scripts/build-control-plane.sh, or set KUBEBUILDER_ASSETS to a folder that has it"
    return "run scripts/install-system.sh, or put it on PATH"
