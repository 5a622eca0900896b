"""
What is written on a HorizontalPodAutoscaler whose floor is raised, so that it can always be given back.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tidecast_operator.autoscalers import Autoscaler

ORIGINAL = "tidecast.dev/original-min-replicas"
"""Annotation: the floor that its owner wrote."""

FLOOR = "tidecast.dev/floor"
"""Annotation: the floor that was written instead. Where another one stands, somebody else has written it since."""

BY = "tidecast.dev/floor-by"
"""Annotation, for people: the ServicePerformanceForecast that asks for it."""

ANNOTATIONS = (ORIGINAL, FLOOR, BY)

RAISED = {"tidecast.dev/floor": "raised"}
"""Label: stands wherever the annotations stand, so that they are found without a look at all autoscalers."""

SELECTOR = ",".join(f"{name}={text}" for name, text in RAISED.items())
"""What finds the label."""


class Garbled(Exception):
    """
    The annotations do not say what the original floor was; the text says why.
    """


@dataclass(frozen=True, slots=True)
class Claim:
    """
    A floor that was raised.

    Attributes:
        original: What it was, and will be again; at least 1.
        floor: What it was raised to; equal to the original while it is being given back.
        by: Name of the ServicePerformanceForecast that asks for it.
    """

    original: int
    floor: int
    by: str

    def to_annotations(self) -> dict[str, str]:
        """As it is written on the autoscaler."""
        return {ORIGINAL: str(self.original), FLOOR: str(self.floor), BY: self.by}


def is_marked(autoscaler: Autoscaler) -> bool:
    """Whether anything of ours stands on an autoscaler: an annotation, the label, or that we own a field."""
    names = (*autoscaler.annotations, *autoscaler.labels)
    return autoscaler.is_held or any(name in names for name in (*ANNOTATIONS, *RAISED))


def is_labelled(autoscaler: Autoscaler) -> bool:
    """Whether it carries the label."""
    return RAISED.items() <= autoscaler.labels.items()


def claim_on(autoscaler: Autoscaler) -> Claim | None:
    """
    What is written on an autoscaler; None if nothing is.

    Raises:
        Garbled: If somebody has changed it, and it makes no sense any more, or is gone.
    """
    annotations = autoscaler.annotations
    if not any(name in annotations for name in ANNOTATIONS):
        if autoscaler.is_floor_held:
            raise Garbled(f"annotation {ORIGINAL} is gone, and the floor is still the raised one")
        return None
    original, floor = _replicas(annotations, ORIGINAL), _replicas(annotations, FLOOR)
    if original > floor:
        raise Garbled(f"annotation {ORIGINAL} says {original}, which is more than {FLOOR}, {floor}")
    return Claim(original, floor, annotations.get(BY, ""))


def _replicas(annotations: Mapping[str, str], name: str) -> int:
    text = annotations.get(name)
    if text is None:
        raise Garbled(f"annotation {name} is missing")
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) < 1:
        raise Garbled(f"annotation {name} says {text[:40]!r}, which is no number of replicas")
    return int(text)
