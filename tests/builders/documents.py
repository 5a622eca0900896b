"""
What the documents say, in pieces that a test can check: blocks, commands, tables and links.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^(?:\$ )?(?:\S*/)?(tidecast-(?:operator|predictor|simulator)) (.+)$", flags=re.MULTILINE)


def documents() -> list[Path]:
    """The README, the changelog and everything below docs."""
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("**/*.md"))]


def blocks(text: str, language: str | None = None) -> list[str]:
    """The fenced blocks of a document, of one language or of all."""
    return [body for name, body in _BLOCK.findall(text) if language in (None, name)]


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """The program and the arguments of every command line of Tidecast's own in a block."""
    for block in blocks(text):
        for program, arguments in _COMMAND.findall(block.replace("\\\n", " ")):
            words = shlex.split(arguments, comments=True)
            end = next((place for place, word in enumerate(words) if word[0] in "|>&;"), len(words))
            yield program, words[:end]


def prose(text: str) -> str:
    """A document without its blocks."""
    return _BLOCK.sub("", text)


def rows(text: str, *, columns: int) -> list[list[str]]:
    """The cells of every row of the tables that have so many columns, without heads and without code marks."""
    found = []
    for line in text.splitlines():
        cells = [cell.strip().strip("`") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == columns:
            found.append(cells)
    separators = [place for place, cells in enumerate(found) if all(set(cell) <= set("-:") for cell in cells)]
    return [cells for place, cells in enumerate(found) if place not in separators and place + 1 not in separators]


def anchors(text: str) -> set[str]:
    """The fragments that links to the headings of a document may have."""
    headings = re.findall(r"^#+ (.+)$", _BLOCK.sub("", text), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
