"""The second transaction: a notification that was decided becomes the final bytes of a mail, and wakes the outbox.

It works from the store alone. What a crash left decided but not composed is therefore nothing special, and a disk that
took the decision but not the mail is tried again.

One notification never costs another its mail. Where the full mail cannot be made, a plain one tells of the alert; where
even that fails, the notification stays in the store, counts as ``stuck`` and is tried again whenever there is work.

An incident whose first mail was marked as simulated stays so: the end is marked too when there is no evidence any more.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial

from alerts.compose_mail import compose
from alerts.compose_plain import compose_plain
from alerts.mail_settings import MailSettings, bare_address
from alerts.notify.notification import Notification
from alerts.store import Store, StoreUnavailableError

_log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0

Enrich = Callable[[Sequence[Notification]], Awaitable[Sequence[Notification]]]
"""Puts evidence into notifications, the same ones in the same order; it is quick. When it raises, there is none."""

PictureOf = Callable[[Notification], Awaitable[bytes | None]]
"""The PNG for a mail; it is quick and never raises."""


class Composer:
    """Composes whenever ``told`` is set, and once at the start."""

    def __init__(
        self,
        store: Store,
        told: asyncio.Event,
        mail: MailSettings,
        wake: Callable[[], None],
        enrich: Enrich | None = None,
        picture_of: PictureOf | None = None,
    ) -> None:
        self.trouble = ""
        """Why nothing can be composed now, one line, empty while all is well."""
        self.stuck: set[str] = set()
        """Ids of the notifications of which no mail could be made."""
        self._store = store
        self._told = told
        self._mail = mail
        self._wake = wake
        self._enrich = enrich
        self._picture_of = picture_of

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

    @property
    def remarks(self) -> list[str]:
        """What people should know of the mails that could not be made."""
        remarks = [f"{len(self.stuck)} alerts could not be made into mails, see the log"] if self.stuck else []
        unreadable = len(self._store.unreadable)
        return [*remarks, f"{unreadable} rows of the state cannot be read, see the log"] if unreadable else remarks

    async def compose_all(self) -> None:
        """Compose what waits for it.

        Raises:
            StoreUnavailableError: what is left still waits.
        """
        waiting: Sequence[Notification] = await self._store.call(self._store.uncomposed)
        for notification in await self._enriched(waiting):
            if await self._compose(notification):
                self.stuck.discard(notification.id)
                self._wake()
            else:
                self.stuck.add(notification.id)

    async def _enriched(self, waiting: Sequence[Notification]) -> Sequence[Notification]:
        if not waiting or not self._enrich:
            return waiting
        try:
            return await self._enrich(waiting)
        except Exception:  # noqa: BLE001 -- a mail without evidence beats none
            _log.exception("a fault of ours: %d mails go out without evidence", len(waiting))
            return waiting

    async def _compose(self, notification: Notification) -> bool:
        """Make and keep the mail, a plain one if need be; whether there is one now."""
        picture = await self._picture_of(notification) if self._picture_of else None
        for write in (partial(compose, picture=picture), compose_plain):
            try:
                root = await self._store.call(self._store.message_id, notification.root)
                told = await self._marked(notification)
                message = write(told, self._mail, root_message_id=root)
                addresses = [bare_address(recipient) for recipient in told.recipients]
                await self._store.call(self._store.add_message, told.id, message, addresses, told)
            except StoreUnavailableError:
                raise
            except Exception:  # noqa: BLE001 -- it must cost no other notification
                if notification.id not in self.stuck:
                    _log.exception("a fault of ours: no mail could be made of notification %s", notification.id)
            else:
                return True
        return False

    async def _marked(self, notification: Notification) -> Notification:
        if notification.simulated or notification.id == notification.root:
            return notification
        opening = await self._store.call(self._store.notification, notification.root)
        return replace(notification, simulated=True) if opening and opening.simulated else notification
