"""What is in force and what is remembered, and the one way in which a decision becomes durable.

Whoever decides (``rounds`` when the alerter judges, ``posts`` when Alertmanager does) hands its changes to ``commit``:
states and notifications are written together, and only then are they remembered here. A decision that cannot be written
did not happen: the next round, or the next try of the sender, decides it again with the same outcome.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence

from alerts.clean_text import one_line
from alerts.in_force import InForce
from alerts.judge import Change
from alerts.notify.due import notifications, random_id
from alerts.notify.mute import SUPPRESSED, Suppressed, Verdict, judged_here
from alerts.rule import Rule
from alerts.series import Scrape
from alerts.state import AlertKey, State
from alerts.store import Store

_log = logging.getLogger(__name__)

_LONGEST_WORD = 200
_LABELS_LOGGED = 20


class Decisions:
    """The judged state of all alerts."""

    def __init__(self, store: Store, in_force: InForce) -> None:
        self.states: dict[AlertKey, State] = store.load_states()
        self.told = asyncio.Event()
        """Set whenever there is something new to compose."""
        self.counted: Counter[str] = Counter()
        """Notifications by reason since the start."""
        self.suppressed: Counter[Suppressed] = Counter()
        """What fired or ended and is told nobody, by reason since the start."""
        self._store = store
        self._in_force = in_force

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in force."""
        return self._in_force.rules

    async def commit(
        self,
        changes: Sequence[Change],
        scrapes: Sequence[Scrape] = (),
        weigh: Callable[[Sequence[Change]], Sequence[Verdict]] = judged_here,
    ) -> None:
        """Write down what was decided; ``scrapes`` are what it was decided on, ``weigh`` says what each change tells.

        Raises:
            StoreUnavailableError: nothing was decided.
        """
        verdicts, settings = weigh(changes), self._in_force.settings
        told, changes = notifications(
            changes,
            scrapes,
            settings.delivery.recipients,
            random_id,
            simulated=settings.all_simulated,
            verdicts=verdicts,
        )
        written = {change.key: change.state for change in changes if change.state != change.previous}
        if written or told:
            await self._store.call(self._store.commit_round, written, told)
        for change, verdict in zip(changes, verdicts, strict=True):
            self._keep(change, verdict)
        if told:
            self.counted.update(notification.reason for notification in told)
            self.told.set()

    async def probe(self) -> None:
        """Find out whether a decision could be written now; raises StoreUnavailableError where it could not."""
        await self._store.call(self._store.probe)

    def _keep(self, change: Change, verdict: Verdict) -> None:
        if change.state is None:
            self.states.pop(change.key, None)
        else:
            self.states[change.key] = change.state
        ended_silently = change.state is None and change.previous is not None and change.transition is None
        if verdict.suppressed:
            self.suppressed[verdict.suppressed] += 1
        if change.transition or verdict.tells or (ended_silently and _was_firing(change)):
            _log_change(change, verdict)


def _was_firing(change: Change) -> bool:
    return change.previous is not None and change.previous.phase == "firing"


def _log_change(change: Change, verdict: Verdict) -> None:
    labels = ", ".join(
        f"{one_line(name, _LONGEST_WORD)}={one_line(value, _LONGEST_WORD)!r}"
        for name, value in change.key.labels[:_LABELS_LOGGED]
    )
    name, word = one_line(change.key.alertname, _LONGEST_WORD), change.transition or verdict.tells or "dropped"
    told = f"; {verdict.suppressed}: {SUPPRESSED[verdict.suppressed]}" if verdict.suppressed else ""
    _log.info("%s %s (%s): %s, value %s%s", name, word, change.reason, labels, change.value, told)
