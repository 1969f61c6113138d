"""What follows from an attempt that failed: another one later, or the end. Pure.

- What may pass by itself (4xx, silence, nobody there) waits, 15 seconds doubling to 15 minutes, for 72 hours: a server
  that greylists wants to be asked again after some minutes, and a broken one is mended within a weekend.
- What never can pass (5xx about this mail or this recipient) is a dead letter at once.
- What is the fault of our settings counts against no mail until the 72 hours are over: a person has to mend it.
"""

from dataclasses import dataclass
from typing import Literal

from alerts.transport import Outcome

FIRST_WAIT_SECONDS = 15.0
LONGEST_WAIT_SECONDS = 900.0
EXPIRY_SECONDS = 72 * 3600.0
_JITTER = 0.2


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from a failed attempt: ``deferred`` until ``next_at`` (Unix seconds), or ``dead``."""

    state: Literal["deferred", "dead"]
    outcome: Outcome
    next_at: float


def judge(reason: Outcome, attempts: int, queued_at: float, now: float, chance: float) -> Verdict:
    """What to do after attempt number ``attempts`` failed for ``reason``; ``chance`` in 0..1 spreads the waits."""
    if reason == "refused":
        return Verdict("dead", "refused", now)
    if now - queued_at >= EXPIRY_SECONDS:
        return Verdict("dead", "expired", now)
    return Verdict("deferred", reason, now + wait_after(attempts, chance))


def wait_after(attempts: int, chance: float) -> float:
    """Seconds until the next attempt, within a fifth of 15 s, 30 s, 60 s ... 15 min."""
    plain = min(FIRST_WAIT_SECONDS * 2.0 ** min(attempts - 1, 16), LONGEST_WAIT_SECONDS)
    return plain * (1 + _JITTER * (2 * chance - 1))
