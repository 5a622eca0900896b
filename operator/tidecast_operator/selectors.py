"""
Label selectors, as Kubernetes has them. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


@dataclass(frozen=True, slots=True)
class Requirement:
    """
    One condition on a label.

    Attributes:
        key: The label.
        operator: `In`, `NotIn`, `Exists` or `DoesNotExist`.
        values: For `In` and `NotIn`.
    """

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether *labels* meet it; `NotIn` holds for a label that is not there."""
        if self.operator == "In":
            return labels.get(self.key) in self.values
        if self.operator == "NotIn":
            return labels.get(self.key) not in self.values
        return (self.key in labels) == (self.operator == "Exists")


@dataclass(frozen=True, slots=True)
class Selector:
    """
    Requirements all of which must hold.

    Attributes:
        requirements: None selects nothing, an empty tuple everything.
    """

    requirements: tuple[Requirement, ...] | None

    @classmethod
    def parse(cls, selector: Mapping[str, Any] | None) -> "Selector":
        """
        From `matchLabels` and `matchExpressions`; None, as in Kubernetes, selects nothing and {} everything.

        Raises:
            ValueError: If an operator is not known, or lacks its values or has too many.
        """
        if selector is None:
            return NOTHING
        labels = [Requirement(key, "In", (value,)) for key, value in (selector.get("matchLabels") or {}).items()]
        expressions = [_requirement(expression) for expression in selector.get("matchExpressions") or []]
        return cls((*labels, *expressions))

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether *labels* meet all requirements."""
        if self.requirements is None:
            return False
        return all(requirement.matches(labels) for requirement in self.requirements)


NOTHING = Selector(None)
"""Selects nothing."""


def _requirement(expression: Mapping[str, Any]) -> Requirement:
    key, operator, values = expression.get("key"), expression.get("operator"), expression.get("values") or []
    if not key or operator not in _OPERATORS:
        raise ValueError(f"operator {operator!r} of key {key!r} is not one of {', '.join(_OPERATORS)}")
    if bool(values) != (operator in ("In", "NotIn")):
        raise ValueError(f"operator {operator} of key {key!r} goes with {'values' if not values else 'no values'}")
    return Requirement(key, operator, tuple(values))
