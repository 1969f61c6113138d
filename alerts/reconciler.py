"""The loop that asks Alertmanager about what it has not posted for long; ``reconcile`` says what follows."""

import asyncio
import logging
import time
from collections.abc import Sequence

from alerts.alertmanager_api import AlertmanagerApi, AlertmanagerError
from alerts.decisions import Decisions
from alerts.judge import Change
from alerts.posts import Posts
from alerts.reconcile import SETTLE_SECONDS, overdue, reconciled
from alerts.state import AlertKey
from alerts.store import StoreUnavailableError

_LONGEST_WAIT_SECONDS = 60.0

_log = logging.getLogger(__name__)


class Reconciler:
    """Asks about what was not posted for ``ask_after`` seconds, and about what was open before it was made."""

    def __init__(self, api: AlertmanagerApi, posts: Posts, decisions: Decisions, ask_after: float) -> None:
        self.trouble = ""
        """Why nothing can be found out, one line, empty while all is well."""
        self._api = api
        self._posts = posts
        self._decisions = decisions
        self._ask_after = ask_after
        self._settle = min(SETTLE_SECONDS, ask_after)
        self._started_at = time.time()
        self._missing: dict[AlertKey, float] = {}

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(min(_LONGEST_WAIT_SECONDS, self._settle / 2))

    async def look(self) -> None:
        """Ask once, if there is something to ask; never raises for what Alertmanager or the disk does."""
        asked = overdue(self._decisions.states, time.time(), self._ask_after, self._started_at)
        if not asked:
            self._missing = {}
            return
        try:
            found = await self._api.look({key.alertname for key in asked})

            def changes() -> Sequence[Change]:
                decisions, now = self._decisions, time.time()
                due = asked & overdue(decisions.states, now, self._ask_after, self._started_at)
                known = self._missing, decisions.rules, decisions.states
                changed, self._missing = reconciled(found, due, *known, now=now, settle=self._settle)
                return changed

            await self._posts.take_up(changes)
        except (AlertmanagerError, StoreUnavailableError) as error:
            self._missing = {}
            self._note(str(error))
        except Exception:  # noqa: BLE001 -- what nobody thought of must not end the loops of all
            self._missing = {}
            _log.exception("a fault of ours: what Alertmanager does not post stays as it is")
        else:
            self._note("")

    def _note(self, trouble: str) -> None:
        if trouble and trouble != self.trouble:
            _log.warning("Alertmanager at %s cannot be asked about what it does not post: %s", self._api.named, trouble)
        elif self.trouble and not trouble:
            _log.info("Alertmanager at %s can be asked again", self._api.named)
        self.trouble = trouble
