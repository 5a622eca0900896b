"""
How an API server is reached that is not there.
"""

from pathlib import Path

_UNREACHABLE = (
    "{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: k, user: u}}], "
    "clusters: [{name: k, cluster: {server: 'http://127.0.0.1:9'}}], users: [{name: u, user: {}}]}"
)


def unreachable(folder: Path) -> str:
    """The flag that names such a kubeconfig, which is written into that folder."""
    path = folder / "kubeconfig"
    path.write_text(_UNREACHABLE)
    return f"--kubeconfig={path}"
