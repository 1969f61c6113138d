"""What became of the attempts to deliver, of all lanes together, since the start."""

from collections import Counter

from alerts.histogram import Histogram
from alerts.transport import Outcome
from gpuwarden.catalog import DELIVERY_SECONDS


class Attempts:
    """``outcomes`` counts attempts by how they ended."""

    def __init__(self) -> None:
        self.outcomes: Counter[Outcome] = Counter()
        self.durations = Histogram(DELIVERY_SECONDS)
        """Seconds from decision to acceptance."""
        self.accepted_at: float | None = None
        """Unix seconds of the last acceptance, of an earlier run too."""

    def accepted(self, queued_at: float, now: float) -> None:
        """One that was queued at ``queued_at`` was accepted at ``now`` (Unix seconds)."""
        self.outcomes["accepted"] += 1
        self.durations.observe(max(now - queued_at, 0.0))
        self.accepted_at = now
