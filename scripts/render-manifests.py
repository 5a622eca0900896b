#!/usr/bin/env python3
"""
Writes the manifests for those who do not use Helm: what the chart renders with its default values, for `kubectl apply -k`.

The chart is the one source. Its definitions come from manifests/crds and are not written again; the Job that Helm runs
before an uninstall and the Pod that it runs as a test are files of their own, to be run by hand.
Usage: render-manifests.py [--check]; with --check nothing is written, and a file that is not in step is an error.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml
from helm_python import Chart

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "charts" / "tidecast"
MANIFESTS = ROOT / "manifests"
RELEASE, NAMESPACE = "tidecast", "tidecast-system"
FOLDERS = ("network", "operator", "outlets", "predictor", "rbac", "tls")
"""Folders below manifests that hold nothing but what is written here."""

HEAD = "# Written by scripts/render-manifests.py from charts/tidecast; change the chart instead.\n"
_BY_HAND = {"hooks/clean-up.yaml": "clean-up.yaml", "tests/check.yaml": "check.yaml"}
_OF_HELM = re.compile(r"^ *(?:helm\.sh/[\w-]+: .*|app\.kubernetes\.io/managed-by: Helm)\n", flags=re.MULTILINE)
_EMPTY_ANNOTATIONS = re.compile(r"^( *)annotations:\n(?!\1 )", flags=re.MULTILINE)


def main() -> str | int:
    """Writes the files, or checks them; returns 0, or what is wrong."""
    files = dict(_files())
    wrong = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    left_over = [path for folder in FOLDERS for path in (MANIFESTS / folder).glob("*.yaml") if path not in files]
    if sys.argv[1:] == ["--check"]:
        names = ", ".join(sorted(str(path.relative_to(ROOT)) for path in (*wrong, *left_over)))
        return f"not in step: {names}; run scripts/render-manifests.py" if names else 0
    for path in left_over:
        path.unlink()
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0


def _files() -> Iterator[tuple[Path, str]]:
    resources = ["namespace.yaml", *(f"crds/{path.name}" for path in sorted((MANIFESTS / "crds").glob("*.yaml")))]
    for name, text in sorted(_rendered().items()):
        if name.startswith("crds/") or not any(yaml.safe_load_all(text)):
            continue
        place = _BY_HAND.get(name, name)
        if place == name:
            resources.append(name)
            if name.partition("/")[0] not in FOLDERS:
                raise SystemExit(f"render-manifests: {name}: add its folder to FOLDERS")
        yield MANIFESTS / place, HEAD + _without_helm(text)
    listed = "".join(f"  - {name}\n" for name in resources)
    kind = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
    yield MANIFESTS / "kustomization.yaml", f"{HEAD}{kind}resources:\n{listed}"


def _rendered() -> dict[str, str]:
    """What each template becomes for a new Kubernetes, by its path below `templates`."""
    found = Chart.load(CHART).render({}, name=RELEASE, namespace=NAMESPACE)
    return {name.partition("/templates/")[2]: text for name, text in found.items() if name.endswith(".yaml")}


def _without_helm(text: str) -> str:
    """A text without the labels and annotations that say that Helm manages the object: here it does not."""
    return _EMPTY_ANNOTATIONS.sub("", _OF_HELM.sub("", text)).strip() + "\n"


if __name__ == "__main__":
    sys.exit(main())
