"""
Floors over a fake API server, with a clock that stands still, as a process that leads.
"""

from builders.autoscalers import NOW, FakeAutoscalers, autoscaler, board
from tidecast_operator.outlets.floors.floors import FloorReport, Floors


class Following:
    """Follows one board after the other; one request at a time, unless `threads` says otherwise."""

    def __init__(self, *autoscalers, **settings):
        self.fake = FakeAutoscalers().put(*(autoscalers or (autoscaler(),)))
        self.now = NOW
        self.may_write = True
        self.pauses = []
        self._settings = {"threads": 1} | settings
        self.restart()

    def restart(self) -> None:
        """A new process."""
        self.floors = Floors(self.fake, may_write=lambda: self.may_write, clock=lambda: self.now, **self._settings)

    def follow(self, *entries, **settings) -> FloorReport:
        """A cycle in which these are all that hints say; its calls can be read from `fake.calls`."""
        return self.floors.follow(board(*entries), **settings)

    def release_all(self, *namespaces) -> FloorReport:
        """As the command does."""
        return self.floors.release_all(namespaces, pause=self.pauses.append)
