"""The second transaction: a notification that was decided becomes the final bytes of a mail, and wakes the outbox.

It works from the store alone. What a crash left decided but not composed is therefore nothing special, and a disk that
took the decision but not the mail is tried again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from alerts.compose_mail import compose
from alerts.mail_settings import MailSettings, bare_address
from alerts.notify.notification import Notification
from alerts.store import Store, StoreUnavailableError

_log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0

Enrich = Callable[[Sequence[Notification]], Awaitable[Sequence[Notification]]]
"""Puts evidence into notifications, the same ones in the same order; it is quick and never raises."""


class Composer:
    """Composes whenever ``told`` is set, and once at the start."""

    def __init__(
        self,
        store: Store,
        told: asyncio.Event,
        mail: MailSettings,
        wake: Callable[[], None],
        enrich: Enrich | None = None,
    ) -> None:
        self.trouble = ""
        """Why nothing can be composed now, one line, empty while all is well."""
        self._store = store
        self._told = told
        self._mail = mail
        self._wake = wake
        self._enrich = enrich

    async def run(self) -> None:
        """Compose until cancelled."""
        while True:
            self._told.clear()
            try:
                await self.compose_all()
            except StoreUnavailableError as error:
                if self.trouble != str(error):
                    _log.error("no mail can be composed: %s", error)
                self.trouble = str(error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self.trouble = ""
            await self._told.wait()

    async def compose_all(self) -> None:
        """Compose what waits for it.

        Raises:
            StoreUnavailableError: what is left still waits.
        """
        waiting: Sequence[Notification] = await self._store.call(self._store.uncomposed)
        if waiting and self._enrich:
            waiting = await self._enrich(waiting)
        for notification in waiting:
            root = await self._store.call(self._store.message_id, notification.root)
            message = compose(notification, self._mail, root_message_id=root)
            addresses = [bare_address(recipient) for recipient in notification.recipients]
            await self._store.call(self._store.add_message, notification.id, message, addresses)
            self._wake()
