"""SIGHUP: settings, rules, scrape certificates and the web-config file are read again, all or nothing.

Nothing is put in force before everything has been read and found right. What is wrong is told in one log record with
file, line and key of each mistake; what was in force stays, and ``/metrics`` and ``/status`` say so until a reload
succeeds. What cannot change while the process runs is named as needing a restart, and all else is taken.
"""

import asyncio
import logging
from collections.abc import Callable

from alerts.in_force import InForce, Terms, while_running
from alerts.intake import refuse_open_webhook
from alerts.settings import AlerterSettings
from gpuwarden.errors import UserInputError
from gpuwarden.web_files import WebFiles

_log = logging.getLogger(__name__)


class Reload:
    """Reloads when asked; ``read`` gives the settings as they are written now, ``taken`` is called after a success."""

    def __init__(
        self, in_force: InForce, web: WebFiles, read: Callable[[], AlerterSettings], taken: Callable[[], None]
    ) -> None:
        self._in_force = in_force
        self._web = web
        self._read = read
        self._taken = taken
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Reload soon. To be called on the event loop."""
        self._asked.set()

    async def run(self) -> None:
        """Reload whenever asked, one at a time, until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            await self.reload()

    async def reload(self) -> None:
        """Read everything again, and put it in force if all of it is right."""
        try:
            terms, kept = await asyncio.to_thread(self._terms)
            web = self._web.prepare()
            refuse_open_webhook(terms.settings, web)
        except UserInputError as error:
            self._refuse(str(error))
            return
        except Exception as error:  # noqa: BLE001 -- a reload that fails must not end the alerting
            _log.exception("nothing was reloaded, what was in force stays")
            self._in_force.refuse(f"{type(error).__name__}: {error}")
            return
        self._web.take(web)
        self._in_force.take(terms)
        self._taken()
        _log.info("reloaded %d rules and the settings", len(terms.rules))
        if kept:
            _log.warning(
                "%s changed and needs a restart; all else is in force", " and ".join(f"alerter.{key}" for key in kept)
            )

    def _terms(self) -> tuple[Terms, tuple[str, ...]]:
        """In a thread: the loops go on meanwhile."""
        settings, kept = while_running(self._in_force.settings, self._read())
        return Terms.read(settings), kept

    def _refuse(self, why: str) -> None:
        _log.error("nothing was reloaded, what was in force stays:\n%s", why)
        self._in_force.refuse(why)
