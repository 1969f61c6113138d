"""What the outbox counts of its attempts."""

from collections import Counter

from alerts.histogram import Histogram
from alerts.transport import Outcome
from gpuwarden.catalog import DELIVERY_SECONDS


class Tally:
    """Counts since the start, of all lanes together."""

    def __init__(self) -> None:
        self.outcomes: Counter[Outcome] = Counter()
        """Attempts by how they ended."""
        self.durations = Histogram(DELIVERY_SECONDS)
        """Seconds from decision to acceptance."""
        self.accepted_at: float | None = None
        """Unix seconds of the last acceptance."""

    def accepted(self, queued_at: float, now: float) -> None:
        """One more was accepted at ``now`` (Unix seconds)."""
        self.outcomes["accepted"] += 1
        self.durations.observe(max(now - queued_at, 0.0))
        self.accepted_at = now
