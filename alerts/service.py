"""The alerter's loops: deciding (``rounds`` or ``posts``), composing what was decided, the outbox and the heartbeat.

Nothing waits for a timer that need not: a decision is composed at once and wakes the outbox. What a crash left between
two steps is taken up at the start: decided but not composed, composed but not sent.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable

from alerts.composer import Composer
from alerts.decisions import Decisions
from alerts.heartbeat import Heartbeat, Reason, withheld
from alerts.in_force import InForce
from alerts.outbox import Outbox
from alerts.outbox_control import serve_control
from alerts.posts import Posts
from alerts.report.reporter import Reporter
from alerts.rounds import Rounds
from alerts.settings import AlerterSettings
from alerts.store import Store, StoreUnavailableError

Loop = Callable[[], Awaitable[None]]


class Service:
    """The alerter without its web side; ``run`` until cancelled. ``beside`` are loops that only run."""

    def __init__(
        self,
        in_force: InForce,
        store: Store,
        decisions: Decisions,
        decider: Rounds | Posts,
        composer: Composer,
        outbox: Outbox,
        *,
        reporter: Reporter | None = None,
        beside: Iterable[Loop] = (),
    ) -> None:
        self.in_force = in_force
        self.store = store
        self.decisions = decisions
        self.decider = decider
        self.composer = composer
        self.outbox = outbox
        self.heartbeat = Heartbeat(in_force, self._why_no_heartbeat)
        self.reporter = reporter
        self._beside = tuple(beside)

    @property
    def settings(self) -> AlerterSettings:
        """The settings in force."""
        return self.in_force.settings

    async def run(self, *further: Loop) -> None:
        """Run all loops, and ``further`` ones."""
        reporting = [self.reporter.run] if self.reporter else []
        always = (self.outbox.run, self.composer.run, self.decider.run, self.heartbeat.run, self._control)
        async with asyncio.TaskGroup() as group:
            for loop in (*always, *reporting, *self._beside, *further):
                group.create_task(_until_cancelled(loop))

    async def _control(self) -> None:
        await serve_control(self.store.folder, self.outbox)

    def unhealthy(self) -> str:
        """Why the alerter does not do its work, empty while it does."""
        return self.decider.unhealthy() or self.composer.trouble

    async def _why_no_heartbeat(self) -> Reason | None:
        try:
            oldest = await self.store.call(self.store.oldest_waiting)
        except StoreUnavailableError as error:
            return Reason("state_unavailable", str(error))
        unmade = "an alert could not be made into a mail" if self.composer.stuck else ""
        return withheld(
            undecided=self.decider.undecided,
            uncomposed=self.composer.trouble or unmade,
            misconfigured=self.outbox.misconfigured,
            oldest_waiting_at=oldest,
            now=time.time(),
            longest=self.settings.heartbeat_in_force.withhold_after,
        )


async def _until_cancelled(loop: Loop) -> None:
    await loop()
