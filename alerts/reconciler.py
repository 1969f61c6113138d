"""The loop that asks Alertmanager about what it has not posted for long; ``reconcile`` says what follows."""

import logging
import time
from collections.abc import Collection, Sequence

from alerts.alertmanager_api import AlertmanagerApi, AlertmanagerError
from alerts.decisions import Decisions
from alerts.in_force import InForce
from alerts.judge import Change
from alerts.posts import Posts
from alerts.reconcile import SETTLE_SECONDS, Look, confirmed_over, overdue, reconciled
from alerts.scrape import without_userinfo
from alerts.state import AlertKey
from alerts.store import StoreUnavailableError

_LONGEST_WAIT_SECONDS = 60.0

_log = logging.getLogger(__name__)


class Reconciler:
    """Asks about what was not posted for long, and about what was open before it was made; nobody without a URL."""

    def __init__(self, in_force: InForce, posts: Posts, decisions: Decisions) -> None:
        self.trouble = ""
        """Why nothing can be found out, one line, empty while all is well."""
        self._in_force = in_force
        self._posts = posts
        self._decisions = decisions
        self._started_at = time.time()
        self._missing: dict[AlertKey, float] = {}

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await self.look()
            await self._in_force.sleep(min(_LONGEST_WAIT_SECONDS, self._in_force.settings.alertmanager.ask_after / 2))

    async def look(self) -> None:
        """Ask once, if there is something to ask; never raises for what Alertmanager or the disk does."""
        terms = self._in_force.terms
        settings = terms.settings
        url, ask_after = settings.alertmanager.url, settings.alertmanager.ask_after
        asked = self._to_ask(time.time(), ask_after)
        if not asked or url is None:
            self._missing = {}
            return
        try:
            found = await AlertmanagerApi(url, settings.scrape, terms.trust).look({key.alertname for key in asked})
            await self._posts.take_up(
                lambda: self._changes(found, asked, ask_after), lambda: self._over(found, asked, ask_after)
            )
        except (AlertmanagerError, StoreUnavailableError) as error:
            self._missing = {}
            self._note(url, str(error))
        except Exception:  # noqa: BLE001 -- what nobody thought of must not end the loops of all
            self._missing = {}
            _log.exception("a fault of ours: what Alertmanager does not post stays as it is")
        else:
            self._note(url, "")

    def _changes(self, found: Look, asked: Collection[AlertKey], ask_after: float) -> Sequence[Change]:
        """What follows for what was asked about and has not been posted meanwhile."""
        decisions, now = self._decisions, time.time()
        due = self._to_ask(now, ask_after).intersection(asked)
        known, settle = (self._missing, decisions.rules, decisions.states), min(SETTLE_SECONDS, ask_after)
        changes, self._missing = reconciled(found, due, *known, now=now, settle=settle)
        return changes

    def _over(self, found: Look, asked: Collection[AlertKey], ask_after: float) -> Collection[AlertKey]:
        """What came and went and is over for Alertmanager too."""
        decisions, now, settle = self._decisions, time.time(), min(SETTLE_SECONDS, ask_after)
        calming = decisions.calming(now).intersection(asked)
        return confirmed_over(found, calming, decisions.rules, decisions.states, now=now, settle=settle)

    def _to_ask(self, now: float, ask_after: float) -> set[AlertKey]:
        decisions = self._decisions
        return overdue(decisions.states, now, ask_after, self._started_at) | decisions.calming(now)

    def _note(self, url: str, trouble: str) -> None:
        named = without_userinfo(url)
        if trouble and trouble != self.trouble:
            _log.warning("Alertmanager at %s cannot be asked about what it does not post: %s", named, trouble)
        elif self.trouble and not trouble:
            _log.info("Alertmanager at %s can be asked again", named)
        self.trouble = trouble
