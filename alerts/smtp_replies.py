"""What a mail server's reply means, by the stage at which it came (RFC 5321 section 4.2). Pure.

A few replies say one thing by their code and another by the finer code behind it (RFC 3463); those are believed that
are known to come from large providers and would cost alerts otherwise.
"""

from collections.abc import Mapping
from typing import Literal

from alerts.clean_text import one_line
from alerts.transport import Outcome, Reply, SendError

Stage = Literal["settings", "connect", "tls", "login", "sender", "recipient", "data", "final"]

REPLY_LIMIT = 500
SUCCESS = 2
"""The first digit of a reply that says yes."""
CLOSING, MAIL_TOO_LARGE = 421, 552
_PERMANENT = 5
_AUTH_CODES = frozenset((530, 534, 535, 538))
_FINER: Mapping[str, Outcome] = {
    "5.4.5": "deferred",  # Gmail: no more mails from this account today
    "5.7.60": "sender_refused",  # Microsoft 365: this user may not send as the address in From
}


def reason_of(code: int, stage: Stage, text: str = "") -> Outcome:
    """What a reply that is not a success means at ``stage``: whose fault it is, and whether another try can help."""
    if code // 100 != _PERMANENT:
        return "deferred"
    if finer := _FINER.get(text.partition(" ")[0]):
        return finer
    if code in _AUTH_CODES or stage == "login":
        return "login_refused"
    if stage == "tls":
        return "tls_failed"
    if stage == "connect":
        return "server_refused"
    return "sender_refused" if stage == "sender" and code != MAIL_TOO_LARGE else "refused"


def refusal(code: int, text: str, stage: Stage, about: str = "") -> SendError:
    """The error that such a reply is; ``about`` is what else is known of it."""
    reply = Reply(code, one_line(text, REPLY_LIMIT))
    return SendError(f"the server answered {reply}{about}", reason=reason_of(code, stage, reply.text), reply=reply)


def is_too_large(error: SendError) -> bool:
    """Whether a smaller mail might be taken."""
    return error.reason == "refused" and error.reply is not None and error.reply.code == MAIL_TOO_LARGE
