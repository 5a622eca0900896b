"""
A folder whose files change all at once, as kubelet writes Secrets and ConfigMaps.

The files are links into a folder that is itself a link, `..data`; a change makes a new folder and turns that link.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

Payload = Mapping[str, tuple[bytes, int]]
"""Paths relative to the folder, and what each file holds with its mode."""

_DATA, _NEW_DATA = "..data", "..data_tmp"


def write_at_once(folder: Path, payload: Payload) -> bool:
    """Makes the files of *folder* those of *payload*; whether anything changed."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / _DATA
    if data.is_symlink() and _read(data) == dict(payload):
        return False
    new = Path(tempfile.mkdtemp(prefix="..", dir=folder))
    new.chmod(0o755)
    for name, (content, mode) in payload.items():
        path = new / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(mode)
    old = data.resolve() if data.is_symlink() else None
    turned = folder / _NEW_DATA
    turned.unlink(missing_ok=True)
    turned.symlink_to(new.name)
    turned.rename(data)
    _link(folder, {Path(name).parts[0] for name in payload})
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)
    return True


def _link(folder: Path, names: set[str]) -> None:
    for name in names:
        if not os.path.lexists(folder / name):
            (folder / name).symlink_to(Path(_DATA) / name)
    for path in folder.iterdir():
        if not path.name.startswith("..") and path.name not in names:
            path.unlink()


def _read(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = [path for path in folder.resolve().rglob("*") if path.is_file()]
    root = folder.resolve()
    return {str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mode & 0o7777) for path in files}
