"""The mail of last resort: what a notification says of itself, as plain text, for when ``compose`` fails on it.

It takes no template and prints no value by unit, so it shares no fault with the full mail. Like that one it is a
function of the notification and the settings alone: the same bytes each time, 7-bit with CRLF line ends.
"""

import datetime as dt
import email.utils
import math
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP

from alerts.clean_text import one_line
from alerts.mail_head import domain_of, message_id_of, sender_of
from alerts.mail_headers import address_header, text_header, token_header
from alerts.mail_settings import MailSettings
from alerts.mail_view import badge_of
from alerts.notify.notification import Notification
from alerts.transport import Message

_SUBJECT_LIMIT, _TEXT_LIMIT, _LABELS_SHOWN = 160, 800, 50
_LAST_DAY = 253_402_000_000.0
"""In the year 9999: no later date can be written."""


def compose_plain(notification: Notification, settings: MailSettings, *, root_message_id: str | None = None) -> Message:
    """A small mail about ``notification``; ``root_message_id`` as in ``compose``."""
    sender = sender_of(settings)
    message_id = message_id_of(notification.id, notification.reason, domain_of(sender))
    line, subject = text_header("Subject", _subject(notification), _SUBJECT_LIMIT)
    date = dt.datetime.fromtimestamp(_writable(notification.at), tz=dt.UTC)
    head = [
        token_header("Date", email.utils.format_datetime(date)),
        address_header("From", (settings.sender,)),
        address_header("To", notification.recipients),
        line,
        token_header("Message-ID", message_id),
        token_header("Auto-Submitted", "auto-generated"),
    ]
    if root_message_id and notification.id != notification.root:
        head += [token_header("In-Reply-To", root_message_id), token_header("References", root_message_id)]
    if notification.simulated:
        head.append(token_header("X-Gpuwarden-Simulated", "yes"))
    body = EmailMessage(policy=SMTP)
    body.set_content("".join(f"{line}\n" for line in _lines(notification)), charset="utf-8", cte="base64")
    return Message(message_id, sender, "".join(head).encode("ascii") + body.as_bytes(), subject)


def _subject(notification: Notification) -> str:
    mark = "[SIMULATED] " if notification.simulated else ""
    return f"{mark}[{badge_of(notification)}] {notification.summary or notification.alertname} ({notification.host})"


def _lines(notification: Notification) -> Iterator[str]:
    yield one_line(_subject(notification), _TEXT_LIMIT)
    yield one_line(notification.action, _TEXT_LIMIT)
    yield ""
    yield f"value: {notification.value}, threshold: {notification.comparison} {notification.threshold}"
    yield from [f"the value is: {one_line(notification.reading, _TEXT_LIMIT)}"] if notification.reading else []
    if graver := notification.graver:
        name = one_line(graver.alertname, _TEXT_LIMIT)
        yield f"the {graver.severity} alert {name} is over: from {graver.started_at} to {graver.ended_at}"
    yield from [f"it fired {notification.flaps} times since {notification.flaps_since}"] if notification.flaps else []
    yield f"since: {notification.started_at}, decided: {notification.at} (seconds since 1970)"
    named = (("rule", notification.alertname), ("metric", notification.metric), *notification.labels[:_LABELS_SHOWN])
    yield from (one_line(f"{name}: {value}", _TEXT_LIMIT) for name, value in named)
    yield ""
    yield "This alert could not be written as a full mail. The alerter's log says why; please report it."


def _writable(seconds: float) -> float:
    return min(max(seconds, 0.0), _LAST_DAY) if math.isfinite(seconds) else 0.0
