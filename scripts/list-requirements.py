"""
Prints what an extra of pyproject.toml asks for, a line each, without the project itself.

An image's layer with other people's packages is made from this, before any of the project's code is there.
Usage: list-requirements.py EXTRA
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
_EXTRAS = re.compile(r"([A-Za-z0-9._-]+)\[([^]]+)\]$")


def requirements(project: dict[str, Any], extra: str) -> Iterator[str]:
    """
    Those of the project and of *extra*, with the project's own other extras in it resolved.

    Args:
        project: The table `project` of a pyproject.toml.
        extra: One of its `optional-dependencies`.

    Raises:
        KeyError: If there is no such extra.
    """
    yield from project["dependencies"]
    yield from _of_extra(project, extra)


def _of_extra(project: dict[str, Any], extra: str) -> Iterator[str]:
    for requirement in project["optional-dependencies"][extra]:
        own = _EXTRAS.match(requirement)
        if own and own[1] == project["name"]:
            for name in own[2].split(","):
                yield from _of_extra(project, name.strip())
        else:
            yield requirement


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    found = requirements(tomllib.loads(_PYPROJECT.read_text())["project"], sys.argv[1])
    sys.stdout.write("".join(f"{requirement}\n" for requirement in found))
