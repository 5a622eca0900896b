"""
Label selectors as they stand in a query: `forecast in (cart, checkout), tier != test, !old`. Pure.
"""

import re
from collections.abc import Iterator

from tidecast_operator.selectors import Requirement, Selector

_TOKEN = re.compile(r"\s*(==|!=|[=!(),<>]|[^\s=!(),<>]+)")
_MARKS = ("=", "==", "!=", "!", "(", ")", ",", "<", ">")
_END = ""
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def parse(text: str) -> Selector:
    """
    What a selector asks for; of an empty text, nothing, so that everything matches.

    Raises:
        ValueError: If it breaks the grammar, or compares numbers with < or >, which no label here has.
    """
    tokens = _Tokens(text)
    if tokens.next == _END:
        return Selector(())
    requirements = [_requirement(tokens)]
    while tokens.next == ",":
        tokens.take()
        requirements.append(_requirement(tokens))
    tokens.expect(_END)
    return Selector(tuple(requirements))


class _Tokens:
    """The tokens of a selector, with one to look ahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._rest = self._split(text)
        self.next = next(self._rest, _END)

    def take(self) -> str:
        """The next one, which is thereby used up."""
        taken, self.next = self.next, next(self._rest, _END)
        return taken

    def expect(self, *wanted: str) -> str:
        """The next one, which has to be one of those."""
        if self.next not in wanted:
            names = " or ".join(repr(one) if one else "the end" for one in wanted)
            raise self.broken(f"{names} is expected")
        return self.take()

    def broken(self, problem: str) -> ValueError:
        """What is wrong at the next one."""
        place = f"at {self.next!r}" if self.next else "at its end"
        return ValueError(f"label selector {self._text!r}: {place} {problem}")

    @staticmethod
    def _split(text: str) -> Iterator[str]:
        # Every character that is no space belongs to a token, so nothing is skipped.
        return (match[1] for match in _TOKEN.finditer(text.rstrip()))


def _requirement(tokens: _Tokens) -> Requirement:
    if tokens.next == "!":
        tokens.take()
        return Requirement(_key(tokens), "DoesNotExist")
    key = _key(tokens)
    if tokens.next in (_END, ","):
        return Requirement(key, "Exists")
    if tokens.next in ("<", ">"):
        raise tokens.broken("labels are compared as numbers, which none here is")
    operator = tokens.expect("=", "==", "!=", "in", "notin")
    values = _values(tokens) if operator in ("in", "notin") else (_value(tokens),)
    return Requirement(key, "In" if operator in ("=", "==", "in") else "NotIn", values)


def _values(tokens: _Tokens) -> tuple[str, ...]:
    tokens.expect("(")
    values = [_value(tokens)]
    while tokens.expect(",", ")") == ",":
        values.append(_value(tokens))
    return tuple(values)


def _key(tokens: _Tokens) -> str:
    prefix, slash, name = tokens.next.rpartition("/")
    if not _NAME.fullmatch(name) or (slash and not (_PREFIX.fullmatch(prefix) and len(prefix) <= 253)):
        raise tokens.broken("the key of a label is expected")
    return tokens.take()


def _value(tokens: _Tokens) -> str:
    if tokens.next in (_END, ",", ")"):
        return ""  # which is a value of its own
    if tokens.next in _MARKS or not _NAME.fullmatch(tokens.next):
        raise tokens.broken("the value of a label is expected: at most 63 letters, digits, '-', '_' and '.'")
    return tokens.take()
