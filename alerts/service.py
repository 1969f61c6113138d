"""The alerter's loops: rounds on a fixed grid, composing what a round decided, and the outbox beside them.

Nothing waits for a timer that need not: a decision is composed at once and wakes the outbox. What a crash left between
two steps is taken up at the start: decided but not composed, composed but not sent.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable

import httpx

from alerts.compose_mail import compose
from alerts.mail_settings import bare_address
from alerts.notify.notification import Notification
from alerts.outbox import Outbox
from alerts.rounds import Rounds
from alerts.rules import load_rules
from alerts.settings import SHIPPED_RULES, AlerterSettings
from alerts.store import Store, StoreUnavailableError
from gpuwarden.documents import DocumentError

_log = logging.getLogger(__name__)

STALE_ROUNDS = 3
"""Rounds without a result after which the alerter calls itself unhealthy."""


class Service:
    """The alerter without its web side; ``run`` until cancelled."""

    def __init__(self, settings: AlerterSettings, store: Store, rounds: Rounds, outbox: Outbox) -> None:
        self.settings = settings
        self.store = store
        self.rounds = rounds
        self.outbox = outbox
        self.trouble = ""
        """Why nothing can be decided now, one line, empty while all is well."""
        self.decided: Counter[str] = Counter()
        """Notifications by reason since the start."""

    async def run(self) -> None:
        """Run all loops."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.outbox.run())
            group.create_task(self._judge())

    def reload_rules(self) -> None:
        """Take the rules files anew, all or nothing: with a mistake anywhere the old rules stay."""
        try:
            rules = load_rules(SHIPPED_RULES, self.settings.rule_files)
        except DocumentError as error:
            _log.error("the rules were not reloaded, the old ones stay:\n%s", error)
            return
        self.rounds.rules = rules
        _log.info("reloaded %d rules", len(rules))

    def unhealthy(self, now: float) -> str:
        """Why the alerter does not do its work, empty while it does; ``now`` in Unix seconds."""
        if self.trouble:
            return self.trouble
        longest = STALE_ROUNDS * self.settings.interval + 1
        ended_at = self.rounds.ended_at
        if ended_at is not None and now - ended_at > longest:
            return f"no round for {now - ended_at:.0f} s"
        return ""

    async def _judge(self) -> None:
        begun, interval = time.monotonic(), self.settings.interval
        async with httpx.AsyncClient(timeout=None, trust_env=False) as client:  # noqa: S113 -- fetch has its own
            await self._attempt(self._compose_leftovers())
            while True:
                await self._attempt(self._round(client))
                await asyncio.sleep(interval - (time.monotonic() - begun) % interval)

    async def _attempt(self, work: Awaitable[None]) -> None:
        try:
            await work
        except StoreUnavailableError as error:
            if self.trouble != str(error):
                _log.error("nothing can be decided: %s", error)
            self.trouble = str(error)
        else:
            self.trouble = ""

    async def _round(self, client: httpx.AsyncClient) -> None:
        for notification in await self.rounds.run_once(client):
            self.decided[notification.reason] += 1
            await self._compose(notification)

    async def _compose_leftovers(self) -> None:
        for notification in await self.store.call(self.store.uncomposed):
            await self._compose(notification)

    async def _compose(self, notification: Notification) -> None:
        root = await self.store.call(self.store.message_id, notification.root)
        message = compose(notification, self.settings.delivery, root_message_id=root)
        addresses = [bare_address(recipient) for recipient in notification.recipients]
        await self.store.call(self.store.add_message, notification.id, message, addresses)
        self.outbox.wake()
