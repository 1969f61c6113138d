"""Letters through one mail server, over connections that carry several letters one after the other.

1. A connection that carried a letter to its 250 is kept for a moment; whoever comes next uses it. Anything else than a
   250 ends it: what state a server is in after a refusal is not worth knowing.
2. A kept connection may be ended by the server at any time. As long as it does not have the mail, that is no attempt:
   the letter goes over a new connection.
3. What comes after the 250 (QUIT) changes nothing, and nobody waits for it.
4. A mail that the server finds too large goes once more without its pictures.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from alerts.login_secrets import LoginSecrets
from alerts.server_settings import ServerSettings
from alerts.slim_mail import without_pictures
from alerts.smtp import Session
from alerts.smtp_replies import is_too_large
from alerts.transport import Letter, Reply, SendError, SendTimeoutError

_CLOSE_SECONDS = 1.0
_KEPT_SECONDS = 1.0
"""Long enough for the next letter of a burst, too short for a server to mind."""
_MOST_LETTERS = 50
"""Providers close a connection after a hundred or so."""


def _silent(_step: str) -> None:
    pass


class SmtpTransport:
    """Sends letters as ``settings`` say; ``tell`` hears each step that succeeded, in a few words."""

    def __init__(self, settings: ServerSettings, tell: Callable[[str], None] = _silent) -> None:
        self.settings = settings
        self.tell = tell
        self._secrets = LoginSecrets(settings)
        self._kept: dict[Session, asyncio.TimerHandle] = {}
        self._farewells: set[asyncio.Task[None]] = set()

    async def send(self, letter: Letter) -> Reply:
        """Send ``letter``; raises SendError with the server's reply and a named reason."""
        try:
            return await self._send(letter)
        except SendError as error:
            smaller = without_pictures(letter.data) if is_too_large(error) else None
            if smaller is None:
                raise
        reply = await self._send(replace(letter, data=smaller))
        return replace(reply, text=f"{reply.text} (without its pictures: with them it was too large)")

    async def close(self) -> None:
        """Let the goodbyes end, for a moment."""
        for session in list(self._kept):
            self._retire(session)
        if self._farewells:
            _, slow = await asyncio.wait(self._farewells, timeout=_CLOSE_SECONDS)
            for farewell in slow:
                farewell.cancel()
            await asyncio.gather(*slow, return_exceptions=True)

    async def _send(self, letter: Letter) -> Reply:
        kept = self._take()
        if kept is not None:
            try:
                return await self._over(kept, letter, kept.begin(letter))
            except SendError as error:
                if not kept.was_closed(error):
                    raise
        session = Session(self.settings, self._secrets, self.tell)
        return await self._over(session, letter, _opened(session, letter))

    async def _over(self, session: Session, letter: Letter, beginning: Awaitable[None]) -> Reply:
        answering = False
        try:
            await self._in_time(session, beginning)
            reply = await session.finish(letter.data)
            answering = True
        except SendError as error:
            answering = error.reply is not None
            self._part(session, polite=answering)
            raise
        except BaseException:
            self._part(session, polite=False)
            raise
        self._keep(session)
        return reply

    async def _in_time(self, session: Session, beginning: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(self.settings.timeout):
                await beginning
        except TimeoutError as error:
            if isinstance(error, SendError):
                raise
            detail = f"no answer in time from {self.settings.address} ({session.stage})"
            raise SendTimeoutError(detail, reason="timeout") from error

    def _take(self) -> Session | None:
        while self._kept:
            session, timer = self._kept.popitem()
            timer.cancel()
            if session.is_open:
                return session
            self._part(session, polite=False)
        return None

    def _keep(self, session: Session) -> None:
        if session.letters >= _MOST_LETTERS or not session.is_open:
            self._part(session, polite=True)
            return
        self._kept[session] = asyncio.get_running_loop().call_later(_KEPT_SECONDS, self._retire, session)

    def _retire(self, session: Session) -> None:
        timer = self._kept.pop(session, None)
        if timer:
            timer.cancel()
            self._part(session, polite=True)

    def _part(self, session: Session, *, polite: bool) -> None:
        """Say goodbye without waiting: waiting here could lose an acceptance."""
        farewell = asyncio.create_task(session.part(polite=polite))
        self._farewells.add(farewell)
        farewell.add_done_callback(self._farewells.discard)


async def _opened(session: Session, letter: Letter) -> None:
    await session.open()
    await session.begin(letter)
