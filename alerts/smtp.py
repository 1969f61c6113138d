"""One connection to a mail server: greeting, TLS, login, then letters, each for one recipient (RFC 5321).

Accepted means: 250 to the final dot, and nothing else. What goes wrong between the dot and the answer is ``ambiguous``:
the server may have the mail (RFC 5321 section 6.1, RFC 1047). TLS is what the settings say, never what the server
happens to offer, and a password is not said in the clear to anything but this machine. Login is tried once, with one
method: servers lock accounts.
"""

import asyncio
import base64
import json
import re
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import aiosmtplib

from alerts.clean_text import one_line
from alerts.login_secrets import LoginSecrets
from alerts.server_settings import ServerSettings, is_loopback
from alerts.smtp_replies import CLOSING, REPLY_LIMIT, SUCCESS, Stage, refusal
from alerts.transport import Letter, Reply, SendError, SendTimeoutError

# An address literal passes the HELO checks that a made-up or short name fails, and needs no look-up.
_OUR_NAME = "[127.0.0.1]"
_QUIT_SECONDS = 5.0
# Replies that go on: RFC 4954 section 4 and RFC 5321 section 4.1.1.4.
_CHALLENGE, _START_MAIL = 334, 354

Tell = Callable[[str], None]


class Session:
    """One connection; ``stage`` is how far it came, which decides what a failure means."""

    def __init__(self, settings: ServerSettings, secrets: LoginSecrets, tell: Tell) -> None:
        self.settings = settings
        self.secrets = secrets
        self.tell = tell
        self.stage: Stage = "settings"
        self.letters = 0
        """How many it has carried."""
        self._client: aiosmtplib.SMTP | None = None

    @property
    def is_open(self) -> bool:
        """Whether the server has not hung up, as far as we know."""
        return self._client is not None and self._client.is_connected

    async def open(self) -> None:
        """Connect and log in as the settings say; raises SendError."""
        try:
            client = self._client = await self._prepare()
            await self._connect(client)
            await self._login(client)
        except SendError:
            raise
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise self._explained(error) from error

    async def begin(self, letter: Letter) -> None:
        """Say everything up to the mail itself; raises SendError, and then the server does not have it."""
        self.letters += 1
        try:
            client = self._connected()
            await self._envelope(client, letter)
            self.stage = "data"
            code, text = await client.execute_command(b"DATA")
            if code != _START_MAIL:
                raise refusal(code, text, self.stage)
        except SendError:
            raise
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise self._explained(error) from error

    async def finish(self, data: bytes) -> Reply:
        """Write the mail and await the answer to its final dot: from here on the server may have it."""
        try:
            protocol = self._connected().protocol
            if protocol is None:
                raise self._hung_up()
            self.stage = "final"
            protocol.write(dot_stuffed(data))
            async with asyncio.timeout(self.settings.final_reply_timeout):
                code, text = await protocol.read_response()
        except SendError:
            raise
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise self._explained(error) from error
        if code // 100 != SUCCESS:
            raise refusal(code, text, self.stage)
        return Reply(code, one_line(text, REPLY_LIMIT))

    async def part(self, *, polite: bool) -> None:
        """Hang up, with QUIT where ``polite``; its answer decides nothing."""
        if self._client is None:
            return
        transport = self._client.transport
        try:
            if polite:
                with suppress(aiosmtplib.SMTPException, OSError):
                    await self._client.quit(timeout=_QUIT_SECONDS)
        finally:
            self._client.close()
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()  # all has been said; waiting for the peer's TLS goodbye would only hold the socket
                await asyncio.sleep(0)

    def was_closed(self, error: SendError) -> bool:
        """Whether ``error`` says no more than that the server has ended the connection, without having the mail."""
        closing = error.reply is not None and error.reply.code == CLOSING
        return self.stage != "final" and (closing or error.reason == "unreachable")

    def _connected(self) -> aiosmtplib.SMTP:
        if self._client is None:
            raise self._hung_up()
        return self._client

    def _hung_up(self) -> SendError:
        return SendError(f"{self.settings.address} hung up", reason="unreachable")

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
        self.tell(f"connected to {settings.address}{' over TLS' if settings.security == 'tls' else ''}")
        if settings.security == "starttls":
            self.stage = "tls"
            await client.starttls()
            self.tell("STARTTLS: encrypted, certificate verified")

    async def _login(self, client: aiosmtplib.SMTP) -> None:
        """Log in where the settings name a user, with the one method that fits them and the server."""
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
        if settings.password_file is None:
            await self._login_by_token(client, settings.username)
        else:
            await self._login_by_password(client, settings.username)
        self.tell(f"logged in as {settings.username}")

    async def _login_by_password(self, client: aiosmtplib.SMTP, username: str) -> None:
        offered = client.server_auth_methods
        method = client.auth_plain if "plain" in offered else client.auth_login if "login" in offered else None
        if method is None:
            raise _not_offered(offered, "PLAIN or LOGIN")
        password = await self.secrets.password()
        await method(username.encode(), password.encode())

    async def _login_by_token(self, client: aiosmtplib.SMTP, username: str) -> None:
        """XOAUTH2, a refusal of which comes as a challenge with JSON in it, to be answered by an empty line."""
        if "xoauth2" not in client.server_auth_methods:
            raise _not_offered(client.server_auth_methods, "XOAUTH2")
        token = await self.secrets.token()
        response = base64.b64encode(f"user={username}\x01auth=Bearer {token}\x01\x01".encode())
        code, text = await client.execute_command(b"AUTH", b"XOAUTH2", response)
        about = ""
        if code == _CHALLENGE:
            about = _words_of_challenge(text)
            code, text = await client.execute_command(b"")
        if code // 100 != SUCCESS:
            self.secrets.forget()
            raise refusal(code, text, self.stage, about)

    async def _envelope(self, client: aiosmtplib.SMTP, letter: Letter) -> None:
        self.stage = "sender"
        options = [f"SIZE={len(letter.data)}"] if client.supports_extension("size") else []
        await client.mail(letter.envelope_from, options=options)
        self.stage = "recipient"
        await client.rcpt(letter.recipient)

    def _explained(self, error: Exception) -> SendError:
        """Turn what the library raised into our words."""
        if isinstance(error, aiosmtplib.SMTPResponseException) and error.code > 0:
            return refusal(error.code, error.message, self.stage)
        detail = f"{self.settings.address} ({self.stage}): {one_line(str(error), REPLY_LIMIT) or type(error).__name__}"
        if self.stage == "final":
            return SendError(f"no answer to the end of the mail from {detail}", reason="ambiguous")
        if isinstance(error, TimeoutError):
            return SendTimeoutError(f"no answer in time from {detail}", reason="timeout")
        if self.stage == "tls" or isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError):
            return SendError(f"no TLS with {detail}", reason="tls_failed")
        if isinstance(error, OSError):
            return SendError(f"cannot reach {detail}", reason="unreachable")
        # What cannot even be written as a command is not an address.
        reason = "refused" if self.stage == "recipient" else "misconfigured"
        return SendError(f"cannot talk to {detail}", reason=reason)


def dot_stuffed(data: bytes) -> bytes:
    """The DATA payload of RFC 5321 section 4.5.2; ``data`` has CRLF line ends."""
    body = re.sub(rb"(?m)^\.", b"..", data)
    return body + (b"" if body.endswith(b"\r\n") else b"\r\n") + b".\r\n"


def _tls_context(settings: ServerSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:
        detail = f"ca_file {settings.ca_file} cannot be used: {error.strerror or error}"
        raise SendError(detail, reason="misconfigured") from error


def _not_offered(offered: list[str], wanted: str) -> SendError:
    detail = f"the server offers no login by {wanted} (it offers: {', '.join(offered) or 'none'})"
    return SendError(detail, reason="login_refused")


def _words_of_challenge(text: str) -> str:
    try:
        found: Any = json.loads(base64.b64decode(text, validate=True))
        words = ", ".join(f"{key} {value}" for key, value in found.items())
    except (ValueError, AttributeError):
        return ""
    return f" (it said of the token: {one_line(words, REPLY_LIMIT)})"
