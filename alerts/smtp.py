"""One letter, one recipient, one connection to the mail server (RFC 5321).

Accepted means: 250 to the final dot, and nothing else. What comes after it (QUIT) changes nothing, and what goes wrong
between the dot and the answer is ``ambiguous``: the server may have the mail (RFC 5321 section 6.1, RFC 1047), so it is
sent again with the same Message-ID. TLS is what the settings say, never what the server happens to offer, and a
password is not said in the clear to anything but this machine. Login is tried once, with one method: servers lock
accounts.
"""

import asyncio
import re
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import aiosmtplib

from alerts.clean_text import one_line
from alerts.mail_settings import MailSettings, is_loopback
from alerts.transport import Letter, Outcome, Reply, SendError, SendTimeoutError

Stage = Literal["settings", "connect", "tls", "login", "sender", "recipient", "data", "final"]

# An address literal passes the HELO checks that a made-up or short name fails, and needs no look-up.
_OUR_NAME = "[127.0.0.1]"
_QUIT_SECONDS = 5.0
_CLOSE_SECONDS = 1.0
_REPLY_LIMIT = 500
# First digits of a reply, RFC 5321 section 4.2.1.
_SUCCESS, _PERMANENT = 2, 5
_MAIL_TOO_LARGE = 552
_AUTH_CODES = frozenset((530, 534, 535, 538))


def _silent(_step: str) -> None:
    pass


class SmtpTransport:
    """Sends letters as ``settings`` say; ``tell`` hears each step that succeeded, in a few words."""

    def __init__(self, settings: MailSettings, tell: Callable[[str], None] = _silent) -> None:
        self.settings = settings
        self.tell = tell
        self._farewells: set[asyncio.Task[None]] = set()

    async def send(self, letter: Letter) -> Reply:
        """Send ``letter``; raises SendError with the server's reply and a named reason."""
        session = _Session(self.settings, self.tell)
        answering = False
        try:
            reply = await session.send(letter)
            answering = True
        except SendError as error:
            answering = error.reply is not None
            raise
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            answering = isinstance(error, aiosmtplib.SMTPResponseException)
            raise _explain(error, session.stage, self.settings) from error
        finally:
            self._part(session.client, polite=answering)
        return reply

    async def close(self) -> None:
        """Let the goodbyes that are under way end, for a moment."""
        if self._farewells:
            _, slow = await asyncio.wait(self._farewells, timeout=_CLOSE_SECONDS)
            for farewell in slow:
                farewell.cancel()
            await asyncio.gather(*slow, return_exceptions=True)

    def _part(self, client: aiosmtplib.SMTP | None, *, polite: bool) -> None:
        """Say QUIT without waiting: the answer decides nothing, and waiting here could lose an acceptance."""
        if client is not None:
            farewell = asyncio.create_task(_farewell(client, polite=polite))
            self._farewells.add(farewell)
            farewell.add_done_callback(self._farewells.discard)


async def _farewell(client: aiosmtplib.SMTP, *, polite: bool) -> None:
    transport = client.transport
    try:
        if polite:
            with suppress(aiosmtplib.SMTPException, OSError):
                await client.quit(timeout=_QUIT_SECONDS)
    finally:
        client.close()
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()  # all has been said; waiting for the peer's TLS goodbye would only hold the socket
            await asyncio.sleep(0)


class _Session:
    """One connection; ``stage`` is how far it came, which decides what a failure means."""

    def __init__(self, settings: MailSettings, tell: Callable[[str], None]) -> None:
        self.settings = settings
        self.tell = tell
        self.stage: Stage = "settings"
        self.client: aiosmtplib.SMTP | None = None

    async def send(self, letter: Letter) -> Reply:
        async with asyncio.timeout(self.settings.timeout):
            client = self.client = await self._prepare()
            await self._connect(client)
            await self._login(client)
            await self._envelope(client, letter)
            await self._begin_data(client)
        return await self._finish_data(client, letter.data)

    async def _finish_data(self, client: aiosmtplib.SMTP, data: bytes) -> Reply:
        """Write the mail and await the answer to its final dot: from here on the server may have it."""
        self.stage = "final"
        if client.protocol is None:
            detail = "the server hung up"
            raise SendError(detail, reason="unreachable")
        client.protocol.write(_dot_stuffed(data))
        async with asyncio.timeout(self.settings.final_reply_timeout):
            code, text = await client.protocol.read_response()
        if code // 100 != _SUCCESS:
            raise _refusal(code, text, self.stage)
        return Reply(code, one_line(text, _REPLY_LIMIT))

    async def _prepare(self) -> aiosmtplib.SMTP:
        settings = self.settings
        context = await asyncio.to_thread(_tls_context, settings) if settings.security != "none" else None
        return aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port,
            local_hostname=_OUR_NAME,
            timeout=settings.timeout,
            use_tls=settings.security == "tls",
            start_tls=False,  # asked for below, and then required; None would take what the server offers
            tls_context=context,
        )

    async def _connect(self, client: aiosmtplib.SMTP) -> None:
        settings = self.settings
        self.stage = "connect"
        await client.connect()
        self.tell(f"connected to {settings.host}:{settings.port}{' over TLS' if settings.security == 'tls' else ''}")
        if settings.security == "starttls":
            self.stage = "tls"
            await client.starttls()
            self.tell("STARTTLS: encrypted, certificate verified")

    async def _login(self, client: aiosmtplib.SMTP) -> None:
        """Log in where the settings name a user, with the first of PLAIN and LOGIN that the server offers."""
        settings = self.settings
        if not client.last_ehlo_response:
            self.stage = "connect"
            await client.ehlo()
        if settings.username is None:
            return
        self.stage = "login"
        if client.get_transport_info("sslcontext") is None and not is_loopback(settings.host or ""):
            detail = "refusing to say a password over a connection without TLS"
            raise SendError(detail, reason="misconfigured")
        offered = client.server_auth_methods
        method = client.auth_plain if "plain" in offered else client.auth_login if "login" in offered else None
        if method is None:
            detail = f"the server offers no login by PLAIN or LOGIN (it offers: {', '.join(offered) or 'none'})"
            raise SendError(detail, reason="login_refused")
        password = await asyncio.to_thread(_read_password, settings)
        await method(settings.username.encode(), password.encode())
        self.tell(f"logged in as {settings.username}")

    async def _envelope(self, client: aiosmtplib.SMTP, letter: Letter) -> None:
        self.stage = "sender"
        options = [f"SIZE={len(letter.data)}"] if client.supports_extension("size") else []
        await client.mail(letter.envelope_from, options=options)
        self.stage = "recipient"
        await client.rcpt(letter.recipient)

    async def _begin_data(self, client: aiosmtplib.SMTP) -> None:
        self.stage = "data"
        code, text = await client.execute_command(b"DATA")
        if code != aiosmtplib.SMTPStatus.start_input:
            raise _refusal(code, text, self.stage)


def _dot_stuffed(data: bytes) -> bytes:
    """The DATA payload of RFC 5321 section 4.5.2; ``data`` has CRLF line ends."""
    body = re.sub(rb"(?m)^\.", b"..", data)
    return body + (b"" if body.endswith(b"\r\n") else b"\r\n") + b".\r\n"


def _tls_context(settings: MailSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:
        detail = f"ca_file {settings.ca_file} cannot be used: {error.strerror or error}"
        raise SendError(detail, reason="misconfigured") from error


def _read_password(settings: MailSettings) -> str:
    """Read at each use, so that a changed secret needs no restart."""
    try:
        password = Path(settings.password_file or "").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        detail = f"password_file {settings.password_file} cannot be read: {getattr(error, 'strerror', None) or error}"
        raise SendError(detail, reason="misconfigured") from error
    if not password:
        detail = f"password_file {settings.password_file} is empty"
        raise SendError(detail, reason="misconfigured")
    return password


def reason_of(code: int, stage: Stage) -> Outcome:
    """What a reply that is not a success means at ``stage``: whose fault it is, and whether another try can help."""
    if code // 100 != _PERMANENT:
        return "deferred"
    if code in _AUTH_CODES or stage == "login":
        return "login_refused"
    if stage == "tls":
        return "tls_failed"
    if stage == "connect":
        return "server_refused"
    return "sender_refused" if stage == "sender" and code != _MAIL_TOO_LARGE else "refused"


def _refusal(code: int, text: str, stage: Stage) -> SendError:
    reply = Reply(code, one_line(text, _REPLY_LIMIT))
    return SendError(f"the server answered {reply}", reason=reason_of(code, stage), reply=reply)


def _explain(error: Exception, stage: Stage, settings: MailSettings) -> SendError:
    """Turn what the library raised into our words."""
    if isinstance(error, aiosmtplib.SMTPResponseException) and error.code > 0:
        return _refusal(error.code, error.message, stage)
    detail = f"{settings.host}:{settings.port} ({stage}): {_words(error)}"
    if stage == "final":
        return SendError(f"no answer to the end of the mail from {detail}", reason="ambiguous")
    if isinstance(error, TimeoutError):
        return SendTimeoutError(f"no answer in time from {detail}", reason="timeout")
    if stage == "tls" or isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError):
        return SendError(f"no TLS with {detail}", reason="tls_failed")
    if isinstance(error, OSError):
        return SendError(f"cannot reach {detail}", reason="unreachable")
    # What cannot even be written as a command is not an address.
    return SendError(f"cannot talk to {detail}", reason="refused" if stage == "recipient" else "misconfigured")


def _words(error: BaseException) -> str:
    return one_line(str(error), _REPLY_LIMIT) or type(error).__name__
