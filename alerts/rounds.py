"""The alerter as its own judge: visit every target, judge every rule, write down what follows, on a fixed grid.

A round that cannot be written did not happen: its states are not kept in memory either, so the next round decides it
again, with the same outcome, once the disk takes it.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import httpx

from alerts import scrape
from alerts.decisions import Decisions
from alerts.history import History
from alerts.judge import judge
from alerts.notify.due import wanted_metrics
from alerts.notify.page_facts import IDENTITY_METRICS
from alerts.scrape_settings import ScrapeSettings
from alerts.series import Sample, Scrape
from alerts.store import StoreUnavailableError

_log = logging.getLogger(__name__)

STALE_ROUNDS = 3
"""Rounds without a result after which the alerter calls itself unhealthy."""

_ROUNDS_IN_A_GAP = 2
_LONGEST_VISIT_SECONDS = 10.0
_SHARE_OF_A_ROUND = 0.8
"""A target that hangs must not push the round beyond the next one's time."""


class Rounds:
    """Decides by visiting ``targets`` every ``interval`` seconds."""

    def __init__(
        self,
        decisions: Decisions,
        targets: Sequence[str],
        interval: float,
        access: ScrapeSettings = ScrapeSettings(),  # noqa: B008 -- frozen
    ) -> None:
        self._client = access.client()
        self.scrapes: list[Scrape] = []
        self.history = History()
        self.ended_at: float | None = None
        """Unix seconds of the last round that was written."""
        self.duration = 0.0
        self.trouble = ""
        """Why nothing can be decided now, one line, empty while all is well."""
        self._decisions = decisions
        self.targets = targets
        self._interval = interval
        self._identities: dict[tuple[str, str], Mapping[str, tuple[Sample, ...]]] = {}
        """What each target, by job and instance, last said of who it is."""

    async def run(self) -> None:
        """Go round until cancelled."""
        begun = time.monotonic()
        async with self._client as client:
            while True:
                try:
                    await self.run_once(client)
                except StoreUnavailableError as error:
                    if self.trouble != str(error):
                        _log.error("nothing can be decided: %s", error)
                    self.trouble = str(error)
                else:
                    self.trouble = ""
                await asyncio.sleep(self._interval - (time.monotonic() - begun) % self._interval)

    async def run_once(self, client: httpx.AsyncClient) -> None:
        """Scrape, judge and commit.

        Raises:
            StoreUnavailableError: nothing was decided.
        """
        begun, now, rules = time.monotonic(), time.time(), self._decisions.rules
        scrapes = await self._scrape(client, now, wanted_metrics(rules))
        max_gap = _ROUNDS_IN_A_GAP * self._interval
        self.history.take(rules, scrapes, now, max_gap=max_gap)
        changes = judge(rules, scrapes, self._decisions.states, now, max_gap=max_gap, history=self.history)
        await self._decisions.commit(changes, [self._identified(visit) for visit in scrapes], now=now)
        self._note_targets(scrapes)
        self.scrapes, self.ended_at, self.duration = scrapes, now, time.monotonic() - begun

    def unhealthy(self, now: float) -> str:
        """Why it does not do its work, empty while it does; ``now`` in Unix seconds."""
        if self.trouble:
            return self.trouble
        longest = STALE_ROUNDS * self._interval + 1
        if self.ended_at is not None and now - self.ended_at > longest:
            return f"no round for {now - self.ended_at:.0f} s"
        return ""

    @property
    def unready(self) -> str:
        """Why it cannot be asked yet, empty once it can."""
        return "no round yet" if self.ended_at is None else ""

    @property
    def remarks(self) -> list[str]:
        """What people should know of the readings."""
        unread = [visit.target for visit in self.scrapes if visit.error]
        return [f"cannot read {', '.join(unread)}"] if unread else []

    async def _scrape(self, client: httpx.AsyncClient, now: float, wanted: frozenset[str]) -> list[Scrape]:
        deadline = min(_SHARE_OF_A_ROUND * self._interval, _LONGEST_VISIT_SECONDS)
        visits = (scrape.fetch(client, target, now, deadline, wanted) for target in self.targets)
        return list(await asyncio.gather(*visits))

    def _identified(self, visit: Scrape) -> Scrape:
        """The visit as a mail needs it: a target that does not answer is still the one that it was."""
        target = visit.job, visit.instance
        if visit.error is None:
            self._identities[target] = {name: visit.samples[name] for name in IDENTITY_METRICS & visit.samples.keys()}
            return visit
        return replace(visit, samples=MappingProxyType({**self._identities.get(target, {}), **visit.samples}))

    def _note_targets(self, scrapes: Sequence[Scrape]) -> None:
        before = {visit.target: visit.error for visit in self.scrapes}
        for visit in scrapes:
            if visit.error and not before.get(visit.target):
                _log.warning("%s cannot be read: %s", visit.target, visit.error)
            elif not visit.error and before.get(visit.target):
                _log.info("%s can be read again", visit.target)
