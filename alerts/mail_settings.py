"""Where mail goes and how: the ``alerter.mail`` part of the settings, with its own check."""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from gpuwarden.units import Duration

Security = Literal["starttls", "tls", "none"]

_ADDRESS = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?"
_NAME = r'"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^"<>@,;:()\[\]\\]*?)'
_MAILBOX = re.compile(rf"\s*(?:(?:{_NAME})\s*<(?P<angle>{_ADDRESS})>|(?P<bare>{_ADDRESS}))\s*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_MAILDIR_SENDER = "gpuwarden <gpuwarden@localhost>"
_TWO_MINUTES = Duration(120.0)
_TEN_MINUTES = Duration(600.0)


def split_address(text: str) -> tuple[str, str] | None:
    """Read ``Name <me@example.com>`` or ``me@example.com`` into (name, address); None when it is neither.

    Only the address forms of RFC 5321 without quoting, SMTPUTF8 or address literals are taken: what a server may read
    differently than we do must not reach an envelope or a header.
    """
    match = None if _CONTROL.search(text) else _MAILBOX.fullmatch(text)
    if match is None:
        return None
    address = match["angle"] or match["bare"]
    name = re.sub(r"\\(.)", r"\1", match["quoted"] or "") or (match["plain"] or "").strip()
    return None if ".." in address else (name, address)


def bare_address(text: str) -> str:
    """The address in ``text`` for the envelope; what is not one stays as it is, to be refused where people see it."""
    parts = split_address(text)
    return parts[1] if parts else text


def is_loopback(host: str) -> bool:
    """Whether ``host`` never leaves this machine: ``localhost`` or a loopback address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@dataclass(frozen=True, slots=True, kw_only=True)
class MailSettings:
    """What a user can set under ``alerter.mail``."""

    host: str | None = None
    """The mail server; without one, mails go into the Maildir of the state folder."""
    port: int = 587
    """Its port: 587 for starttls, 465 for tls."""
    security: Security = "starttls"
    """`starttls`, `tls` or `none`; it is never left to what the server offers."""
    username: str | None = None
    """Who logs in; without one, nobody does."""
    password_file: str | None = None
    """A file that holds only the password; read at each login."""
    ca_file: str | None = None
    """Certificates to trust instead of the system's, for a server with its own authority."""
    from_: str = ""
    """The sender: `me@example.com` or `Name <me@example.com>`."""
    to: tuple[str, ...] = ()
    """Who gets the mails."""
    timeout: Duration = _TWO_MINUTES
    """Longest an attempt may take up to the last byte of the mail."""
    final_reply_timeout: Duration = _TEN_MINUTES
    """Longest wait for the answer to the whole mail; giving up earlier makes duplicates (RFC 5321, 4.5.3.2.6)."""

    @property
    def sender(self) -> str:
        """The From line; without one, an address that is plainly local (it only ever reaches the Maildir)."""
        return self.from_ or _MAILDIR_SENDER

    @property
    def recipients(self) -> tuple[str, ...]:
        """Who gets the mails; with a Maildir and nobody named, the Maildir's owner."""
        return self.to or (() if self.host else (self.sender,))

    def problems(self) -> Iterator[tuple[str, str, str]]:
        """Every mistake as (key, what is wrong, what to write instead)."""
        yield from self._address_problems()
        if not 0 < self.port < 65536:  # noqa: PLR2004 -- TCP
            yield "port", f"{self.port} is not a TCP port", "587 for starttls, 465 for tls"
        for key, value in (("timeout", self.timeout), ("final_reply_timeout", self.final_reply_timeout)):
            if value <= 0:
                yield key, "a timeout of nothing lets no mail through", "2m"
        if self.host is not None:
            yield from self._server_problems(self.host)

    def _address_problems(self) -> Iterator[tuple[str, str, str]]:
        hint = "me@example.com or Name <me@example.com>"
        if self.from_ and split_address(self.from_) is None:
            yield "from", f"{self.from_!r} is not a mail address", hint
        for recipient in self.to:
            if split_address(recipient) is None:
                yield "to", f"{recipient!r} is not a mail address", hint

    def _server_problems(self, host: str) -> Iterator[tuple[str, str, str]]:
        if not host or not host.isascii() or _CONTROL.search(host) or " " in host:
            yield "host", f"{host!r} is not a host name", "smtp.example.com"
        if not self.from_:
            yield "from", "a mail server needs a sender", "from: gpuwarden <me@example.com>"
        if not self.to:
            yield "to", "a mail server is given and nobody to write to", "to: [me@example.com]"
        if self.username and not self.password_file:
            yield "password_file", "a username is given without a password", "the path of a file that holds only it"
        if self.password_file and not self.username:
            yield "username", "a password is given without a username", "username: me@example.com"
        if self.username and self.security == "none" and not is_loopback(host):
            yield "security", "the password would cross the network readable by anyone", "starttls or tls"
