"""
What one ready replica carries. Pure.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capacity:
    """
    What one ready replica carries, and how that is known.

    Attributes:
        per_replica: In the unit of the signal, above 0; of a learned one never more than what was measured.
        samples: Measurements that it was learned from, the older ones counted in part; 0 where it was given.
        is_limit: Whether latency was seen to rise above it; if not, it is only the most that was seen.
        evidence: What a learned one rests on, in words; empty where it was given.
    """

    per_replica: float
    samples: int = 0
    is_limit: bool = False
    evidence: str = ""

    @property
    def is_learned(self) -> bool:
        """Whether it was learned from history."""
        return self.samples > 0
