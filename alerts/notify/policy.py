"""Who is told what, and how often: one step after the other, each pure.

1. **ladder** (``mute``): what each change tells, from the severity ladder alone.
2. **repeat**: what still fires is told again after a while.

Each step takes a change with its verdict and may tell something else, or nothing. A step that keeps an alert quiet also
takes its ``stands`` away, so that no later step tells it after all. What is not told has a named reason
(``mute.SUPPRESSED``), unless nothing is new.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from alerts.judge import Change
from alerts.notify.mute import Verdict
from alerts.notify.repeat import repeated
from alerts.notify_settings import NotifySettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the settings say of who is told what.

    ``repeats_early`` is how many seconds before its time a repeat may come.
    """

    notify: NotifySettings = field(default_factory=NotifySettings)
    repeats_early: float = 0.0

    @property
    def shortest_repeat(self) -> float | None:
        """After how many seconds anybody may be told again, None where nobody is."""
        return min((span for span in self.notify.repeat.by_severity.values() if span > 0), default=None)

    def decide(
        self, changes: Sequence[Change], verdicts: Sequence[Verdict], now: float
    ) -> tuple[list[Change], list[Verdict]]:
        """The changes and what each tells, from the verdicts of the ladder; ``now`` in Unix seconds."""
        found = list(zip(changes, verdicts, strict=True))
        found = [repeated(*pair, self._repeat, now, early=self.repeats_early) for pair in found]
        return [change for change, _ in found], [verdict for _, verdict in found]

    def _repeat(self, change: Change) -> float:
        """After how many seconds an alert is told again."""
        return self.notify.repeat.by_severity[change.rule.severity] if change.rule else 0.0
