"""The alerter as its own judge: visit every target, judge every rule, write down what follows, on a fixed grid.

A round that cannot be written did not happen: its states are not kept in memory either, so the next round decides it
again, with the same outcome, once the disk takes it.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType

import httpx

from alerts import scrape
from alerts.decisions import Decisions
from alerts.evidence.local import Recorder
from alerts.history import History
from alerts.in_force import InForce, Terms
from alerts.judge import judge
from alerts.notify.due import wanted_metrics
from alerts.notify.page_facts import IDENTITY_METRICS
from alerts.series import Sample, Scrape
from alerts.settings import AlerterSettings
from alerts.store import StoreUnavailableError

Observe = Callable[[Sequence[Scrape], float, float], None]
"""Is shown each round that was written: the scrapes, when (Unix seconds), and the longest gap that was watched."""

_log = logging.getLogger(__name__)

STALE_ROUNDS = 3
"""Rounds without a result after which the alerter calls itself unhealthy."""

_ROUNDS_IN_A_GAP = 2
_LONGEST_VISIT_SECONDS = 10.0
_SHARE_OF_A_ROUND = 0.8
"""A target that hangs must not push the round beyond the next one's time."""


class Rounds:
    """Decides by visiting the targets in force every ``interval`` seconds; ``observe`` sees each round."""

    def __init__(
        self,
        decisions: Decisions,
        in_force: InForce,
        *,
        observe: Observe | None = None,
        observed: frozenset[str] = frozenset(),
    ) -> None:
        self.scrapes: list[Scrape] = []
        self.history = History()
        self.recorder = Recorder()
        self.ended_at: float | None = None
        """Unix seconds of the last round that was written."""
        self.duration = 0.0
        self.lag = 0.0
        """How much later than planned the last round began, in seconds."""
        self.missed = 0
        """Rounds that fell out because the one before took too long."""
        self._ended = 0.0
        """When that was by the clock that nobody sets."""
        self.trouble = ""
        """Why nothing can be decided now, one line, empty while all is well."""
        self._decisions = decisions
        self._in_force = in_force
        self._observe = observe
        self._observed = observed
        self._identities: dict[tuple[str, str], Mapping[str, tuple[Sample, ...]]] = {}
        """What each target, by job and instance, last said of who it is."""

    async def run(self) -> None:
        """Go round until cancelled."""
        while True:
            terms = self._in_force.terms
            async with terms.settings.scrape.client(terms.trust) as client:
                await self._go_round(client, terms)

    async def _go_round(self, client: httpx.AsyncClient, terms: Terms) -> None:
        """Until other terms are in force."""
        begun, interval, number = time.monotonic(), terms.settings.interval, 0
        while self._in_force.terms is terms:
            self.lag = max(time.monotonic() - begun - number * interval, 0.0)
            try:
                await self.run_once(client)
            except StoreUnavailableError as error:
                if self.trouble != str(error):
                    _log.error("nothing can be decided: %s", error)
                self.trouble = str(error)
            else:
                self.trouble = ""
            due = int((time.monotonic() - begun) / interval) + 1
            self.missed += due - number - 1
            number = due
            await self._in_force.sleep(begun + number * interval - time.monotonic())

    async def run_once(self, client: httpx.AsyncClient) -> None:
        """Scrape, judge and commit.

        Raises:
            StoreUnavailableError: nothing was decided.
        """
        begun, now, terms = time.monotonic(), time.time(), self._in_force.terms
        settings, rules = terms.settings, terms.rules
        scrapes = await _scrape(client, settings, now, wanted_metrics(rules) | self._observed)
        max_gap = _ROUNDS_IN_A_GAP * settings.interval
        self.history.take(rules, scrapes, now, max_gap=max_gap)
        states, take = self._decisions.states, partial(self.recorder.take, now=now)
        changes = judge(rules, scrapes, states, now, max_gap=max_gap, history=self.history, read=take)
        await self._decisions.commit(changes, [self._identified(visit) for visit in scrapes], now=now, terms=terms)
        if self._observe:
            self._observe(scrapes, now, max_gap)
        self._note_targets(scrapes)
        self.scrapes, self.ended_at, self.duration = scrapes, now, time.monotonic() - begun
        self._ended = begun

    def unhealthy(self) -> str:
        """Why it does not do its work, empty while it does."""
        if self.trouble:
            return self.trouble
        longest = STALE_ROUNDS * self._in_force.settings.interval + 1
        silent = time.monotonic() - self._ended
        if self.ended_at is not None and silent > longest:
            return f"no round for {silent:.0f} s"
        return ""

    @property
    def undecided(self) -> str:
        """Why an alert would not be decided now, empty where it would."""
        return self.unhealthy() or self.unready

    @property
    def unready(self) -> str:
        """Why it cannot be asked yet, empty once it can."""
        return "no round yet" if self.ended_at is None else ""

    @property
    def remarks(self) -> list[str]:
        """What people should know of the readings."""
        unread = [visit.target for visit in self.scrapes if visit.error]
        return [f"cannot read {', '.join(unread)}"] if unread else []

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


async def _scrape(
    client: httpx.AsyncClient, settings: AlerterSettings, now: float, wanted: frozenset[str]
) -> list[Scrape]:
    deadline = min(_SHARE_OF_A_ROUND * settings.interval, _LONGEST_VISIT_SECONDS)
    visits = (scrape.fetch(client, target, now, deadline, wanted) for target in settings.targets)
    return list(await asyncio.gather(*visits))
