"""How much of a card's time the probe has used, and whether a further run fits into its share: pure.

1. From the start of a run to the start of the next on the same card at least ``seconds / share`` go by. So between two
   starts the probe never has more than its share.
2. In any ten minutes, too, it stays within its share, as far as the next run takes no longer than that model's last one
   there; of a model that has not run there yet, as long as the longest of the others. A run that takes more than the
   share of ten minutes by itself needs that much longer a window.
3. A run counts from the moment that it takes the device to its end; one that was killed counts as a whole.
"""

from collections import deque
from typing import NamedTuple

WINDOW_SECONDS = 600.0
_HOUR = 3600.0
_MOST_RUNS = 4096
_ROUNDING = 1e-9


class Run(NamedTuple):
    """Monotonic seconds of its start, and how many seconds of the device's time it used."""

    began: float
    seconds: float


class Ledger:
    """By card; used by one thread at a time. ``share`` is of the time, 0.01 for 1 %."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._runs: dict[str, deque[Run]] = {}
        self._last: dict[str, dict[str, float]] = {}

    def spend(self, card: str, model: str, began: float, seconds: float) -> None:
        """Write a run down; one that never took the device says nothing of how long the next will have it."""
        if not seconds:
            return
        self._runs.setdefault(card, deque(maxlen=_MOST_RUNS)).append(Run(began, seconds))
        self._last.setdefault(card, {})[model] = seconds

    def allows(self, card: str, model: str, now: float) -> bool:
        """Whether a run of this model may start on the card."""
        if now < self.next_start(card):
            return False
        known = self._last.get(card, {})
        expected = known.get(model, max(known.values(), default=0.0))
        window = max(WINDOW_SECONDS, expected / self._share)
        return self._spent(card, now - window) + expected <= self._share * window + _ROUNDING

    def next_start(self, card: str) -> float:
        """Before this time (monotonic seconds) no run may start on the card."""
        runs = self._runs.get(card)
        return runs[-1].began + runs[-1].seconds / self._share if runs else float("-inf")

    def ratio(self, card: str, now: float) -> float:
        """The share of the last hour that was used."""
        return self._spent(card, now - _HOUR) / _HOUR

    def _spent(self, card: str, since: float) -> float:
        """Seconds used after ``since``; a run that reaches into the time before it counts with what is behind it."""
        runs = self._runs.get(card, ())
        return sum(min(run.seconds, run.began + run.seconds - since) for run in runs if run.began + run.seconds > since)
