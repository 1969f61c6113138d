"""The ways in which mail servers misbehave, and what becomes of a mail to three people then.

One table for the tests and for the measurement beside Alertmanager.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.fakes.smtp.server import SmtpServer

PEOPLE = ("ann@example.com", "bob@example.com", "cid@example.com")
USER, PASSWORD = "me", "right"


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """``outcome`` is how an attempt ends that meets it; ``ends`` what comes of the mail.

    ``accepted``: it is in order (nothing to mend) or is delivered once the server behaves; ``refused``: for good;
    ``waits``: as long as the server is like this, since nothing must be sent to it.
    """

    name: str
    outcome: str
    ends: Literal["accepted", "refused", "waits"] = "accepted"
    server: Mapping[str, Any] = field(default_factory=dict)
    replies: Mapping[str, str] = field(default_factory=dict)
    hold: str = ""
    trickle: bool = False
    split: bool = False
    hide: str = ""
    concerns: tuple[str, ...] = PEOPLE

    def __str__(self) -> str:
        return self.name

    def begin(self, server: SmtpServer, *, byte_seconds: float = 1.0) -> None:
        """Make ``server`` misbehave."""
        server.script(**self.replies)
        if self.hold:
            server.hold(self.hold)
        if self.trickle:
            server.trickle(byte_seconds)
        if self.split:
            server.split(0.02)
        if self.hide:
            server.hide(self.hide)

    @property
    def is_silent(self) -> bool:
        """Whether it shows only by the time that passes."""
        return bool(self.hold or self.trickle)


# Alertmanager 0.25 does not understand how aiosmtpd asks for LOGIN.
_LOGIN = {"user": USER, "password": PASSWORD, "methods": ("PLAIN",)}
_ONE = PEOPLE[1]

MISBEHAVIOURS = (
    Misbehaviour("no greeting", "timeout", hold="greeting"),
    Misbehaviour("hangs up before its greeting", "unreachable", replies={"greeting": "drop"}),
    Misbehaviour("421 as greeting", "deferred", replies={"greeting": "421 4.3.2 busy, try again later"}),
    Misbehaviour("554 as greeting", "server_refused", replies={"greeting": "554 5.7.1 your network is blocked"}),
    Misbehaviour("421 at RCPT, midway", "deferred", replies={"rcpt": "421 4.3.2 shutting down"}),
    Misbehaviour("450 greylisting", "deferred", replies={"rcpt": "450 4.2.0 greylisted, try again later"}),
    Misbehaviour("452 out of space", "deferred", replies={"rcpt": "452 4.3.1 insufficient system storage"}),
    Misbehaviour("451 after the mail", "deferred", replies={"data": "451 4.3.0 queue file write error"}),
    Misbehaviour("hangs up after the mail, without it", "ambiguous", replies={"data": "drop"}),
    Misbehaviour("hangs up before the 250", "ambiguous", replies={"recorded": "drop"}),
    Misbehaviour("530 log in first", "login_refused", replies={"mail": "530 5.7.0 authentication required"}),
    Misbehaviour("535 wrong password", "login_refused", server=_LOGIN, replies={"auth": "535 5.7.8 bad credentials"}),
    Misbehaviour(
        "550 for one of three",
        "refused",
        "refused",
        replies={f"rcpt:{_ONE}": "550 5.1.1 no such user"},
        concerns=(_ONE,),
    ),
    Misbehaviour(
        "450 for one of three", "deferred", replies={f"rcpt:{_ONE}": "450 4.2.1 mailbox busy"}, concerns=(_ONE,)
    ),
    Misbehaviour("silent about one of three", "timeout", hold=f"rcpt:{_ONE}", concerns=(_ONE,)),
    Misbehaviour("552 too large", "refused", "refused", replies={"data": "552 5.3.4 message too big"}),
    Misbehaviour("STARTTLS stripped", "tls_failed", "waits", server={"security": "stripped", **_LOGIN}),
    Misbehaviour(
        "expired certificate", "tls_failed", "waits", server={"security": "starttls", "expired": True, **_LOGIN}
    ),
    Misbehaviour("one byte per second", "timeout", trickle=True),
    Misbehaviour("no 8BITMIME", "accepted", hide="8BITMIME"),
    Misbehaviour("replies split across packets", "accepted", split=True),
)
