"""
Commands of other programs in the documents, and how Helm understands its own.
"""

import argparse
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import helm_python
import yaml

from builders.documents import blocks
from chart.rendering import CHART, ROOT

OWN_CHART = str(CHART.relative_to(ROOT))
VALUES_FILE = "values.yaml"
"""What documents call the file with the reader's own values."""


def shell_commands(text: str) -> Iterator[list[str]]:
    """Every command line in a block, as words; without what its output goes into."""
    lines = [line for block in blocks(text, "bash") for line in block.replace("\\\n", " ").splitlines()]
    for block in blocks(text, "console"):
        lines += [line[2:] for line in block.replace("\\\n", " ").splitlines() if line.startswith("$ ")]
    for line in lines:
        words = shlex.split(line, comments=True)
        end = next((place for place, word in enumerate(words) if word[0] in "|>&"), len(words))
        if words:
            yield words[:end]


def values_blocks(text: str) -> list[Mapping[str, Any]]:
    """The blocks that are values of the chart: no object of Kubernetes, and nothing at the top that the chart has not."""
    known = yaml.safe_load((CHART / "values.yaml").read_text())
    bodies = [body for block in blocks(text, "yaml") for body in yaml.safe_load_all(block)]
    return [body for body in bodies if isinstance(body, dict) and "kind" not in body and body.keys() <= known.keys()]


def helm_arguments(words: list[str]) -> argparse.Namespace:
    """
    A command line of Helm as Helm 3 and Helm 4 both understand it.

    Raises:
        SystemExit: If it is not understood.
    """
    common = _Parser(add_help=False)
    common.add_argument("--namespace", default="default")
    waiting = _Parser(add_help=False)
    waiting.add_argument("--wait", action="store_true")
    waiting.add_argument("--timeout")
    valued = _Parser(add_help=False)
    valued.add_argument("--set", action="append", default=[])
    valued.add_argument("--values", action="append", default=[])
    valued.add_argument("--no-hooks", action="store_true")
    valued.add_argument("name")
    valued.add_argument("chart")

    parser = _Parser(prog="helm")
    kinds = parser.add_subparsers(dest="command", required=True)
    install = kinds.add_parser("install", parents=[common, waiting, valued])
    install.add_argument("--create-namespace", action="store_true")
    upgrade = kinds.add_parser("upgrade", parents=[common, waiting, valued])
    upgrade.add_argument("--reuse-values", action="store_true")
    kinds.add_parser("template", parents=[common, valued])
    rollback = kinds.add_parser("rollback", parents=[common, waiting])
    rollback.add_argument("name")
    rollback.add_argument("revision", nargs="?")
    kinds.add_parser("uninstall", parents=[common, waiting]).add_argument("name")
    test = kinds.add_parser("test", parents=[common])
    test.add_argument("name")
    test.add_argument("--logs", action="store_true")
    repository = kinds.add_parser("repo").add_subparsers(dest="subcommand", required=True).add_parser("add")
    repository.add_argument("name")
    repository.add_argument("url")
    return parser.parse_args(words[1:])


class _Parser(argparse.ArgumentParser):
    """One that takes no shortened flags, nor do those below it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_abbrev=False)


def values_of(arguments: argparse.Namespace, page: str) -> dict[str, Any]:
    """The values that a command gives: those of the page's first block, where a file is named, and those of --set."""
    values: dict[str, Any] = {}
    for name in arguments.values:
        assert name == VALUES_FILE, f"the documents call it {VALUES_FILE}, not {name}"
        values = merged(values, values_blocks(page)[0])
    for expression in arguments.set:
        values = merged(values, helm_python.parse_set_string(expression))
    return values


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Values with others over them, as Helm puts them together."""
    both = {
        key: merged(one[key], value) if isinstance(one.get(key), dict) and isinstance(value, dict) else value
        for key, value in other.items()
    }
    return {**one, **both}
