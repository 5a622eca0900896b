"""
How often the two ends of a relay speak, and how long they wait for each other.
"""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """
    Times of a relay; both ends must agree on the first two.

    Attributes:
        heartbeat_seconds: A server sends something at least so often, and looks so often whether it still leads.
        silence_seconds: A client leaves a server that sends nothing for so long; several heartbeats.
        answer_seconds: The first answer of a server must come within this time, the connection included.
        first_pause_seconds: Before a client asks all addresses again; each further pause is twice as long.
        longest_pause_seconds: No pause is longer, before it is varied.
    """

    heartbeat_seconds: float = 2.0
    silence_seconds: float = 10.0
    answer_seconds: float = 5.0
    first_pause_seconds: float = 0.25
    longest_pause_seconds: float = 5.0

    def pause_seconds(self, failures: int) -> float:
        """Before the next attempt, after *failures* in a row; varied by a quarter, so that not all come at once."""
        doublings = min(max(failures - 1, 0), 30)  # beyond any longest pause, and no overflow
        pause = min(self.first_pause_seconds * 2.0**doublings, self.longest_pause_seconds)
        return pause * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
