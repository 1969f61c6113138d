"""Several notifications become the final bytes of one mail, and the same ones at the same time always the same bytes.

The mail stands under the id of the first of them. It opens no thread of its own: what comes later of any of its
incidents answers it. What a command gets instead of a mail is in ``compose_payload``.
"""

import datetime as dt
import email.utils
from collections.abc import Iterator

from alerts.compose_mail import domain_of, message_id_of, render
from alerts.digest_view import DigestView, digest_view
from alerts.mail_body import alternatives
from alerts.mail_headers import address_header, text_header, token_header
from alerts.mail_settings import MailSettings, split_address
from alerts.mail_subject import SUBJECT_LIMIT
from alerts.notify.digest import Group
from alerts.notify.notification import RANKS
from alerts.transport import Message

DIGEST = "digest"
"""Why such a mail exists; the word stands in its Message-ID and in its header."""


def compose_digest(group: Group, settings: MailSettings, at: float, *, root_message_id: str | None = None) -> Message:
    """The mail about ``group``, all for the same recipients, made ``at`` (Unix seconds).

    ``root_message_id`` is that of the mail that it answers, where all of it belongs to one thread.
    """
    view, leader = digest_view(group), group[0]
    _, sender = split_address(settings.sender) or ("", "gpuwarden@localhost")
    message_id = message_id_of(leader.id, DIGEST, domain_of(sender))
    line, subject = text_header("Subject", view.subject, SUBJECT_LIMIT)
    head = [
        token_header("Date", email.utils.format_datetime(dt.datetime.fromtimestamp(at).astimezone())),
        address_header("From", (settings.sender,)),
        address_header("To", leader.recipients),
        line,
        token_header("Message-ID", message_id),
    ]
    if root_message_id:
        head += [token_header("In-Reply-To", root_message_id), token_header("References", root_message_id)]
    head += _marks(group)
    body = alternatives(render("digest.txt", view), render("digest.html", view), leader.id)
    return Message(message_id, sender, "".join(head).encode("ascii") + body, subject)


def digest_html(view: DigestView) -> str:
    """Its HTML body, to look at."""
    return render("digest.html", view)


def _marks(group: Group) -> Iterator[str]:
    """Headers for machines, those of a mail about one alert as far as they can be said of many."""
    yield token_header("Auto-Submitted", "auto-generated")
    yield token_header("X-Auto-Response-Suppress", "All")
    yield token_header("X-Gpuwarden-Severity", min(group, key=lambda one: RANKS[one.severity]).severity)
    yield token_header("X-Gpuwarden-Reason", DIGEST)
    yield token_header("X-Gpuwarden-Incidents", str(len({one.incident for one in group})))
    if any(one.simulated for one in group):
        yield token_header("X-Gpuwarden-Simulated", "yes")
    if any(one.severity == "critical" and one.reason == "first" for one in group):
        yield token_header("Importance", "high")
