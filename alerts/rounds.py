"""One round: visit every target, judge every rule, write down what follows. The loop around it is in service.py.

A round that cannot be written did not happen: its states are not kept in memory either, so the next round decides it
again, with the same outcome, once the disk takes it.
"""

import asyncio
import logging
import time
from collections.abc import Sequence

import httpx

from alerts import scrape
from alerts.judge import Change, judge
from alerts.notify.due import notifications, random_id, wanted_metrics
from alerts.notify.notification import Notification
from alerts.rule import Rule
from alerts.series import Scrape
from alerts.state import AlertKey, State
from alerts.store import Store

_log = logging.getLogger(__name__)

_ROUNDS_IN_A_GAP = 2
_LONGEST_VISIT_SECONDS = 10.0


class Rounds:
    """The judged state of all alerts; ``rules`` may be replaced between rounds."""

    def __init__(
        self, store: Store, rules: tuple[Rule, ...], targets: Sequence[str], interval: float, recipients: Sequence[str]
    ) -> None:
        self.rules = rules
        self.states: dict[AlertKey, State] = store.load_states()
        self.scrapes: list[Scrape] = []
        self.ended_at: float | None = None
        """Unix seconds of the last round that was written."""
        self.duration = 0.0
        self._store = store
        self._targets = targets
        self._interval = interval
        self._recipients = recipients

    async def run_once(self, client: httpx.AsyncClient) -> list[Notification]:
        """Scrape, judge and commit; returns what was decided to tell.

        Raises:
            StoreUnavailableError: nothing was decided.
        """
        begun, now, rules = time.monotonic(), time.time(), self.rules
        scrapes = await self._scrape(client, now, wanted_metrics(rules))
        changes = judge(rules, scrapes, self.states, now, max_gap=_ROUNDS_IN_A_GAP * self._interval)
        told, changes = notifications(changes, scrapes, self._recipients, random_id)
        written = {change.key: change.state for change in changes if change.state != change.previous}
        if written or told:
            await self._store.call(self._store.commit_round, written, told)
        for change in changes:
            self._keep(change)
        self._note_targets(scrapes)
        self.scrapes, self.ended_at, self.duration = scrapes, now, time.monotonic() - begun
        return told

    async def _scrape(self, client: httpx.AsyncClient, now: float, wanted: frozenset[str]) -> list[Scrape]:
        deadline = min(self._interval, _LONGEST_VISIT_SECONDS)
        visits = (scrape.fetch(client, target, now, deadline, wanted) for target in self._targets)
        return list(await asyncio.gather(*visits))

    def _keep(self, change: Change) -> None:
        if change.state is None:
            self.states.pop(change.key, None)
        else:
            self.states[change.key] = change.state
        ended_silently = change.state is None and change.previous is not None and change.transition is None
        if change.transition or (ended_silently and change.previous and change.previous.phase == "firing"):
            labels = ", ".join(f"{name}={value!r}" for name, value in change.key.labels)
            word = change.transition or "dropped"
            _log.info("%s %s (%s): %s, value %s", change.key.alertname, word, change.reason, labels, change.value)

    def _note_targets(self, scrapes: Sequence[Scrape]) -> None:
        before = {visit.target: visit.error for visit in self.scrapes}
        for visit in scrapes:
            if visit.error and not before.get(visit.target):
                _log.warning("%s cannot be read: %s", visit.target, visit.error)
            elif not visit.error and before.get(visit.target):
                _log.info("%s can be read again", visit.target)
