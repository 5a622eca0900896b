"""
What an `Accept` header takes, as far as it matters to a server that speaks JSON alone. Pure.
"""

from dataclasses import dataclass

_ANY = ("*/*", "application/*", "application/json")
_TEXT = ("*/*", "text/*", "text/plain")


@dataclass(frozen=True, slots=True)
class Taken:
    """
    One media range.

    Attributes:
        range: As in `application/json` or `*/*`, in lower case.
        kind: The `as` parameter: another document than the usual one is asked for; empty for the usual one.
        group: Of that kind.
        version: Of that kind.
    """

    range: str
    kind: str = ""
    group: str = ""
    version: str = ""


def parse(header: str) -> tuple[Taken, ...]:
    """What a header takes, in its order, without what it rules out by a weight of 0; everything where it is empty."""
    ranges = []
    for part in header.split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        pairs = dict(_pair(parameter) for parameter in parameters)
        if name and not _is_zero(pairs.get("q", "1")):
            ranges.append(Taken(name.lower(), pairs.get("as", ""), pairs.get("g", ""), pairs.get("v", "")))
    return tuple(ranges) if header.strip() else (Taken("*/*"),)


def takes_json(taken: tuple[Taken, ...]) -> bool:
    """Whether a usual JSON document will do."""
    return any(one.range in _ANY and not one.kind for one in taken)


def takes_text(taken: tuple[Taken, ...]) -> bool:
    """Whether a line of text will do; a probe that asks for JSON gets it too."""
    return takes_json(taken) or any(one.range in _TEXT for one in taken)


def _pair(parameter: str) -> tuple[str, str]:
    name, _, value = parameter.partition("=")
    return name.strip().lower(), value.strip().strip('"')


def _is_zero(weight: str) -> bool:
    try:
        return float(weight) == 0
    except ValueError:
        return False
