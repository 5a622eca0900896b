"""
What one ready replica carries. Pure.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capacity:
    """
    What one ready replica carries, and how that is known.

    Attributes:
        per_replica: In the unit of the signal, above 0.
        samples: Measurements that it was learned from; 0 where it was given.
        is_limit: Whether latency was seen to rise above it; if not, it is only the most that was seen.
    """

    per_replica: float
    samples: int = 0
    is_limit: bool = False

    @property
    def is_learned(self) -> bool:
        """Whether it was learned from history."""
        return self.samples > 0
