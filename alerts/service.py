"""The alerter's loops: deciding (``rounds`` or ``posts``), composing what was decided, and the outbox.

Nothing waits for a timer that need not: a decision is composed at once and wakes the outbox. What a crash left between
two steps is taken up at the start: decided but not composed, composed but not sent.
"""

import asyncio
import logging

from alerts.composer import Composer
from alerts.decisions import Decisions
from alerts.outbox import Outbox
from alerts.outbox_control import serve_control
from alerts.posts import Posts
from alerts.reconciler import Reconciler
from alerts.rounds import Rounds
from alerts.rules import SHIPPED, load_rules
from alerts.settings import AlerterSettings
from alerts.store import Store
from gpuwarden.documents import DocumentError

_log = logging.getLogger(__name__)


class Service:
    """The alerter without its web side; ``run`` until cancelled."""

    def __init__(
        self,
        settings: AlerterSettings,
        store: Store,
        decisions: Decisions,
        decider: Rounds | Posts,
        composer: Composer,
        outbox: Outbox,
        *,
        reconciler: Reconciler | None = None,
    ) -> None:
        self.settings = settings
        self.store = store
        self.decisions = decisions
        self.decider = decider
        self.composer = composer
        self.outbox = outbox
        self.reconciler = reconciler

    async def run(self) -> None:
        """Run all loops."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.outbox.run())
            group.create_task(self.composer.run())
            group.create_task(serve_control(self.store.folder, self.outbox))
            group.create_task(self.decider.run())
            if self.reconciler:
                group.create_task(self.reconciler.run())

    def reload_rules(self) -> None:
        """Take the rules files anew, all or nothing: with a mistake anywhere the old rules stay."""
        try:
            rules = load_rules(SHIPPED, self.settings.rule_files)
        except DocumentError as error:
            _log.error("the rules were not reloaded, the old ones stay:\n%s", error)
            return
        self.decisions.rules = rules
        _log.info("reloaded %d rules", len(rules))

    def unhealthy(self, now: float) -> str:
        """Why the alerter does not do its work, empty while it does; ``now`` in Unix seconds."""
        return self.decider.unhealthy(now) or self.composer.trouble
