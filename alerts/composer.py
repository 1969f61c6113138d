"""The second transaction: notifications that were decided become the final bytes of mails, and wake the outbox.

Each time, what waits is gathered (by ``digest``: each by itself, together, or later), gets its evidence, is composed
and stored. It works from the store alone. What a crash left decided but not composed is therefore nothing special, and
a disk that took the decision but not the mail is tried again.

One notification never costs another its mail. Where a digest cannot be made, each of its notifications goes by itself;
where the full mail cannot be made, a plain one tells of the alert; where even that fails, the notification stays in the
store, counts as ``stuck`` and is tried again whenever there is work.

An incident whose first mail was marked as simulated stays so: the end is marked too when there is no evidence any more.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Literal

from alerts import messages
from alerts.compose_digest import compose_digest
from alerts.compose_mail import compose
from alerts.compose_payload import with_digest_payload, with_payload
from alerts.compose_plain import compose_plain
from alerts.in_force import InForce
from alerts.mail_settings import bare_address
from alerts.notify.digest import Group, plan
from alerts.notify.notification import Notification
from alerts.store import Store, StoreUnavailableError
from gpuwarden.units import format_timestamp

_log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
_LONGEST_SLEEP_SECONDS = 60.0
"""What waits for a time of day is looked for so often, since the clock may be set."""

Enrich = Callable[[Sequence[Notification]], Awaitable[Sequence[Notification]]]
"""Puts evidence into notifications, the same ones in the same order; it is quick. When it raises, there is none."""

Kind = Literal["single", "digest"]

PictureOf = Callable[[Notification], Awaitable[bytes | None]]
"""The PNG for a mail; it is quick. When it raises, there is none."""


class Composer:
    """Composes whenever ``told`` is set, once at the start, and when what is held or gathered may go."""

    def __init__(
        self,
        store: Store,
        told: asyncio.Event,
        in_force: InForce,
        wake: Callable[[], None],
        enrich: Enrich | None = None,
        picture_of: PictureOf | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.trouble = ""
        """Why nothing can be composed now, one line, empty while all is well."""
        self.stuck: set[str] = set()
        """Ids of the notifications of which no mail could be made."""
        self.composed: Counter[Kind] = Counter()
        """Mails made since the start."""
        self._held: tuple[int, float | None] = (0, None)
        self._store = store
        self._told = told
        self._in_force = in_force
        self._wake = wake
        self._enrich = enrich
        self._clock = clock
        self._picture_of = picture_of

    async def run(self) -> None:
        """Compose until cancelled."""
        while True:
            self._told.clear()
            try:
                again_at = await self.compose_all()
            except StoreUnavailableError as error:
                if self.trouble != str(error):
                    _log.error("no mail can be composed: %s", error)
                self.trouble = str(error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            except Exception as error:  # noqa: BLE001 -- it must not end the outbox too, at each start again
                if self.trouble != (words := f"a fault of ours: {type(error).__name__}"):
                    _log.exception("a fault of ours: no mail can be composed")
                self.trouble = words
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self.trouble = ""
            with suppress(TimeoutError):
                async with asyncio.timeout(self._seconds_until(again_at)):
                    await self._told.wait()

    def _seconds_until(self, at: float | None) -> float | None:
        return None if at is None else min(max(at - self._clock(), 0.05), _LONGEST_SLEEP_SECONDS)

    @property
    def remarks(self) -> list[str]:
        """What people should know of the mails that could not be made, or not yet."""
        remarks = [f"{len(self.stuck)} alerts could not be made into mails, see the log"] if self.stuck else []
        number, until = self._held
        if until is not None:
            remarks.append(f"{number} mails are held by the quiet hours until {format_timestamp(until)}")
        unreadable = len(self._store.unreadable)
        return [*remarks, f"{unreadable} rows of the state cannot be read, see the log"] if unreadable else remarks

    async def compose_all(self) -> float | None:
        """Compose what may go now; when (Unix seconds) to look again for what may not yet, None where nothing waits.

        Raises:
            StoreUnavailableError: what is left still waits.
        """
        now = self._clock()
        groups, again_at = await self._gathered(now)
        for group in await self._enriched(groups):
            failed = await self._tell(group, now)
            self.stuck = (self.stuck - {one.id for one in group}) | failed
            if len(failed) < len(group):
                self._wake()
        self._held = await self._store.call(self._store.read, messages.held, now)
        return min((at for at in (again_at, self._held[1]) if at is not None), default=None)

    async def _gathered(self, now: float) -> tuple[tuple[Group, ...], float | None]:
        waiting: Sequence[Notification] = await self._store.call(self._store.uncomposed, now)
        if not waiting:
            return (), None
        pace = self._in_force.settings.notify.digest.pace
        since = now - pace.within
        lately = await self._store.call(self._store.read, messages.sent_lately, since, now)
        found = plan(waiting, lately, pace, now)
        return found.groups, found.again_at

    async def _enriched(self, groups: Sequence[Group]) -> Sequence[Group]:
        waiting = [one for group in groups for one in group]
        if not waiting or not self._enrich:
            return groups
        try:
            found = iter(await self._enrich(waiting))
            return [tuple(islice(found, len(group))) for group in groups]
        except Exception:  # noqa: BLE001 -- a mail without evidence beats none
            _log.exception("a fault of ours: %d alerts go out without evidence", len(waiting))
            return groups

    async def _tell(self, group: Group, now: float) -> set[str]:
        """Make and keep the mails about one group; the ids of those of which there is none."""
        if len(group) > 1 and await self._compose_digest(group, now):
            return set()
        return {one.id for one in group if not await self._compose(one)}

    async def _compose_digest(self, group: Group, now: float) -> bool:
        try:
            marked = tuple([await self._marked(one) for one in group])
            root = await self._store.call(self._store.message_id, group[0].root) if _is_one_thread(group) else None
            mail = compose_digest(marked, self._in_force.settings.delivery, now, root_message_id=root)
            message = with_digest_payload(mail, marked, now)
            await self._store.call(self._store.add_digest, marked, message, _addresses(group[0]), now)
        except StoreUnavailableError:
            raise
        except Exception:  # noqa: BLE001 -- each can still go by itself
            _log.exception("a fault of ours: %d alerts cannot be told in one mail", len(group))
            return False
        self.composed["digest"] += 1
        incidents = len({one.incident for one in group})
        _log.info("digest %s tells of %d alert(s) (%d notifications)", message.message_id, incidents, len(group))
        return True

    async def _compose(self, notification: Notification) -> bool:
        """Make and keep the mail, a plain one if need be; whether there is one now."""
        picture = await self._picture(notification)
        for write in (partial(compose, picture=picture), compose_plain):
            try:
                root = await self._store.call(self._store.message_id, notification.root)
                told = await self._marked(notification)
                message = with_payload(write(told, self._in_force.settings.delivery, root_message_id=root), told)
                await self._store.call(self._store.add_message, told.id, message, _addresses(told), told)
            except StoreUnavailableError:
                raise
            except Exception:  # noqa: BLE001 -- it must cost no other notification
                if notification.id not in self.stuck:
                    _log.exception("a fault of ours: no mail could be made of notification %s", notification.id)
            else:
                self.composed["single"] += 1
                return True
        return False

    async def _picture(self, notification: Notification) -> bytes | None:
        try:
            return await self._picture_of(notification) if self._picture_of else None
        except Exception:  # noqa: BLE001 -- a mail without a picture beats none
            _log.exception("a fault of ours: notification %s goes out without a picture", notification.id)
            return None

    async def _marked(self, notification: Notification) -> Notification:
        if notification.simulated or notification.id == notification.root:
            return notification
        opening = await self._store.call(self._store.notification, notification.root)
        return replace(notification, simulated=True) if opening and opening.simulated else notification


def _addresses(notification: Notification) -> list[str]:
    return [bare_address(recipient) for recipient in notification.recipients]


def _is_one_thread(group: Group) -> bool:
    return len({one.root for one in group}) == 1
