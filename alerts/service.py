"""The alerter's loops: deciding (``rounds`` or ``posts``), composing what was decided, and the outbox.

Nothing waits for a timer that need not: a decision is composed at once and wakes the outbox. What a crash left between
two steps is taken up at the start: decided but not composed, composed but not sent.
"""

import asyncio
from collections.abc import Awaitable, Callable

from alerts.composer import Composer
from alerts.decisions import Decisions
from alerts.in_force import InForce
from alerts.outbox import Outbox
from alerts.posts import Posts
from alerts.rounds import Rounds
from alerts.settings import AlerterSettings
from alerts.store import Store


class Service:
    """The alerter without its web side; ``run`` until cancelled."""

    def __init__(
        self,
        in_force: InForce,
        store: Store,
        decisions: Decisions,
        decider: Rounds | Posts,
        composer: Composer,
        outbox: Outbox,
    ) -> None:
        self.in_force = in_force
        self.store = store
        self.decisions = decisions
        self.decider = decider
        self.composer = composer
        self.outbox = outbox

    @property
    def settings(self) -> AlerterSettings:
        """The settings in force."""
        return self.in_force.settings

    async def run(self, *beside: Callable[[], Awaitable[None]]) -> None:
        """Run all loops, and those ``beside`` them; posts come by themselves."""
        async with asyncio.TaskGroup() as group:
            for loop in (self.outbox.run, self.composer.run, *beside):
                group.create_task(_until_cancelled(loop))
            if isinstance(self.decider, Rounds):
                group.create_task(self.decider.run())

    def unhealthy(self) -> str:
        """Why the alerter does not do its work, empty while it does."""
        return self.decider.unhealthy() or self.composer.trouble


async def _until_cancelled(loop: Callable[[], Awaitable[None]]) -> None:
    await loop()
