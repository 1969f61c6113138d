"""The head that every full mail has, before and after what each kind says for itself: the same bytes each time.

Message-IDs stay within 60 characters, since mail programs lose the thread over folded or encoded ids.
"""

import datetime as dt
import email.utils
from collections.abc import Iterable
from dataclasses import dataclass

from alerts.mail_headers import address_header, text_header, token_header
from alerts.mail_settings import MailSettings, split_address
from alerts.mail_subject import SUBJECT_LIMIT
from alerts.transport import Message

LONGEST_MESSAGE_ID = 60
_FALLBACK_DOMAIN = "gpuwarden.invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a mail says of itself; ``at`` in Unix seconds, ``answers`` the Message-ID of another or empty."""

    identity: str
    reason: str
    at: float
    subject: str
    recipients: tuple[str, ...]
    answers: str = ""


def message_of(told: Told, settings: MailSettings, marks: Iterable[str], body: bytes) -> Message:
    """The final mail: its head, the header lines ``marks``, and ``body``, which begins with its MIME headers."""
    sender = sender_of(settings)
    message_id = message_id_of(told.identity, told.reason, domain_of(sender))
    line, subject = text_header("Subject", told.subject, SUBJECT_LIMIT)
    thread = [token_header(name, told.answers) for name in ("In-Reply-To", "References")] if told.answers else []
    head = [
        token_header("Date", email.utils.format_datetime(dt.datetime.fromtimestamp(told.at).astimezone())),
        address_header("From", (settings.sender,)),
        address_header("To", told.recipients),
        line,
        token_header("Message-ID", message_id),
        *thread,
        # No automatic answers, RFC 3834.
        token_header("Auto-Submitted", "auto-generated"),
        token_header("X-Auto-Response-Suppress", "All"),
        *marks,
    ]
    return Message(message_id, sender, "".join(head).encode("ascii") + body, subject)


def sender_of(settings: MailSettings) -> str:
    """The bare address that mails come from."""
    _, sender = split_address(settings.sender) or ("", "gpuwarden@localhost")
    return sender


def message_id_of(notification_id: str, reason: str, domain: str) -> str:
    """``<id.reason@domain>``, at most LONGEST_MESSAGE_ID characters, where ``domain`` comes from the sender."""
    return f"<{notification_id}.{reason}@{domain}>"


def domain_of(address: str) -> str:
    """The sender's domain, without its first parts where it is too long for a Message-ID."""
    room = LONGEST_MESSAGE_ID - len(message_id_of("x" * 20, "resolved", ""))
    domain = address.rpartition("@")[2].lower()
    while len(domain) > room and "." in domain:
        domain = domain.partition(".")[2]
    return domain if len(domain) <= room else _FALLBACK_DOMAIN
