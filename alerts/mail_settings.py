"""Where mail goes and how: the ``alerter.mail`` part of the settings, with its own check."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from alerts.server_settings import ServerSettings

_ADDRESS = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?"
_NAME = r'"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^"<>@,;:()\[\]\\]*?)'
_MAILBOX = re.compile(rf"\s*(?:(?:{_NAME})\s*<(?P<angle>{_ADDRESS})>|(?P<bare>{_ADDRESS}))\s*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_MAILDIR_SENDER = "gpuwarden <gpuwarden@localhost>"
_MOST_CONNECTIONS = 20


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


@dataclass(frozen=True, slots=True, kw_only=True)
class MailSettings(ServerSettings):
    """What a user can set under ``alerter.mail``."""

    host: str | None = None
    """The mail server; without one, mails go into the Maildir of the state folder."""
    connections: int = 2
    """How many connections to the server there may be at a time, 1 to 20."""
    fallback: ServerSettings = field(default_factory=ServerSettings)
    from_: str = ""
    """The sender: `me@example.com` or `Name <me@example.com>`."""
    to: tuple[str, ...] = ()
    """Who gets the mails."""

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
        if not 1 <= self.connections <= _MOST_CONNECTIONS:
            yield "connections", f"must be from 1 to {_MOST_CONNECTIONS}", "2"
        if self.host is not None:
            if not self.from_:
                yield "from", "a mail server needs a sender", "from: gpuwarden <me@example.com>"
            if not self.to:
                yield "to", "a mail server is given and nobody to write to", "to: [me@example.com]"
        elif self.fallback.host is not None:
            yield "fallback.host", "there is no first server to fall back from", "set alerter.mail.host"
        yield from ServerSettings.problems(self)

    def _address_problems(self) -> Iterator[tuple[str, str, str]]:
        hint = "me@example.com or Name <me@example.com>"
        if self.from_ and split_address(self.from_) is None:
            yield "from", f"{self.from_!r} is not a mail address", hint
        for recipient in self.to:
            if split_address(recipient) is None:
                yield "to", f"{recipient!r} is not a mail address", hint
