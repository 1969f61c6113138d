"""What goes from hand to hand on the way out, and what the outbox asks of a way to deliver."""

from dataclasses import dataclass
from typing import Literal, Protocol

from gpuwarden.errors import GpuwardenError

Outcome = Literal[
    "accepted",
    "deferred",  # the server said 4xx
    "refused",  # the server said 5xx about this recipient or this message
    "login_refused",  # 530, 535 and their kin: our settings, not the mail
    "sender_refused",
    "server_refused",  # it will not talk to us at all: 5xx as greeting or to EHLO
    "tls_failed",
    "misconfigured",  # a file that the settings name cannot be used
    "unreachable",
    "timeout",
    "ambiguous",  # it went silent after the last byte: it may have the mail or not
    "unwritable",  # the Maildir could not be written
    "failed",  # a fault of ours
    "expired",
]
"""How an attempt ended; the same word stands in the log, the store and the metric's label."""

CONFIGURATION: frozenset[Outcome] = frozenset(
    ("login_refused", "sender_refused", "server_refused", "tls_failed", "misconfigured")
)
"""What no other mail would survive either: the queue waits for a person instead of giving mails up."""


@dataclass(frozen=True, slots=True)
class Message:
    """A composed mail; ``message_id`` with its brackets, ``data`` 7-bit with CRLF line ends, final.

    ``payload`` is the same for commands, as JSON; empty where no command is told.
    """

    message_id: str
    envelope_from: str
    data: bytes
    subject: str
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Letter:
    """Final bytes for one recipient; ``envelope_from`` and ``recipient`` are bare ASCII addresses.

    For a recipient ``command:NAME``, ``payload`` is what is told.
    """

    message_id: str
    envelope_from: str
    recipient: str
    data: bytes
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """The other side's last word, ``code`` as in RFC 5321, 0 where it has none (a command); ``text`` is one line."""

    code: int
    text: str

    def __str__(self) -> str:
        return f"{self.code} {self.text}".strip() if self.code else self.text


class SendError(GpuwardenError, ConnectionError):
    """The letter was not accepted; ``reason`` says what to do, ``reply`` is the server's, where it gave one."""

    def __init__(self, detail: str, *, reason: Outcome, reply: Reply | None = None) -> None:
        super().__init__(detail)
        self.reason: Outcome = reason
        self.reply = reply


class SendTimeoutError(SendError, TimeoutError):
    """The server took longer than the settings allow."""


class Transport(Protocol):
    """One way to deliver."""

    async def send(self, letter: Letter) -> Reply:
        """Deliver ``letter``; returning means that the other side has taken responsibility for it.

        Raises:
            SendError: it has not, or (``ambiguous``) it may not have.
        """
        ...

    async def close(self) -> None:
        """Let go of what is open; nothing is sent after this."""
        ...
