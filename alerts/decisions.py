"""What is in force and what is remembered, and the one way in which a decision becomes durable.

Whoever decides (``rounds`` when the alerter judges, ``posts`` when Alertmanager does) hands its changes to ``commit``:
states and notifications are written together, and only then are they remembered here. A decision that cannot be written
did not happen: the next round, or the next try of the sender, decides it again with the same outcome.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence

from alerts.clean_text import one_line
from alerts.judge import Change
from alerts.notify.due import notifications, random_id
from alerts.rule import Rule
from alerts.series import Scrape
from alerts.state import AlertKey, State
from alerts.store import Store

_log = logging.getLogger(__name__)

_LONGEST_WORD = 200
_LABELS_LOGGED = 20


class Decisions:
    """The judged state of all alerts; ``rules`` may be replaced between decisions.

    ``simulated`` marks everything that is told, whatever the readings say of themselves.
    """

    def __init__(
        self, store: Store, rules: tuple[Rule, ...], recipients: Sequence[str], *, simulated: bool = False
    ) -> None:
        self.rules = rules
        self.states: dict[AlertKey, State] = store.load_states()
        self.told = asyncio.Event()
        """Set whenever there is something new to compose."""
        self.counted: Counter[str] = Counter()
        """Notifications by reason since the start."""
        self._store = store
        self._recipients = recipients
        self._simulated = simulated

    async def commit(self, changes: Sequence[Change], scrapes: Sequence[Scrape] = ()) -> None:
        """Write down what was decided; ``scrapes`` are what it was decided on.

        Raises:
            StoreUnavailableError: nothing was decided.
        """
        told, changes = notifications(changes, scrapes, self._recipients, random_id, simulated=self._simulated)
        written = {change.key: change.state for change in changes if change.state != change.previous}
        if written or told:
            await self._store.call(self._store.commit_round, written, told)
        for change in changes:
            self._keep(change)
        if told:
            self.counted.update(notification.reason for notification in told)
            self.told.set()

    async def probe(self) -> None:
        """Find out whether a decision could be written now; raises StoreUnavailableError where it could not."""
        await self._store.call(self._store.probe)

    def _keep(self, change: Change) -> None:
        if change.state is None:
            self.states.pop(change.key, None)
        else:
            self.states[change.key] = change.state
        ended_silently = change.state is None and change.previous is not None and change.transition is None
        if change.transition or (ended_silently and change.previous and change.previous.phase == "firing"):
            _log_change(change)


def _log_change(change: Change) -> None:
    labels = ", ".join(
        f"{one_line(name, _LONGEST_WORD)}={one_line(value, _LONGEST_WORD)!r}"
        for name, value in change.key.labels[:_LABELS_LOGGED]
    )
    name, word = one_line(change.key.alertname, _LONGEST_WORD), change.transition or "dropped"
    _log.info("%s %s (%s): %s, value %s", name, word, change.reason, labels, change.value)
